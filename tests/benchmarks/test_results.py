"""How long a million requests take from k6's samples to frames, beside the same by pandas.

Run with ``make bench``, or by itself: ``python tests/benchmarks/test_results.py``. The file of
samples (1.2 GB) is made once, in the system's temporary folder. Each measurement is a process of
its own, so that the memory it needs is its own.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from dfaas_lab.k6.results import Frames

REQUESTS = int(os.environ.get("DFAAS_LAB_BENCH_REQUESTS", "1000000"))
REPEATS = int(os.environ.get("DFAAS_LAB_BENCH_REPEATS", "3"))
LIMIT_RATIO = 5.0
SMALL, MOST_FOR_BOOKS, MOST_FOR_IDS = 100, 0.10, 1.5
RATE = 1000
FUNCTIONS = ("figlet", "env")
T0 = 1_795_426_470_000_000_000
HEADER = (
    "metric_name,timestamp,metric_value,error_code,expected_response,method,scenario,status,"
    "extra_tags,metadata\n"
)


def samples_file(requests: int = REQUESTS, *, with_ids: bool = False) -> Path:
    """Fourteen rows per request, as k6 1.1.0 writes them for the package's plan.

    With ids there is one more, which has what answers say of themselves: the node that served it,
    a call id, and the function's own time.
    """
    name = f"dfaas-lab-bench-{'ids' if with_ids else 'bare'}-{requests}.csv"
    path = Path(tempfile.gettempdir()) / name
    if not path.exists():
        beside = path.with_suffix(f".{os.getpid()}")
        rng = np.random.default_rng(1)
        with beside.open("w") as file:
            file.write(HEADER)
            for start in range(0, requests, 10_000):
                file.write(_block(rng, start, min(10_000, requests - start), with_ids))
        beside.rename(path)
    return path


def _block(rng: np.random.Generator, start: int, count: int, with_ids: bool) -> str:
    blocked, sending, receiving = rng.exponential([[0.05], [0.1], [0.2]], (3, count))
    waiting = rng.lognormal(2.3, 0.5, count)
    swapped = rng.random((count, 9)) < 0.5
    rows = []
    for n in range(count):
        number = start + n
        scenario = number % len(FUNCTIONS)
        vu, iteration = number % 200 + 1, number // 200
        keys = (f"vu={vu}&iter={iteration}", f"iter={iteration}&vu={vu}")
        duration = sending[n] + waiting[n] + receiving[n]
        end = T0 + number * 10**9 // RATE + int((blocked[n] + duration) * 1e6)
        begun = T0 + number * 10**9 // RATE
        bare = f",,,,f{scenario},,function={FUNCTIONS[scenario]},{keys[0]}"
        shared = f",,true,POST,f{scenario},200,function={FUNCTIONS[scenario]},"
        values = (
            ("http_reqs", 1), ("http_req_duration", duration), ("http_req_blocked", blocked[n]),
            ("http_req_connecting", 0), ("http_req_tls_handshaking", 0),
            ("http_req_sending", sending[n]), ("http_req_waiting", waiting[n]),
            ("http_req_receiving", receiving[n]), ("http_req_failed", 0),
        )  # fmt: skip
        rows.append(f"dfaas_started,{begun},1.000000{bare}\n")
        rows += [
            f"{name},{end},{value:.6f}{shared}{keys[int(swapped[n, place])]}\n"
            for place, (name, value) in enumerate(values)
        ]
        after = end + 100_000
        ids = f"&served_by=node1&call_id=00000000-0000-0000-0000-{number:012d}"
        if with_ids:
            rows.append(f"dfaas_function_ms,{end + 50_000},{waiting[n] / 2:.6f}{bare}{ids}\n")
        rows += [
            f"data_sent,{after},70.000000{bare}\n",
            f"data_received,{after},590.000000{bare}\n",
            f"iteration_duration,{after},{duration:.6f}{bare}\n",
            f"iterations,{after},1.000000{bare}\n",
        ]
    return "".join(rows)


def _frames(path: Path, duration_s: int) -> Frames:
    from dfaas_lab.k6.results import read
    from dfaas_lab.load import Function, Load

    load = Load.of(
        RATE / len(FUNCTIONS),
        duration=f"{duration_s}s",
        functions=[Function(name) for name in FUNCTIONS],
    )
    return read(
        path,
        run_id="bench",
        target="mid",
        iteration=1,
        load=load,
        scenarios={f"f{n}": name for n, name in enumerate(FUNCTIONS)},
        started_at=None,
        status="ok",
    )


def by_dfaas_lab(path: Path) -> dict[str, float]:
    frames = _frames(path, REQUESTS // RATE)
    return _result(
        frames.requests.height, frames.timeline.height, frames.summary["latency_ms_p95"][0]
    )


def by_pandas(path: Path) -> dict[str, float]:
    """The same three tables as a researcher would write them: read, join, pivot, aggregate."""
    import pandas as pd

    rows = pd.read_csv(path, dtype={"extra_tags": "string", "metadata": "string"})
    rows = rows[rows["metric_name"].str.startswith("http_req")].copy()
    rows["vu"] = rows["metadata"].str.extract(r"vu=(\d+)").astype("int64")
    rows["iter"] = rows["metadata"].str.extract(r"iter=(\d+)").astype("int64")
    key = ["scenario", "vu", "iter", "timestamp"]
    requests = rows.pivot_table(
        index=key, columns="metric_name", values="metric_value", aggfunc="first"
    ).reset_index()
    extra = rows[rows["metric_name"] == "http_reqs"].set_index(key)[["status", "extra_tags"]]
    requests = requests.join(extra, on=key)
    requests["function"] = requests["extra_tags"].str.extract(r"function=([^&]*)")
    requests["ended_at"] = pd.to_datetime(requests["timestamp"], utc=True)
    took_ms = requests["http_req_duration"] + requests["http_req_blocked"]
    requests["started_at"] = requests["ended_at"] - pd.to_timedelta(took_ms, unit="ms")
    origin = requests["started_at"].min()
    requests["second"] = (requests["started_at"] - origin).dt.total_seconds().astype(int)
    failed, latency = ("http_req_failed", "sum"), "http_req_duration"
    summary = requests.groupby("function").agg(
        requests=(latency, "size"), failed=failed, mean=(latency, "mean"), low=(latency, "min"),
        high=(latency, "max"),
    )  # fmt: skip
    quantiles = requests.groupby("function")[latency].quantile([0.5, 0.9, 0.95, 0.99]).unstack()
    summary = summary.join(quantiles)
    by_second = requests.groupby(["function", "second"])
    timeline = by_second.agg(requests=(latency, "size"), failed=failed).join(
        by_second[latency].quantile([0.5, 0.95]).unstack()
    )
    return _result(len(requests), len(timeline), summary.loc[FUNCTIONS[0], 0.95])


def _result(requests: int, timeline: int, p95: float) -> dict[str, float]:
    return {"requests": requests, "timeline": timeline, "p95": float(p95)}


WAYS: dict[str, Callable[[Path], dict[str, float]]] = {
    "dfaas_lab": by_dfaas_lab,
    "pandas": by_pandas,
}


def measure(way: str, path: Path) -> dict[str, float]:
    """Run one way in a process of its own; seconds without the start of Python and imports."""
    done = subprocess.run(
        [sys.executable, __file__, way, str(path)], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def _measured_here(way: str, path: Path) -> None:
    import pandas
    import polars

    assert pandas is not polars  # both imported before the clock starts
    start = time.perf_counter()
    result = WAYS[way](path)
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "memory_mb": memory, **result}))


def test_a_million_requests() -> None:
    path = samples_file()
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(REPEATS):  # side by side, for the machine has other things to do
        for way in WAYS:
            runs[way].append(measure(way, path))
    print(
        f"\n{REQUESTS:,} requests, {path.stat().st_size / 1e6:,.0f} MB of samples, {REPEATS} times"
    )
    print(f"{'':12}{'median s':>10}{'fastest s':>10}{'memory MB':>11}")
    for way, results in runs.items():
        seconds = [result["seconds"] for result in results]
        memory = max(result["memory_mb"] for result in results)
        print(f"{way:12}{statistics.median(seconds):10.2f}{min(seconds):10.2f}{memory:11,.0f}")
    ours, theirs = runs["dfaas_lab"], runs["pandas"]
    ratio = statistics.median(
        b["seconds"] / a["seconds"] for a, b in zip(ours, theirs, strict=True)
    )
    print(f"dfaas_lab is {ratio:.1f} times as fast (median of the pairs)")
    assert ours[0]["p95"] == theirs[0]["p95"]
    assert ours[0]["requests"] == theirs[0]["requests"] == REQUESTS
    assert max(r["memory_mb"] for r in ours) <= max(r["memory_mb"] for r in theirs)
    assert ratio >= LIMIT_RATIO


def test_lateness_and_books_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processor time of joining what was sent with what was planned, of all that parsing takes."""
    from dfaas_lab.k6 import results

    path, spent = samples_file(REQUESTS // 4), [0.0]
    schedule_of = results.Schedule.of

    def timed(*given: Any) -> Any:
        began = time.process_time()
        try:
            return schedule_of(*given)
        finally:
            spent[0] += time.process_time() - began

    monkeypatch.setattr(results.Schedule, "of", timed)
    _frames(path, REQUESTS // 4 // RATE)
    shares = []
    for _ in range(REPEATS):
        spent[0], began = 0.0, time.process_time()
        _frames(path, REQUESTS // 4 // RATE)
        shares.append(spent[0] / (time.process_time() - began - spent[0]))
    print(f"\nlateness and books add {statistics.median(shares):.1%} to parsing")
    assert statistics.median(shares) <= MOST_FOR_BOOKS


def test_call_ids_cost_what_they_are_worth() -> None:
    """Processor time of parsing with what answers say of themselves, by that without."""
    took: dict[bool, list[float]] = {False: [], True: []}
    for with_ids in (False, True) * (REPEATS + 1):
        path = samples_file(REQUESTS // 4, with_ids=with_ids)
        began = time.process_time()
        _frames(path, REQUESTS // 4 // RATE)
        took[with_ids].append(time.process_time() - began)
    ratio = statistics.median(there / bare for bare, there in zip(*took.values(), strict=True))
    print(f"\ncall ids, nodes and function times: {ratio:.2f} times the parsing without")
    assert ratio <= MOST_FOR_IDS


def test_a_small_iteration() -> None:
    """What each iteration costs beside k6, however short it is: its frames made, and stored."""
    from dfaas_lab.store import Store

    path = samples_file(SMALL)
    read_ms, written_ms, pandas_ms = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        run = Store(folder).create_run("bench")
        for iteration in range(1, 101):
            start = time.perf_counter()
            frames = _frames(path, 1)
            made = time.perf_counter()
            run.write_iteration(
                iteration, frames, {"k6.log": bytes(1000), "host.csv": bytes(300)}, target="mid"
            )
            read_ms.append((made - start) * 1000)
            stored = time.perf_counter()
            written_ms.append((stored - made) * 1000)
            by_pandas(path)
            pandas_ms.append((time.perf_counter() - stored) * 1000)
    print(f"\n{SMALL} requests in one iteration: median and fastest of 100, in ms")
    for what, took in (("frames", read_ms), ("stored", written_ms), ("by pandas", pandas_ms)):
        print(f"{what:12}{statistics.median(took):10.1f}{min(took):10.1f}")
    assert statistics.median(read_ms) <= statistics.median(pandas_ms)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _measured_here(sys.argv[1], Path(sys.argv[2]))
    else:
        test_a_small_iteration()
        test_a_million_requests()
