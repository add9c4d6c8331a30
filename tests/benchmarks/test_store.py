"""How long a store of many runs takes to list, scan and search, beside polars alone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from dfaas_lab.store import Store
from tests.unit.stored_runs import frames_of

RUNS, ITERATIONS = 1000, 3
MOST_OVER_POLARS = 10.0


def test_a_store_of_many_runs(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    first = store.create_run("run-0000", {"targets": ["mid"]})
    for iteration in range(1, ITERATIONS + 1):
        first.write_iteration(iteration, frames_of(tmp_path, "run-0000", iteration), target="mid")
    for number in range(1, RUNS):
        shutil.copytree(first.path, first.path.with_name(f"run_id=run-{number:04}"))
    latency = pl.col("latency_ms")
    questions: dict[str, Callable[[], int]] = {
        "runs()": lambda: store.runs().height,
        "all requests counted": lambda: (
            store.scan_requests().select(pl.len()).collect(engine="streaming").item()
        ),
        "p95 of all requests": lambda: (
            store.scan_requests().select(latency.quantile(0.95)).collect(engine="streaming").height
        ),
        "one run found": lambda: len(store.find("run-0500").iterations()),
        "one run's requests": lambda: (
            store.scan_requests(runs=["run-0500"]).select(pl.len()).collect().item()
        ),
    }
    start = time.perf_counter()
    files = sorted(store.root.rglob("requests.parquet"))
    for file in files:
        pl.read_parquet(file)
    plain_s = time.perf_counter() - start
    print(
        f"\n{RUNS} runs of {ITERATIONS} iterations, {RUNS * ITERATIONS * 3:,} files; polars alone"
    )
    print(f"reads the requests in {plain_s:.2f} s")
    for question, ask in questions.items():
        start = time.perf_counter()
        answer = ask()
        seconds = time.perf_counter() - start
        print(f"{question:24}{answer:8,}{seconds:8.2f} s")
        assert seconds <= MOST_OVER_POLARS * plain_s
