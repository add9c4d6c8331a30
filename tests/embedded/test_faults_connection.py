"""Connections that fail under a run: cut, frozen, gone for good; a server killed and restarted."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial

import polars as pl
import pytest

from dfaas_lab import Limits
from dfaas_lab.errors import ConnectionFailed, K6Interrupted
from tests.embedded.fault_lab import FaultLab, Ground, once, selected, wait_for, whole
from tests.scenarios import scenarios

OUTAGES = 4
SEED = 1
RATE = 10
OUTAGE_S = 10.0
LASTS_S = 14  # with the outage in its middle
LEASE_S = 3
NOISE_S = 10.0  # what a busy machine may add

Work = dict[str, Callable[[Ground], None]]


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultLab]:
    with FaultLab(tmp_path_factory.mktemp("connection")) as faults:
        yield faults


def fail(ground: Ground, outage: str) -> Callable[[], None]:
    """Let the network fail, and return what brings it back."""
    wire = ground.wire
    begin, end = {"cut": (wire.refuse, wire.let_in), "frozen": (wire.freeze, wire.thaw)}[outage]
    begin()
    return end


def survive(ground: Ground, outage: str) -> None:
    """An outage of ten seconds in the middle costs no sample."""
    handle = ground.lab().target.start_k6(load={"env": RATE}, duration=f"{LASTS_S}s")
    ground.working_k6(handle, seconds=2)
    come_back = fail(ground, outage)
    time.sleep(OUTAGE_S)
    assert not handle.done
    come_back()
    run = handle.wait()
    assert run.status == "ok"
    whole(run, RATE * LASTS_S)
    ground.wait_for_no_process(within_s=NOISE_S)
    assert ground.workspaces() == []
    ground.works_again()


def lose(ground: Ground, outage: str) -> None:
    """A connection is lost for good, in the second iteration."""
    target = ground.lab().target
    limits = Limits(lease=f"{LEASE_S}s")
    handle = target.start_k6(2, load={"env": RATE}, duration="7s", limits=limits)
    wait_for(
        lambda: any(ground.store.root.glob("runs/*/iteration=1/target=*")), "a result", within_s=60
    )
    ground.working_k6(handle, seconds=2)
    come_back = fail(ground, outage)
    ground.wait_for_no_process(within_s=LEASE_S + NOISE_S)
    with pytest.raises(ConnectionFailed) as caught:
        handle.wait()
    [kept] = ground.workspaces()
    error = caught.value
    assert error.host == "127.0.0.1"
    assert "127.0.0.1" in error.message
    assert str(kept) in error.hint
    assert "lab.attach" in error.hint
    assert error.run is not None
    assert error.run.status == "lost"
    assert f"lab.attach({error.run.id!r})" in error.hint
    assert error.run.summary["status"].to_list() == ["ok"]
    whole(error.run, RATE * 7, lost=True)
    come_back()
    fetch(ground, error.run.id)
    ground.works_again()


def fetch(ground: Ground, run_id: str) -> None:
    """What k6 flushed before its lease ended comes home."""
    with pytest.raises(K6Interrupted, match="lease") as stopped:
        ground.lab().attach(run_id)
    run = stopped.value.run
    assert run is not None
    assert (run.id, run.status) == (run_id, "interrupted")
    assert run.summary["status"].to_list() == ["ok", "interrupted"]
    once(run)
    assert run.requests.filter(pl.col("iteration") == 2).height >= RATE


def outages(count: int, seed: int) -> Work:
    """Outages of some seconds at random moments, of both kinds: while sending, too, or fetching."""
    chance = random.Random(seed)
    return {
        f"outage {number} at {moment:.2f} s": partial(
            interrupt_network, moment=moment, lasts_s=chance.uniform(0.5, 5), outage=outage
        )
        for number in range(count)
        for moment in [chance.uniform(0, 7)]
        for outage in [("cut", "frozen")[number % 2]]
    }


def interrupt_network(ground: Ground, *, moment: float, lasts_s: float, outage: str) -> None:
    target = ground.lab().target
    handle = target.start_k6(2, load={"env": RATE}, duration="2s", rest="1s")
    time.sleep(moment)
    come_back = fail(ground, outage)
    time.sleep(lasts_s)
    come_back()
    run = handle.wait()
    assert run.status == "ok"
    assert run.summary["iteration"].to_list() == [1, 2]
    whole(run, RATE * 2)
    ground.wait_for_no_process(within_s=NOISE_S)
    assert ground.workspaces() == []
    ground.works_again()


WORK: Work = {
    "cut for ten seconds": partial(survive, outage="cut"),
    "frozen for ten seconds": partial(survive, outage="frozen"),
    "cut for good": partial(lose, outage="cut"),
    "frozen for good": partial(lose, outage="frozen"),
}


WORK |= outages(OUTAGES, SEED)
QUICK = {"frozen for ten seconds", "cut for good"}


@pytest.fixture(scope="module")
def ends(faults: FaultLab, request: pytest.FixtureRequest) -> Iterator[Mapping[str, Future[None]]]:
    """All of these at once: each takes half a minute, and hardly any processor time."""
    with faults.at_once(selected(request, WORK)) as ends:
        yield ends


@pytest.mark.parametrize("what", scenarios(WORK, QUICK))
def test_a_connection_that_has(ends: Mapping[str, Future[None]], what: str) -> None:
    ends[what].result()


@pytest.mark.slow
def test_a_server_that_is_killed_and_restarted_costs_no_sample(faults: FaultLab) -> None:
    ground = faults.ground("server")
    server = faults.local.ssh_server
    handle = ground.lab().target.start_k6(load={"env": RATE}, duration="7s")
    ground.working_k6(handle, seconds=1)
    server.kill()
    time.sleep(3)
    assert len(ground.k6()) == 1
    server.restart()
    run = handle.wait()
    assert run.status == "ok"
    whole(run, RATE * 7)
    ground.wait_for_no_process(within_s=10)
    assert ground.workspaces() == []
    ground.works_again()
