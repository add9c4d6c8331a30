"""The numbers of a run against what a server saw: rows, moments, books, and the verdict.

The machine that runs the tests may itself be busy. So a doubt that blames the generator's
processors is no fault of a test in which all is well; that it is raised is tested where we starve
k6 ourselves.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab import Function, Lab, Run, Target
from tests.embedded.logging_server import Behaviour, LoggingServer, logging_server
from tests.embedded.ready import make_ready

FUNCTIONS = {
    "quick": Behaviour(),
    "other": Behaviour(delay_ms=20),
    "slow": Behaviour(delay_ms=3000),
    "broken": Behaviour(status=500),
    "moved": Behaviour(status=308, location="https://127.0.0.1:9/"),
    "late": Behaviour(delay_ms=20_000),
    "worker": Behaviour(delay_ms=3500, is_date_early=True),
    "ahead": Behaviour(date_s=10),
    "behind": Behaviour(date_s=-30),
    "rude": Behaviour(closes_every=3),
}
BUSY = ("CPU", "k6 stood still")


@pytest.fixture(scope="module")
def server() -> Iterator[LoggingServer]:
    with logging_server(**FUNCTIONS) as server:
        yield server


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab.local(functions={"env": ["/bin/true"]}, store=tmp_path_factory.mktemp("s")) as lab:
        make_ready(lab)
        yield lab


@pytest.fixture
def target(lab: Lab, server: LoggingServer) -> Target:
    server.seen()
    functions = [
        Function(name, timeout="1s" if name in ("late", "rude") else "10s") for name in FUNCTIONS
    ]
    return Target(
        "logged",
        gateway=server.url,
        generator=lab.generator,
        functions=functions,
        store=lab.store.root,
    )


def measured(target: Target, load: dict[str, float], duration: str, iterations: int = 1) -> Run:
    return target.run_k6(iterations, load=load, duration=duration, progress=False)


def doubts(run: Run) -> list[str]:
    """All doubts but those that blame the generator's processors."""
    return [str(doubt) for doubt in run.verdict.doubts if not any(w in doubt.what for w in BUSY)]


def k6_of(lab: Lab) -> int | None:
    """The pid of the k6 that runs on the lab's generator."""
    root = f"{lab.generator.workspace_root}/"
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            inside = str((place / "cwd").readlink()).startswith(root)
            if inside and (place / "exe").readlink().name == "k6":
                return int(place.name)
    return None


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do something while the block runs, until it ends."""
    ended = threading.Event()
    thread = threading.Thread(target=work, args=(ended,))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def held(
    lab: Lab, pattern: tuple[float, float], times: int = 1000
) -> Callable[[threading.Event], None]:
    """Hold k6 for the first part of each period, and let it go for the second."""

    def hold(ended: threading.Event) -> None:
        pid = None
        while pid is None and not ended.wait(0.02):
            pid = k6_of(lab)
        ended.wait(1.0)  # the load begins, on time
        for _ in range(times):
            if pid is None or ended.is_set():
                return
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                ended.wait(pattern[0])
                os.kill(pid, signal.SIGCONT)
            ended.wait(pattern[1])

    return hold


def test_rows_are_what_the_server_saw(target: Target, server: LoggingServer) -> None:
    """Each row lies around the server's moment; each second and each rate is the plan's."""
    load = {"quick": 50.0, "other": 1.0, "broken": 2.5, "moved": 1 / 3}
    run = measured(target, load, "4s", 2)
    planned = {"quick": 200, "other": 4, "broken": 10, "moved": 1}
    seen = server.seen()
    for function, count in planned.items():
        mine = run.requests.filter(function=function).sort("started_at")
        theirs = seen.filter(function=function)["at_ns"]
        assert mine.height == len(theirs) == 2 * count
        started = mine["started_at"].dt.epoch("us")
        ended = mine["ended_at"].dt.epoch("us")
        at = theirs // 1000
        assert ((at >= started) & (at <= ended + 1)).mean() > 0.9  # two at once may change places
        assert (mine["late_ms"] >= 0).all()
        waited = (mine["ended_at"] - mine["planned_at"]).dt.total_microseconds() / 1000
        assert (waited - mine["response_ms"]).abs().max() < 0.01
    summary = run.summary
    assert dict(summary.filter(iteration=1).select("function", "planned").rows()) == planned
    balance = pl.col("planned") - pl.col("started") - pl.col("dropped") - pl.col("not_attempted")
    assert summary.select(balance.abs().sum()).item() == 0
    made = pl.col("started") - pl.col("succeeded") - pl.col("failed") - pl.col("unfinished")
    assert summary.select(made.abs().sum()).item() == 0
    in_time = run.timeline.filter(function="quick").filter(pl.col("late_ms_max") <= 10)
    assert set(in_time["requests"]) <= {50}
    assert set(run.timeline.filter(function="other")["requests"]) <= {0, 1, 2}
    rates = dict(summary.filter(iteration=1).select("function", "achieved_rps").rows())
    assert (rates["quick"], rates["other"]) == (50.0, 1.0)
    assert all("redirect" in doubt for doubt in doubts(run))
    assert "100 % of broken failed" in run.verdict.explain()


def test_all_is_well_where_it_is(target: Target, server: LoggingServer) -> None:
    """Slow answers, work after the Date, time limits, a server that stands still for a while."""
    with beside(lambda ended: (ended.wait(3), server.freeze(1.0))[0]):
        run = measured(target, {"slow": 10.0, "worker": 1.0, "late": 1.0, "quick": 5.0}, "6s")
    assert doubts(run) == []
    rows = {row["function"]: row for row in run.summary.iter_rows(named=True)}
    assert rows["slow"]["dropped"] == 0
    assert rows["slow"]["succeeded"] == 60
    assert (rows["late"]["failed"], rows["late"]["unfinished"]) == (6, 0)
    assert rows["late"]["latency_ms_p50"] is None
    assert rows["late"]["failed_latency_ms_p50"] == pytest.approx(1000, abs=500)
    assert rows["quick"]["response_ms_max"] > 400


@pytest.mark.parametrize(("function", "said"), [("ahead", "+"), ("behind", "-")])
def test_a_clock_that_is_off_is_told(target: Target, function: str, said: str) -> None:
    run = measured(target, {function: 10.0}, "2s")
    [clock] = [text for text in doubts(run) if "clock" in text]
    assert f": {said}" in clock


def test_a_k6_that_is_held_is_not_valid(target: Target, lab: Lab) -> None:
    """Held for 1 s of every 2, in one of two iterations: a mean of all would not see it."""
    with beside(held(lab, (1.0, 1.0), times=3)):
        run = measured(target, {"quick": 30.0}, "5s", 2)
    first = run.summary.row(0, named=True)
    assert first["planned"] == first["started"] + first["dropped"]
    assert first["late_ms_p99"] > 500
    assert first["response_ms_p95"] > 500 > first["latency_ms_p50"]
    assert not run.verdict.valid
    assert any("late" in doubt.what for doubt in run.verdict.doubts)
    assert run.timeline.filter(iteration=1)["late_ms_max"].max() > 500


@pytest.mark.slow
def test_a_k6_that_is_held_briefly_is_not_valid(target: Target, lab: Lab) -> None:
    with beside(held(lab, (0.1, 0.1))):
        run = measured(target, {"quick": 50.0}, "4s")
    assert any("late" in doubt.what for doubt in run.verdict.doubts), str(run.verdict)


@pytest.mark.slow
def test_a_k6_that_shares_its_core_is_not_valid(target: Target, lab: Lab) -> None:
    """One core is busy and k6 is kept on it; the other may be idle."""
    core = min(os.sched_getaffinity(0))
    burn = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    hogs = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(2)]

    def pin(ended: threading.Event) -> None:
        while not ended.wait(0.02):
            if (pid := k6_of(lab)) is not None:
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    with suppress(OSError):
                        os.sched_setaffinity(int(thread.name), {core})

    try:
        with beside(pin):
            run = measured(target, {"quick": 50.0}, "5s")
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    assert not run.verdict.valid
    assert any("CPU" in doubt.what for doubt in run.verdict.doubts)
    assert run.metrics["cpu_wait_ms_max"][0] > 100


def test_a_client_that_repeats_a_request_sends_more_than_it_tells(
    target: Target, server: LoggingServer
) -> None:
    """Go repeats a GET whose kept connection was closed without an answer, and k6 tells nothing."""
    run = measured(target, {"rude": 30.0}, "3s")
    seen = server.seen()
    assert seen.height > run.requests.height == 90
    assert seen["answered"].sum() == run.summary["succeeded"][0]
    repeats = seen.height - run.requests.height
    assert f"sent again by itself: rude {repeats}, iteration 1 (expected 0)" in str(run.verdict)


def test_an_interrupted_run_says_so_once(target: Target) -> None:
    handle = target.start_k6(2, load={"quick": 20, "other": 5}, duration="30s", progress=False)
    time.sleep(4)
    handle.stop()
    with suppress(KeyboardInterrupt):
        handle.wait()
    assert handle.run is not None
    run = Run.load(handle.run.path)
    rows = {row["function"]: row for row in run.summary.iter_rows(named=True)}
    assert rows["quick"]["achieved_rps"] == pytest.approx(20, rel=0.2)
    assert rows["quick"]["planned"] == 600
    assert rows["quick"]["not_attempted"] > 400
    assert str(run.verdict).count("interrupted") == 1
    assert not any("not attempted" in text for text in doubts(run))
