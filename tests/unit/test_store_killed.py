"""A process that stores a run is killed at random moments: what was finished is there, once."""

from __future__ import annotations

import contextlib
import random
import subprocess
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab.store import Store
from tests.unit.stored_runs import start_writer

ITERATIONS = 20


@pytest.mark.parametrize("rounds", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_kill_9_loses_no_finished_iteration(tmp_path: Path, rounds: int) -> None:
    kill_writers(tmp_path, rounds=rounds, seed=1)


def kill_writers(folder: Path, *, rounds: int, seed: int) -> None:
    """Let writers store 20 iterations each and kill every one somewhere; check the store."""
    chance = random.Random(seed)
    store = Store(folder / "results")
    for round_ in range(rounds):
        run_id = f"run-{round_:03}"
        with start_writer(store.root, run_id, ITERATIONS, folder) as writer:
            with contextlib.suppress(subprocess.TimeoutExpired):
                writer.wait(chance.uniform(0, 0.5))  # 20 iterations take about as long
            writer.kill()
            assert writer.stdout
            told = [int(line) for line in writer.stdout.read().split()]
        check_run(store, run_id, told)
    assert store.runs()["problem"].null_count() == len(store.run_ids())
    for file in (store.root / "runs").rglob("*.parquet"):
        pl.read_parquet(file, hive_partitioning=False)


def check_run(store: Store, run_id: str, told: list[int]) -> None:
    """Every iteration that was told is there, whole and once, and at most one more."""
    if not told and run_id not in store.run_ids():
        return
    run = store.find(run_id)
    have = run.iterations()
    assert have[: len(told)] == told
    assert len(have) - len(told) in (0, 1)
    assert run.frame("summary")["iteration"].to_list() == have
    assert run.frame("requests").group_by("iteration").len().sort("iteration").rows() == [
        (number, 10) for number in have
    ]
    assert run.read().get("finished", 0) in (len(have), len(have) - 1)
    assert all(
        (run.iteration_path(number, target="mid") / "k6.log").stat().st_size == 800
        for number in have
    )
