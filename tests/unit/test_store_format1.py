"""Stores that an earlier dfaas_lab wrote (format 1) are read, listed, exported, sent and asked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dfaas_lab import ConfigError, Function, Run
from dfaas_lab.k6.plan import K6Plan
from dfaas_lab.spec.manifest import from_manifest, orders_of, part_of
from dfaas_lab.store import Store

STORES = Path(__file__).parent / "stores_format1"
# By name: the status, the iterations and functions of the summary, and whether each has requests.
KINDS: dict[str, tuple[str, list[tuple[str, int, str]]]] = {
    "one": ("ok", [("mid", n, name) for n in (1, 2) for name in ("env", "figlet")]),
    "several": ("ok", [(node, n, "env") for n in (1, 2) for node in ("node1", "node2")]),
    "detached": ("ok", [("node1", 1, "env"), ("node1", 2, "env")]),
    "script": ("ok", [("node1", 1, "env")]),
    "interrupted": ("interrupted", [("node1", 1, "env")]),
    "lost": ("running", [("node1", 1, "env")]),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(kind: str, tmp_path: Path) -> Store:
    """A copy: whoever reads a store may write beside it."""
    return Store(shutil.copytree(STORES / kind, tmp_path / "results"))


@pytest.fixture
def run(store: Store) -> Run:
    (run_id,) = store.run_ids()
    return Run(store.find(run_id))


def test_it_is_read(kind: str, run: Run) -> None:
    status, rows = KINDS[kind]
    assert run.status == status
    keys = run.summary.select("target", "iteration", "function").rows()
    assert sorted(keys) == sorted(rows)
    assert run.summary["requests"].min() > 0  # type: ignore[operator]
    counted = run.requests.group_by("target", "iteration", "function").len()
    assert sorted(counted.drop("len").rows()) == sorted(rows)
    assert run.timeline.height > 0
    assert run.metrics.select("target", "iteration").unique().height == len({r[:2] for r in rows})
    assert str(run.verdict)
    assert run.id in repr(run)
    assert run.provenance["orders"]


def test_it_is_listed_and_exported(kind: str, store: Store, run: Run, tmp_path: Path) -> None:
    row = store.runs().row(0, named=True)
    status, rows = KINDS[kind]
    assert (row["status"], row["problem"]) == (status, None)
    assert row["targets"] == list(dict.fromkeys(target for target, _, _ in rows))
    assert row["iterations"] == max(number for _, number, _ in rows)
    requests, summary = store.export(tmp_path / "out")
    assert pl.read_csv(requests).height == run.requests.height
    assert pl.read_csv(summary).height == run.summary.height


def test_it_is_sent_and_opened(run: Run, tmp_path: Path) -> None:
    loaded = Run.load(run.save(tmp_path / "run.zip"))
    assert loaded.requests.equals(run.requests)
    assert loaded.summary.equals(run.summary)
    assert loaded.provenance == run.provenance


def test_what_was_asked_is_read_back(kind: str, run: Run) -> None:
    manifest: dict[str, Any] = json.loads((run.path / "manifest.json").read_text())
    orders = orders_of(manifest)
    part = part_of(manifest, next(iter(orders)))
    own = [Function("env", headers={"X-Api-Key": "another"})]
    spec = from_manifest(orders, part, run.path, functions=own, env={"GATEWAY": "x"})
    order = orders[part]
    for name in ("iterations", "rest_s", "warmup_s", "lease_s", "detached"):
        assert getattr(spec, name) == order[name]
    assert spec.limit_s == order["limit_s"]
    if kind == "script":
        with pytest.raises(ConfigError, match="environment GATEWAY"):
            from_manifest(orders, part, run.path, env={})
        assert spec.plan.digest == order["plan_digest"]
        return
    assert isinstance(spec.plan, K6Plan)
    assert spec.plan.load.rates == order["load"]
    assert spec.thresholds == order["thresholds"]
    assert spec.plan.gateway == order["gateway"]
    if kind == "one":
        assert spec.rest_s == 5e-05
        env, figlet = spec.functions
        assert env.headers == {"X-Api-Key": "another", "Accept": "text/plain"}
        assert figlet.body_bytes() == b"Hello"
