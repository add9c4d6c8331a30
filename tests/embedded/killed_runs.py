"""A controller in a process of its own measures a run and is killed; the store is looked at."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dfaas_lab.local import LocalLab, start
from dfaas_lab.store import RunFolder, Store
from tests.embedded.ready import make_ready

ITERATIONS = 20
CONTROLLER = """
import sys
from dfaas_lab import Lab, Limits
with Lab.from_file(sys.argv[1]) as lab:
    lab.generator._session.marker()
    print("ready", flush=True)
    lab.target.run_k6(20, {terms}, limits=Limits(lease="3s"), progress=False)
"""
SCRIPT = """
import http from "k6/http";
export const options = {{ vus: 1, iterations: 3, tags: {{ function: "env" }} }};
export default function () {{ http.get("{gateway}/function/env"); }}
"""


@dataclass(frozen=True)
class Way:
    """How the run is made: the arguments of ``run_k6``, and how many requests an iteration has.

    None means what k6 itself counted: a busy machine may drop one.
    """

    terms: str
    requests: int | None = None


# k6 takes no duration below 1 s; a script of one's own may be shorter.
LOAD = Way('load={"env": 3}, duration="1s"')
QUICK = Way('script=sys.argv[1] + ".js"', 3)


def kill_runs(folder: Path, way: Way, *, rounds: int, seed: int) -> None:
    """Start a run of 20 iterations, kill its controller somewhere, look at the store; repeat.

    The first two runs are not killed: the faster one tells how long a run takes.
    """
    chance = random.Random(seed)
    store = Store(folder / "results")
    seen: list[int] = []
    with start() as lab, _lab_file(lab, folder, store) as file:
        whole_s = min(_measure(file, way, kill_after_s=None) for _ in range(2))
        assert [check(store, lab, way, run_id) for run_id in store.run_ids()] == [ITERATIONS] * 2
        for _ in range(rounds):
            before = set(store.run_ids())
            _measure(file, way, kill_after_s=chance.uniform(0, whole_s))
            new = set(store.run_ids()) - before
            assert len(new) <= 1
            seen += [check(store, lab, way, run_id) for run_id in new]
    assert store.runs()["problem"].null_count() == len(seen) + 2
    # The test itself is good only where kills hit runs in their midst.
    assert sum(0 < count < ITERATIONS for count in seen) >= rounds // 2, seen


@contextlib.contextmanager
def _lab_file(lab: LocalLab, folder: Path, store: Store) -> Iterator[Path]:
    """The lab for other processes, its generator provisioned."""
    from dfaas_lab import Lab

    file = folder / "lab.json"
    file.write_text(json.dumps({**lab.facts(), "store": str(store.root)}))
    with Lab.from_file(file) as provisioned:
        make_ready(provisioned)
    Path(f"{file}.js").write_text(SCRIPT.format(gateway=lab.gateways[0].url))
    yield file


def _measure(file: Path, way: Way, *, kill_after_s: float | None) -> float:
    """Let a controller measure, and kill it; return how long it measured, in seconds."""
    command = [sys.executable, "-c", CONTROLLER.format(terms=way.terms), str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as controller:
        try:
            assert controller.stdout
            assert controller.stdout.readline() == "ready\n"
            began = time.monotonic()
            with contextlib.suppress(subprocess.TimeoutExpired):
                assert controller.wait(kill_after_s) == 0
            return time.monotonic() - began
        finally:
            controller.kill()


def check(store: Store, lab: LocalLab, way: Way, run_id: str) -> int:
    """Look at one run that was cut off; return how many iterations it has."""
    run = store.find(run_id)
    have = run.iterations()
    assert have == list(range(1, len(have) + 1))
    assert have == [] or have[-1] <= ITERATIONS
    # Of an iteration that has begun, all before it are finished: they must be there.
    assert len(have) >= _begun(run, lab) - 1
    summary, requests = run.frame("summary"), run.frame("requests")
    keys = summary.select("run_id", "iteration", "target", "function")
    assert keys.rows() == [(run_id, number, "node1", "env") for number in have]
    counted = summary["requests"].to_list()
    rows = requests.group_by("iteration").len().sort("iteration")
    assert rows["iteration"].to_list() == have
    assert rows["len"].to_list() == counted
    vu = requests.select("iteration", "vu", "vu_iteration")
    assert not vu.is_duplicated().any()
    for file in run.path.rglob("*.parquet"):
        pl.read_parquet(file, hive_partitioning=False)
    for number, count in zip(have, counted, strict=True):
        raw = run.iteration_path(number, target="node1")
        assert count == (way.requests or _counted_by_k6(raw))
        assert (raw / "k6.log").exists()
        assert (raw / "host.csv").read_text().endswith("\n")
    return len(have)


def _counted_by_k6(raw: Path) -> int:
    metrics = json.loads((raw / "summary.json").read_text())["metrics"]
    return int(metrics["http_reqs"]["values"]["count"])


def _begun(run: RunFolder, lab: LocalLab) -> int:
    """The last iteration that has a workspace on the generator; 0 where none is left."""
    workspaces = run.read()["orders"]["node1"]["workspaces"]["ids"]
    root = Path(lab.workspace_root)
    return max(
        (number for number, name in enumerate(workspaces, start=1) if (root / name).exists()),
        default=0,
    )
