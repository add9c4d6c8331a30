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

from dfaas_lab import Function, Lab, Limits, Run, Target
from dfaas_lab.errors import K6TimedOut
from tests.embedded.logging_server import Behaviour, LoggingServer, logging_server
from tests.embedded.ready import make_ready
from tests.embedded.test_certificates import certified

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
    "curt": Behaviour(closes_every=3),
    "final": Behaviour(closes_every=3),
    "rare": Behaviour(),
}
RUDE = ("rude", "curt", "final")
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
    return logged(lab, server)


def logged(lab: Lab, server: LoggingServer, ca: Path | None = None) -> Target:
    """A target whose gateway is that server."""
    body = {"curt": {"body": "x" * 2000}, "final": {"method": "POST", "body": "x" * 2000}}
    functions = [
        Function(name, timeout="1s" if name in ("late", *RUDE) else "10s", **body.get(name, {}))
        for name in FUNCTIONS
    ]
    return Target(
        "logged",
        gateway=server.url,
        ca=ca,
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
    assert all("redirect" in doubt for doubt in doubts(run)), doubts(run)
    assert "100 % of broken failed" in run.verdict.explain()


def test_all_is_well_where_it_is(target: Target, server: LoggingServer) -> None:
    """Slow answers, work after the Date, time limits, failures, a crossed threshold, a node that
    stands still for a while, clocks that are equal."""
    load = {"slow": 10.0, "worker": 1.0, "late": 1.0, "quick": 5.0, "other": 50.0, "broken": 5.0}
    with beside(lambda ended: (ended.wait(3), server.freeze(1.0))[0]):
        run = target.run_k6(
            load=load | {"rare": 1 / 3},
            duration="6s",
            thresholds={"quick": ["p(95)<0.001"]},
            progress=False,
        )
    assert run.status == "slo_failed"
    assert doubts(run) == []
    rows = {row["function"]: row for row in run.summary.iter_rows(named=True)}
    assert rows["slow"]["dropped"] == 0
    assert rows["slow"]["succeeded"] == 60
    assert (rows["late"]["failed"], rows["late"]["unfinished"]) == (6, 0)
    assert rows["late"]["latency_ms_p50"] is None
    assert rows["late"]["failed_latency_ms_p50"] == pytest.approx(1000, abs=500)
    assert rows["quick"]["response_ms_max"] > 400
    assert (rows["rare"]["planned"], rows["rare"]["succeeded"]) == (2, 2)
    assert "load as asked; 100 % of broken failed (30 requests)" in run.verdict.remarks
    assert "p99 of rare is of 2 requests (it needs 368)" in run.verdict.remarks
    clock = run.provenance["clock_skew"]["logged"]
    assert abs(clock["seconds"]) <= clock["uncertainty_s"] + 0.2


@pytest.mark.slow
def test_vus_that_were_too_few_are_told_and_ready_the_next_time(
    target: Target,
) -> None:
    """At 220/s answers of 3 s need 660 VUs, and the next run knows; so does a later iteration."""
    run, later = (measured(target, {"slow": 220.0}, "4s", number) for number in (2, 1))
    first, second = run.summary["dropped"].to_list()
    assert first > 50
    assert second == 0
    (drops,) = [doubt for doubt in run.verdict.doubts if doubt.what == "drops"]
    assert drops.iterations == (1,)
    assert later.summary["dropped"].to_list() == [0]
    row = run.summary.row(0, named=True)
    assert row["planned"] == 880 == row["started"] + row["dropped"] + row["not_attempted"]


def test_a_node_that_dies_fails_and_is_no_fault_of_the_measurement(lab: Lab) -> None:
    with logging_server(**FUNCTIONS) as server:
        target = logged(lab, server)

        def kill(ended: threading.Event) -> None:
            while k6_of(lab) is None and not ended.is_set():
                ended.wait(0.02)
            ended.wait(1.5)
            os.kill(server.pid, signal.SIGKILL)

        with beside(kill):
            run = measured(target, {"quick": 20.0}, "3s")
    assert doubts(run) == []
    row = run.summary.row(0, named=True)
    assert row["planned"] == row["started"] == 60
    assert row["failed"] > 10
    assert row["succeeded"] > 10
    refused = run.requests.filter("failed", pl.col("http_status").is_null())
    assert refused["latency_ms"].tail(5).to_list() == [None] * 5  # nobody was there
    assert run.bounds().filter(quantile="p99")["response_ms_high"].to_list() == [None]


@pytest.mark.parametrize(("function", "said"), [("ahead", "+"), ("behind", "-")])
def test_a_clock_that_is_off_is_told(target: Target, function: str, said: str) -> None:
    run = measured(target, {function: 10.0}, "2s")
    [clock] = [text for text in doubts(run) if "clock" in text]
    assert f": {said}" in clock


@pytest.mark.slow
def test_a_k6_that_is_held_is_not_valid(target: Target, lab: Lab) -> None:
    """Held for 1 s of every 2, in one of four iterations: a mean of all would not see it."""
    with beside(held(lab, (1.0, 1.0), times=2)):
        run = measured(target, {"quick": 30.0}, "4s", 4)
    first = run.summary.row(0, named=True)
    assert first["planned"] == first["started"] + first["dropped"]
    assert first["late_ms_p99"] > 500
    assert first["response_ms_p95"] > 500 > first["latency_ms_p50"]
    assert not run.verdict.valid
    late = [doubt for doubt in run.verdict.doubts if "late" in doubt.what]
    assert 1 in late[0].iterations
    assert run.timeline.filter(iteration=1)["late_ms_max"].max() > 500
    budget = run.error_budget.filter(iteration=1, number="response_ms_p95")
    assert budget["marked"].to_list() == [True]


@pytest.mark.slow
def test_a_k6_that_is_held_briefly_is_not_valid(target: Target, lab: Lab) -> None:
    with beside(held(lab, (0.1, 0.1))):
        run = measured(target, {"quick": 50.0}, "4s")
    assert any("late" in doubt.what for doubt in run.verdict.doubts), str(run.verdict)


def pinned(thread: int) -> None:
    """Keep a thread of k6 on the core of the hogs; the other may be idle."""
    os.sched_setaffinity(thread, {min(os.sched_getaffinity(0))})


def niced(thread: int) -> None:
    """Let everybody else go first."""
    os.setpriority(os.PRIO_PROCESS, thread, 19)


@contextmanager
def hogs(*cores: int) -> Iterator[None]:
    """Keep these cores busy, with a process for each."""
    burn = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
    processes = [subprocess.Popen([sys.executable, "-c", burn, str(core)]) for core in cores]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("change", [pinned, niced])
def test_a_k6_that_gets_too_little_of_a_processor_is_not_valid(
    target: Target, lab: Lab, change: Callable[[int], None]
) -> None:
    cores = sorted(os.sched_getaffinity(0))
    busy = cores[:1] * 2 if change is pinned else cores * 2

    def keep(ended: threading.Event) -> None:
        while not ended.wait(0.02):
            if (pid := k6_of(lab)) is not None:
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    with suppress(OSError):
                        change(int(thread.name))

    with hogs(*busy), beside(keep):
        run = measured(target, {"quick": 50.0}, "5s")
    assert not run.verdict.valid
    assert any("CPU" in doubt.what for doubt in run.verdict.doubts)
    assert run.metrics["cpu_wait_ms_max"][0] > 100


@pytest.mark.slow
def test_a_busy_core_beside_an_idle_one_is_told(target: Target) -> None:
    """The mean of all cores would not show it."""
    with hogs(min(os.sched_getaffinity(0))):
        run = measured(target, {"quick": 5.0}, "4s")
    [core] = [doubt for doubt in run.verdict.doubts if doubt.what.startswith("busiest core")]
    assert core.cause == "processor"


def test_a_client_that_repeats_a_request_sends_more_than_it_tells(
    target: Target, server: LoggingServer
) -> None:
    """Go repeats a GET whose kept connection was closed without an answer, and k6 tells nothing.

    Also one with a body; not a POST, whose closed connection is a failure.
    """
    run = measured(target, dict.fromkeys(RUDE, 30.0), "3s")
    seen, doubt = server.seen(), str(run.verdict)
    repeats = {name: seen.filter(function=name).height - 90 for name in RUDE}
    assert repeats["rude"] > 0
    assert repeats["curt"] > 0
    assert repeats["final"] == 0
    assert run.requests.height == 270
    assert seen["answered"].sum() == run.summary["succeeded"].sum()
    for name in ("rude", "curt"):
        assert f"{name} {repeats[name]}, iteration 1" in doubt
    assert "final" not in doubt.partition("sent again by itself")[2]


def test_what_the_client_repeats_over_tls_is_counted(lab: Lab, tmp_path: Path) -> None:
    """There k6 writes no handshake of a repeat: its bytes tell."""
    ca, pem = certified(tmp_path)
    with logging_server(pem, **FUNCTIONS) as server:
        run = measured(logged(lab, server, ca), dict.fromkeys((*RUDE, "quick"), 30.0), "3s")
        seen = server.seen()
    repeats = {name: seen.filter(function=name).height - 90 for name in (*RUDE, "quick")}
    found = run.k6_metrics.filter(metric="dfaas_repeats")
    assert dict(found.select("function", "samples").rows()) == {
        name: count for name, count in repeats.items() if name in ("rude", "curt")
    }
    assert repeats["rude"] > 0
    assert repeats["quick"] == repeats["final"] == 0


def test_a_run_that_its_limit_stopped_says_how_far_it_came(target: Target) -> None:
    with pytest.raises(K6TimedOut) as stopped:
        target.run_k6(load={"quick": 20}, duration="10s", limits=Limits("3s"), progress=False)
    assert stopped.value.run is not None
    run = Run.load(stopped.value.run.path)
    assert not run.verdict.valid
    (status,) = [doubt for doubt in run.verdict.doubts if doubt.what == "status"]
    assert status.measured.startswith("timed_out (")
    assert status.measured.endswith("s of 10 s), iteration 1")
    row = run.summary.row(0, named=True)
    assert row["planned"] == 200 == row["started"] + row["not_attempted"]


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
