"""Many targets at once on one generator, each with a real k6: nothing is mixed up or lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from dfaas_lab import Function, Generator, Lab, Limits, Run, Target
from dfaas_lab.errors import K6Crashed, K6TimedOut
from dfaas_lab.local import LocalLab, start
from tests.embedded.doorkeeper import Doorkeeper
from tests.embedded.k6_there import k6_there, wait_for_k6
from tests.embedded.ready import host_of, make_ready

TARGETS = 8
THREADS = 12
SLEEPER = {"sleeper": ["/bin/sleep", "30"]}


def _generator(local: LocalLab, **host: Any) -> Generator:
    ssh = local.ssh
    places = {
        "install_dir": str(ssh.home / "k6"),
        "python": ssh.python,
        "remote_tmp": str(ssh.remote_tmp),
    }
    return Generator(
        host_of(local, become=False, **host),
        name="shared",
        workspace_root=local.workspace_root,
        variables=places,
    )


@contextmanager
def _lab(store: Path, *, targets: int, **settings: Any) -> Iterator[tuple[LocalLab, Lab]]:
    """An embedded lab whose parts can be killed, and the lab that measures it."""
    with start(targets, **settings) as local:
        generator = _generator(local)
        with Lab(
            [_target(one.name, one.url, generator) for one in local.gateways], store=store
        ) as lab:
            make_ready(lab)
            yield local, lab


def _target(name: str, gateway: str, generator: Generator, function: str = "env") -> Target:
    return Target(name, gateway=gateway, generator=generator, functions=[Function(function)])


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalLab, Lab]]:
    store = tmp_path_factory.mktemp("store")
    with _lab(store, targets=TARGETS, functions=SLEEPER) as both:
        yield both


@pytest.fixture(scope="module")
def lab(labs: tuple[LocalLab, Lab]) -> Lab:
    return labs[1]


def _workspaces(generator: Generator) -> list[str]:
    return [one.name for one in Path(generator.workspace_root).iterdir() if one.is_dir()]


def _counts(run: Run, **where: Any) -> dict[str, int]:
    """Return how many rows the requests have for each target."""
    chosen = run.requests.filter(**where) if where else run.requests
    return dict(chosen.group_by("target").len().iter_rows())


def _meanwhile(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_all_targets_at_once_have_all_their_rows(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    listening: list[Any] = []

    def look() -> None:
        for process in wait_for_k6(lab.generator.workspace_root, TARGETS):
            opened = process.net_connections("inet")
            listening.extend(one for one in opened if one.status == psutil.CONN_LISTEN)

    looking = _meanwhile(look)
    run = lab.run_k6(2, load={"env": 3}, duration="2s")
    looking.join()
    assert run.status == "ok"
    assert set(lab.targets) == {f"node{number}" for number in range(1, TARGETS + 1)}
    sums = run.summary.select("target", "iteration", "requests")
    assert set(sums.select("target", "iteration").rows()) == {
        (name, iteration) for name in lab.targets for iteration in (1, 2)
    }
    assert all(5 <= requests <= 7 for requests in sums["requests"])
    assert _counts(run) == dict(sums.group_by("target").agg(pl.col("requests").sum()).iter_rows())
    assert _counts(run, http_status=200) == _counts(run)
    assert set(run.timeline["target"]) == set(lab.targets)
    assert _workspaces(lab.generator) == []
    assert listening == []  # a REST API would want the same port in each
    told = capsys.readouterr().err.splitlines()
    for name in lab.targets:
        assert len([line for line in told if f" {name} " in line]) == 1, told


def test_many_threads_share_one_generator(lab: Lab, tmp_path: Path) -> None:
    gateways = [target.gateway for target in lab.targets.values()]
    targets = [
        _target(f"thread{n}", gateways[n % len(gateways)], lab.generator) for n in range(THREADS)
    ]
    for target in targets:
        target.store = tmp_path

    def measure(target: Target) -> Run:
        return target.run_k6(load={"env": 2}, duration="1s", progress=False)

    with ThreadPoolExecutor(THREADS) as pool:
        runs = list(pool.map(measure, targets))
    assert len({run.id for run in runs}) == THREADS
    for target, run in zip(targets, runs, strict=True):
        assert run.status == "ok"
        assert set(run.requests["target"]) == {target.name}
        assert 1 <= run.requests.height == run.summary["requests"].item() <= 3
        assert target.last_run is not None
        assert target.last_run.id == run.id
    assert _workspaces(lab.generator) == []


@pytest.mark.parametrize("sessions", [1, 3])
def test_fewer_sessions_than_targets_cost_connections_and_no_row(
    tmp_path: Path, sessions: int
) -> None:
    with _lab(tmp_path, targets=6, sessions=sessions) as (_, lab):
        with ThreadPoolExecutor(THREADS) as pool:
            said = pool.map(lab.generator._session.remote.run, ["sleep 0.3; echo said"] * THREADS)
            assert [one.text for one in said] == ["said"] * THREADS
        run = lab.run_k6(load={"env": 2}, duration="1s", progress=False)
        assert run.status == "ok"
        assert set(_counts(run)) == set(lab.targets)


@pytest.mark.slow
def test_a_host_that_turns_connections_away_is_asked_again(tmp_path: Path) -> None:
    with start(1) as local, Doorkeeper(local.ssh.port, share=0.5) as door:
        known = tmp_path / "known_hosts"
        port, named = str(local.ssh.port), local.ssh.known_hosts.read_text()
        known.write_text(named.replace(port, str(door.port)))
        with Lab([_target("direct", local.gateways[0].url, _generator(local))]) as lab:
            lab.provision(progress=False)
        targets = [
            _target(
                f"session{n}",
                local.gateways[0].url,
                _generator(local, port=door.port, known_hosts=known),
            )
            for n in range(6)
        ]

        def measure(target: Target) -> Run:
            target.store = tmp_path
            return target.run_k6(load={"env": 2}, duration="1s", progress=False)

        try:
            with ThreadPoolExecutor(len(targets)) as pool:
                runs = list(pool.map(measure, targets))
        finally:
            for target in targets:
                target.generator.close()
        assert {run.status for run in runs} == {"ok"}
        assert door.refused > 0


def test_a_gateway_that_goes_away_spoils_no_other_target(labs: tuple[LocalLab, Lab]) -> None:
    local, lab = labs
    gone = local.gateways[2]

    def kill() -> None:
        wait_for_k6(lab.generator.workspace_root, TARGETS)
        time.sleep(0.5)
        gone.kill()

    killing = _meanwhile(kill)
    try:
        run = lab.run_k6(load={"env": 4}, duration="3s", progress=False)
    finally:
        killing.join()
        gone.restart()
    good = _counts(run, failed=False)
    for name in lab.targets:
        if name != gone.name:
            assert 11 <= good[name] == _counts(run)[name] <= 13
    lost = run.requests.filter(pl.col("target") == gone.name, pl.col("failed"))
    assert lost.height > 0
    assert set(lost["http_status"]) == {None}


def test_a_killed_k6_spoils_no_other_target(lab: Lab) -> None:
    def kill() -> None:
        processes = wait_for_k6(lab.generator.workspace_root, TARGETS)
        time.sleep(0.5)
        processes[0].kill()

    killing = _meanwhile(kill)
    with pytest.raises(K6Crashed) as crashed:
        lab.run_k6(load={"env": 4}, duration="3s", progress=False)
    killing.join()
    run = crashed.value.run
    assert run is not None
    assert run.status == "failed"
    status = dict(run.summary.select("target", "status").iter_rows())
    assert sorted(status) == sorted(lab.targets)
    assert sorted(status.values()) == ["failed"] + ["ok"] * (TARGETS - 1)
    for name, one in status.items():
        if one == "ok":
            assert 11 <= _counts(run, failed=False)[name] <= 13
    assert {target.last_run.id for target in lab.targets.values() if target.last_run} == {run.id}


def test_a_target_that_takes_too_long_spoils_no_other(
    labs: tuple[LocalLab, Lab], tmp_path: Path
) -> None:
    local, lab = labs
    urls = [gateway.url for gateway in local.gateways]
    parts = [
        _target("quick", urls[0], lab.generator),
        _target("slow", urls[1], lab.generator, "sleeper"),
        _target("other", urls[2], lab.generator),
    ]
    three = Lab(parts, store=tmp_path)
    with pytest.raises(K6TimedOut) as late:
        three.run_k6(load=3, duration="1s", limits=Limits(timeout="3s"), progress=False)
    run = late.value.run
    assert run is not None
    status = dict(run.summary.select("target", "status").iter_rows())
    assert status == {"quick": "ok", "slow": "timed_out", "other": "ok"}
    assert set(_counts(run, failed=False)) == {"quick", "other"}
    unfinished = dict(run.summary.select("target", "unfinished").iter_rows())
    assert unfinished["slow"] >= 3
    assert unfinished["quick"] == 0
    assert k6_there(lab.generator.workspace_root) == []


def test_a_generator_is_as_new_after_all_that(lab: Lab) -> None:
    run = lab.run_k6(load={"env": 2}, duration="1s", progress=False)
    assert run.status == "ok"
    assert set(_counts(run)) == set(lab.targets)
