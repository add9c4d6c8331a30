"""Controllers that are killed, stopped or interrupted: nothing is lost, nothing is left behind."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dfaas_lab import Run
from tests.embedded.fault_lab import (
    COMPLETE,
    FaultLab,
    Ground,
    once,
    selected,
    wait_for,
    whole,
)
from tests.scenarios import scenarios

KILLS, INTERRUPTS = 10, 3
SEED = 3
RATE = 5
LASTS_S = 2
REST_S = 1
TAKES_S = 7.0  # two iterations and all around them, on a machine that does other things, too
NOISE_S = 10.0  # what a busy machine may add
ORDER: dict[str, Any] = {
    "iterations": 2,
    "load": {"env": RATE},
    "duration": f"{LASTS_S}s",
    "rest": f"{REST_S}s",
}
LONG: dict[str, Any] = {"load": {"env": RATE}, "duration": "60s"}
Work = dict[str, Callable[[Ground], None]]


def kills(count: int, seed: int) -> Work:
    """Controllers killed with SIGKILL at random moments; every other run is taken over at once."""
    chance = random.Random(seed)
    return {
        f"kill {number} at {moment:.2f} s": partial(kill_one, moment=moment, at_once=number % 2 > 0)
        for number, moment in enumerate(chance.uniform(0, TAKES_S) for _ in range(count))
    }


def kill_one(ground: Ground, *, moment: float, at_once: bool) -> None:
    """Kill one controller; take over within the lease, or when that has ended k6."""
    # Where nobody takes over, the lease is to end before the load does.
    lease_s, lasts_s = (30, LASTS_S) if at_once else (3, 5)
    order = ORDER | {"duration": f"{lasts_s}s", "limits": {"lease": f"{lease_s}s"}}
    with ground.controller(**order) as controller:
        time.sleep(moment)
        controller.signal(signal.SIGKILL)
        controller.end()
    if not at_once:
        ground.wait_for_no_process(within_s=lease_s + NOISE_S)
    for run in ground.runs():
        before = {n: measured(run, n) for n in run.summary["iteration"]}
        assert set(run.summary["status"]) <= COMPLETE
        once(run)
        with ground.attacher(run.id) as attacher:
            told = attacher.end()
        brought = Run.load(run.path)
        assert told["id"] == run.id
        assert told["status"] == brought.status
        for number, requests in before.items():
            assert_frame_equal(measured(brought, number), requests)
        once(brought)
        if at_once:
            assert (told["error"], brought.status) == (None, "ok"), told
        if brought.status == "ok":
            assert brought.summary["iteration"].to_list() == [1, 2]
            whole(brought, RATE * lasts_s)
        else:
            assert brought.status == told["statuses"][-1] == "interrupted"
            assert told["error"] == "K6Interrupted"
            assert "lease" in told["text"]
    ground.wait_for_no_process(within_s=NOISE_S)
    ground.works_again()


def measured(run: Run, iteration: int) -> pl.DataFrame:
    return run.requests.filter(pl.col("iteration") == iteration)


def begun(ground: Ground, *names: str) -> bool:
    """Whether a workspace has one of these files."""
    return any(path.name in names for place in ground.workspaces() for path in listed(place))


def listed(place: Path) -> list[Path]:
    try:
        return list(place.iterdir())
    except OSError:  # removed in this moment
        return []


def between(ground: Ground) -> bool:
    return any(ground.store.root.glob("runs/*/iteration=1/target=*")) and not ground.workspaces()


MOMENTS: dict[str, Callable[[Ground], object]] = {
    "starting": lambda ground: True,
    "uploading": lambda ground: ground.workspaces(),
    "launching": lambda ground: begun(ground, "began"),
    "running": lambda ground: ground.working_k6(seconds=1),
    "fetching": lambda ground: begun(ground, "ended"),
    "between": between,
}


def interrupts(named: Iterable[str], count: int, seed: int) -> Work:
    """Controllers that get SIGINT at the moments named, and at random ones."""
    chance = random.Random(seed)
    moments = [*named, *(chance.uniform(0, TAKES_S - 2) for _ in range(count))]
    return {
        f"interrupt {number} at {moment}": partial(interrupt_one, moment=moment)
        for number, moment in enumerate(moments)
    }


def interrupt_one(ground: Ground, *, moment: str | float) -> None:
    with ground.controller(**ORDER) as controller:
        if isinstance(moment, float):
            time.sleep(moment)
        else:
            wait_for(lambda: MOMENTS[moment](ground), moment, within_s=60, every_s=0.005)
        controller.signal(signal.SIGINT)
        told = controller.end()
    # k6 ends within a second; the rest is the machine's noise.
    assert told["error"] == "KeyboardInterrupt", told
    assert told["raised_at"] - controller.signalled_at < 15
    ground.wait_for_no_process(within_s=NOISE_S)
    assert ground.workspaces() == []
    runs = ground.runs()
    if "id" in told:
        assert told["status"] in ("interrupted", "ok")
        assert [run.id for run in runs] == [told["id"]]
    for run in runs:
        assert set(run.summary["status"]) <= COMPLETE | {"interrupted"}
        once(run)
        for number, status in run.summary.select("iteration", "status").rows():
            if status == "interrupted":
                signalled_once(next(run.path.glob(f"iteration={number}/target=*")))
    ground.works_again()


def signalled_once(iteration: Path) -> None:
    """A second SIGINT makes k6 leave without its summary; stopped before its load it has none."""
    log = (iteration / "k6.log").read_text()
    assert log.count(" stopping interrupt\n") <= 1
    if "running (" in log:
        assert " stopping interrupt\n" in log
        assert (iteration / "summary.json").stat().st_size > 0


def interrupt_silent(ground: Ground) -> None:
    asked = {"load": {"env": RATE}, "duration": "12s", "limits": {"lease": "60s"}}
    with ground.controller(**asked) as controller:
        ground.working_k6(seconds=2)
        ground.wire.freeze()
        controller.signal(signal.SIGINT)
        told = controller.end()
    assert told["error"] == "KeyboardInterrupt"
    assert told["raised_at"] - controller.signalled_at < 10
    assert told["status"] == "lost"
    ground.wire.thaw()
    run = ground.lab().attach(told["id"])
    assert run.status in ("ok", "interrupted")
    once(run)
    assert run.requests.height >= 2 * RATE
    ground.wait_for_no_process(within_s=NOISE_S)
    ground.works_again()


def interrupt_connecting(ground: Ground) -> None:
    ground.wire.freeze()
    with ground.controller(**ORDER) as controller:
        time.sleep(1.5)
        controller.signal(signal.SIGINT)
        told = controller.end()
    assert told["error"] == "KeyboardInterrupt"
    assert told["raised_at"] - controller.signalled_at < 10
    assert ground.runs() == []
    ground.wire.thaw()
    ground.works_again()


def interrupt_twice(ground: Ground) -> None:
    with ground.controller(**LONG, limits={"lease": "4s"}) as controller:
        k6 = ground.working_k6(seconds=2)
        k6.suspend()  # it does not end when it is asked
        controller.signal(signal.SIGINT)
        time.sleep(1.5)
        controller.signal(signal.SIGINT)
        told = controller.end()
    assert told["error"] == "KeyboardInterrupt"
    # k6 would be waited for ten seconds.
    assert told["raised_at"] - controller.signalled_at < 5
    ground.wait_for_no_process(within_s=10 + NOISE_S)
    run = fetch_results(ground)
    assert run.status == "interrupted"
    assert run.requests.height > 0
    ground.works_again()


def stand_still(ground: Ground) -> None:
    # Of nine seconds k6 gets the last three to end in.
    with ground.controller(**LONG, limits={"lease": "9s"}) as controller:
        ground.working_k6(seconds=2)
        controller.signal(signal.SIGSTOP)
        wait_for(lambda: not ground.k6(), "the lease's end", within_s=9 + NOISE_S)
        [place] = ground.workspaces()
        # SIGINT came first: k6 had the time to flush its samples and to write its summary.
        assert (place / "stopped/reason").read_text().strip() == "lease"
        assert not (place / "stopped/killed").exists()
        assert (place / "summary.json").stat().st_size > 0
        controller.signal(signal.SIGCONT)
        told = controller.end()
    assert told["error"] == "K6Interrupted"
    assert "lease" in told["text"]
    assert str(place) in told["text"]
    assert told["status"] == "interrupted"
    assert told["requests"] >= 2 * RATE
    [run] = ground.runs()
    once(run)
    ground.wait_for_no_process(within_s=NOISE_S)
    ground.works_again()


def be_deaf(ground: Ground) -> None:
    with ground.controller(**LONG, limits={"lease": "4s"}) as controller:
        k6 = ground.working_k6(seconds=3)
        k6.suspend()
        controller.signal(signal.SIGKILL)
        controller.end()
    ground.wait_for_no_process(within_s=4 + NOISE_S)
    [place] = ground.workspaces()
    assert (place / "stopped/killed").exists()
    run = fetch_results(ground)
    assert run.status == "interrupted"
    assert run.requests.height > 0
    ground.works_again()


def fetch_results(ground: Ground) -> Run:
    """Attach from another process to the only run there is."""
    [run] = ground.runs()
    with ground.attacher(run.id) as attacher:
        told = attacher.end()
    assert told["id"] == run.id
    [brought] = ground.runs()
    assert brought.status == told["status"]
    once(brought)
    return brought


ALONE: Work = {
    "a second interrupt leaves at once": interrupt_twice,
    "k6 that does not listen is killed at the end of the lease": be_deaf,
    "a controller that stands still loses its lease": stand_still,
    "an interrupt does not wait for a generator that is silent": interrupt_silent,
    "an interrupt while a silent generator is connected to": interrupt_connecting,
}


KILLED = kills(KILLS, SEED)
INTERRUPTED = interrupts(MOMENTS, INTERRUPTS, SEED)
QUICK = {
    "a second interrupt leaves at once",
    "an interrupt while a silent generator is connected to",
    next(what for what in KILLED if what.startswith("kill 1 ")),  # taken over at once
    "interrupt 1 at uploading",
    "interrupt 3 at running",
}
assert (ALONE | KILLED | INTERRUPTED).keys() >= QUICK


@pytest.fixture(scope="module")
def ends(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Mapping[str, Future[None]]]:
    """All of it at once, some at a time: most of it is waiting."""
    work = selected(request, ALONE | KILLED | INTERRUPTED)
    with FaultLab(tmp_path_factory.mktemp("controller")) as faults, faults.at_once(work) as ends:
        yield ends


@pytest.mark.parametrize("what", scenarios(ALONE, QUICK & ALONE.keys()))
def test_that(ends: Mapping[str, Future[None]], what: str) -> None:
    ends[what].result()


@pytest.mark.parametrize("what", scenarios(KILLED, QUICK & KILLED.keys()))
def test_a_controller_that_is_killed(ends: Mapping[str, Future[None]], what: str) -> None:
    ends[what].result()


@pytest.mark.parametrize("what", scenarios(INTERRUPTED, QUICK & INTERRUPTED.keys()))
def test_an_interrupt_at_any_moment(ends: Mapping[str, Future[None]], what: str) -> None:
    ends[what].result()
