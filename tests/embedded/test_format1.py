"""Runs that an earlier dfaas_lab began (format 1) are attached and reproduced as before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab import Function, Lab, Run
from dfaas_lab.spec.manifest import from_manifest, orders_of

STORES = Path(__file__).parents[1] / "unit" / "stores_format1"


def copied(lab: Lab, kind: str) -> Run:
    """A run of an earlier dfaas_lab, in the store of this lab."""
    (path,) = (STORES / kind / "runs").iterdir()
    shutil.copytree(path, lab.store.root / "runs" / path.name, dirs_exist_ok=True)
    return Run(lab.store.find(path.name.removeprefix("run_id=")))


def test_a_lost_run_on_another_gateway_is_closed_with_what_it_has(lab: Lab) -> None:
    run = lab.attach(copied(lab, "lost").id, progress=False)
    assert run.status == "interrupted"
    assert run.summary["iteration"].to_list() == [1]


def test_a_lost_run_goes_on_in_a_lab_as_it_was(lab: Lab) -> None:
    """The rest of it is stored as today: both layouts are one run."""
    run = copied(lab, "lost")
    path = run.path / "manifest.json"
    manifest = json.loads(path.read_text())
    entry = manifest["orders"]["node1"]
    entry["workspaces"]["root"] = lab.generator.workspace_root
    then = from_manifest(orders_of(manifest), "node1", run.path)
    now = then.on(lab.target.gateway, lab.target.served_by_header)
    entry["plan_digest"] = now.plan.digest
    path.write_text(json.dumps(manifest | {"status": "lost"}))
    run = lab.attach(run.id, progress=False)
    assert run.status == "ok"
    assert run.summary.select("target", "iteration").rows() == [("node1", n) for n in (1, 2, 3)]
    assert run.requests.group_by("iteration").len().height == 3
    assert run.metrics["iteration"].to_list() == [1, 2, 3]
    assert Run.load(run.save(run.path.parent / "whole.zip")).requests.equals(run.requests)
    pattern = f"{run.path}/**/requests.parquet"
    scan = pl.scan_parquet(pattern, extra_columns="ignore", missing_columns="insert")
    assert scan.collect().height == run.requests.height


@pytest.mark.parametrize("kind", ["one", "detached", "interrupted", "script"])
def test_a_run_is_reproduced(lab: Lab, kind: str) -> None:
    then = copied(lab, kind)
    if kind == "interrupted":  # 20 s as it was asked: a second will do
        path = then.path / "manifest.json"
        path.write_text(path.read_text().replace('"duration_s": 20.0', '"duration_s": 1.0'))
    env = {"GATEWAY": lab.target.gateway} if kind == "script" else None
    target = lab.target
    functions = target.functions
    others = tuple(one for one in functions if one.name != "env")
    target.functions = (Function("env", headers={"X-Api-Key": "s3cret"}), *others)
    try:
        again = then.reproduce(target, part=None, env=env, progress=False)
    finally:
        target.functions = functions
    assert again.status == "ok"
    assert again.label == then.label
    old, new = (next(iter(run.provenance["orders"].values())) for run in (then, again))
    # What came later is there, too, with what it was before it could be asked.
    for then_sent, sent in zip(old["functions"], new["functions"], strict=True):
        assert sent.items() >= then_sent.items()
    for name in ("load", "script", "iterations", "rest_s", "warmup_s", "thresholds"):
        assert new.get(name) == old.get(name), name
    assert again.provenance["reproduces"]["run_id"] == then.id
