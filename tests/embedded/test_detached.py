"""Runs that go on without their controller, and whoever takes them over."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dfaas_lab import Function, Lab, Limits, Run, Target
from dfaas_lab.errors import ConfigError, K6Interrupted, K6TimedOut, StoreError
from dfaas_lab.local import start
from tests.embedded.ready import make_ready


@dataclass
class Place:
    """A lab in processes of its own, and what any controller needs to open it."""

    file: Path
    root: Path

    def open(self) -> Lab:
        return Lab.from_file(self.file)

    def left(self) -> list[str]:
        return [path.name for path in self.root.iterdir() if path.is_dir()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("lab")
    with start(monitoring=True) as local:
        facts = local.facts() | {"store": str(folder / "store")}
        (folder / "lab.json").write_text(json.dumps(facts))
        place = Place(folder / "lab.json", Path(local.workspace_root))
        with place.open() as lab:
            make_ready(lab)
        yield place


# Another process, which is gone as soon as everything is sent.
SENT = """
import sys
from dfaas_lab import Lab
lab = Lab.from_file(sys.argv[1])
handle = lab.target.start_k6(3, load={"env": 5}, duration="2s", rest="1s", detach=True)
print(handle.run.id)
"""


def test_a_detached_run_goes_on_without_its_controller(place: Place) -> None:
    argv = [sys.executable, "-c", SENT, str(place.file)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    run_id = done.stdout.strip()
    assert run_id, done.stderr
    with place.open() as lab:
        assert lab.store.find(run_id).iterations() == []
        run = lab.attach(run_id, progress=False)
        assert run.id == run_id
        assert run.status == "ok"
        assert lab.target.last_run is not None
        assert lab.target.last_run.id == run_id
        again = lab.attach(run_id, progress=False)  # it has ended: nothing is connected to
    assert run.summary["iteration"].to_list() == [1, 2, 3]
    assert all(9 <= requests <= 11 for requests in run.summary["requests"])
    assert set(run.node_metrics["iteration"]) == ({1, 2, 3} if lab.target.prometheus else set())
    began = run.summary["started_at"]
    pauses = [(later - first).total_seconds() for first, later in itertools.pairwise(began)]
    assert all(pause >= 2.8 for pause in pauses)  # 2 s of load, less half an interval; 1 s of rest
    assert again.requests.equals(run.requests)
    assert place.left() == []


# Another process, which is killed when its first iteration is stored: it asked for no metrics yet.
KILLED = """
import os, signal, sys, time
from dfaas_lab import Lab
lab = Lab.from_file(sys.argv[1])
handle = lab.target.start_k6(2, load={"env": 5}, duration="2s")
print(handle.run.id, flush=True)
while not handle.run.path.joinpath("iteration=1").exists():
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_the_metrics_of_a_run_whose_controller_was_killed_are_asked_for_by_who_attaches(
    place: Place,
) -> None:
    argv = [sys.executable, "-c", KILLED, str(place.file)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with place.open() as lab:
        assert Run.load(lab.store.find(done.stdout.strip()).path).node_metrics.is_empty()
        run = lab.attach(done.stdout.strip(), progress=False)
    assert run.summary["iteration"].to_list() == [1, 2]
    assert set(run.node_metrics["iteration"]) == ({1, 2} if lab.target.prometheus else set())


def test_the_handle_of_a_detached_run_follows_it_when_asked(place: Place) -> None:
    with place.open() as lab:
        handle = lab.target.start_k6(2, load={"env": 5}, duration="1s", detach=True)
        assert not handle.done
        run = handle.wait()
        assert handle.done
    assert (run.status, run.summary["iteration"].to_list()) == ("ok", [1, 2])


def test_a_run_whose_supervisor_was_killed_is_done(place: Place) -> None:
    with place.open() as lab:
        handle = lab.target.start_k6(1, load={"env": 5}, duration="20s", detach=True)
        places = lab.store.find(handle.run.id).read()["orders"][lab.target.name]["workspaces"]
        workspace = Path(places["root"], places["ids"][0])
        until = time.monotonic() + 60
        while not (workspace / "pid").read_text().strip():
            assert time.monotonic() < until
            time.sleep(0.05)
        assert not handle.done
        os.kill(int((workspace / "supervisor").read_text().split()[0]), signal.SIGKILL)
        while not handle.done:
            assert time.monotonic() < until
            time.sleep(0.2)
        with pytest.raises(K6Interrupted, match="supervisor"):
            handle.wait()
        lab.generator._session.remote.run(f"rm -rf {workspace}")
        assert place.left() == []


@pytest.mark.slow
def test_more_iterations_than_a_command_line_holds(place: Place) -> None:
    with place.open() as lab:
        handle = lab.target.start_k6(1600, load={"env": 5}, duration="20s", detach=True)
        assert len(place.left()) == 1600
        handle.stop()
        assert handle.wait().status == "interrupted"
        assert place.left() == []


def test_a_warm_up_and_a_stop_of_a_detached_run(place: Place) -> None:
    with place.open() as lab:
        handle = lab.target.start_k6(3, load={"env": 5}, duration="20s", warmup="1s", detach=True)
        lines = threading.Event()
        handle.start()
        while not any("iteration 1/3" in step.text for step in handle.progress.snapshot()):
            lines.wait(0.1)
        handle.stop()
        run = handle.wait()
    assert run.status == "interrupted"
    assert run.summary["iteration"].to_list() == [1]
    assert run.summary["status"].to_list() == ["interrupted"]
    assert set(run.node_metrics["iteration"]) == ({1} if lab.target.prometheus else set())
    assert (run.path / "warmup").is_dir()
    assert place.left() == []


def test_a_stop_loses_nothing_of_what_ended_while_nobody_looked(place: Place) -> None:
    """Also for who never followed the run: its stop is the first that the generator hears."""
    with place.open() as lab:
        handle = lab.target.start_k6(4, load={"env": 5}, duration="2s", detach=True)
        places = lab.store.find(handle.run.id).read()["orders"][lab.target.name]["workspaces"]
        second = Path(places["root"], places["ids"][1])
        until = time.monotonic() + 60
        while not (second / "ended").exists() or not (second / "ended").stat().st_size:
            assert time.monotonic() < until
            time.sleep(0.05)
        handle.stop()
        run = handle.wait()
    assert run.status == "interrupted"
    statuses = dict(run.summary.select("iteration", "status").rows())
    assert [statuses.pop(1), statuses.pop(2)] == ["ok", "ok"]
    assert list(statuses.values()) == ["interrupted"]
    assert place.left() == []


def test_an_iteration_that_fails_ends_a_detached_run(place: Place) -> None:
    with place.open() as lab:
        limits = Limits(timeout="2s")
        handle = lab.target.start_k6(3, load={"env": 5}, duration="20s", limits=limits, detach=True)
        with pytest.raises(K6TimedOut) as late:
            lab.attach(handle.run.id, progress=False)
        run = late.value.run
        assert run is not None
        assert run.status == "timed_out"
        assert run.summary["iteration"].to_list() == [1]
        assert run.requests.height > 0
        assert late.value.workspace is not None
        assert place.left() == [Path(late.value.workspace).name]  # that of the evidence
        lab.generator._session.remote.run(f"rm -rf {place.root}/{place.left()[0]}")


def test_two_who_attach_at_once_bring_it_home_once(place: Place) -> None:
    with place.open() as one, place.open() as other:
        handle = one.target.start_k6(3, load={"env": 5}, duration="1s", detach=True)
        runs: list[Run] = []
        threads = [
            threading.Thread(target=lambda lab=lab: runs.append(lab.attach(handle.run.id)))
            for lab in (one, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert [run.status for run in runs] == ["ok", "ok"]
    assert runs[0].summary["iteration"].to_list() == [1, 2, 3]
    assert runs[0].requests.equals(runs[1].requests)


def test_what_cannot_be_attached_is_told(place: Place, tmp_path: Path) -> None:
    with place.open() as lab:
        with pytest.raises(StoreError, match="no run"):
            lab.attach("20200101T000000-abcdef")
        handle = lab.target.start_k6(1, load={"env": 5}, duration="1s", detach=True)
        stranger = Target(
            "stranger",
            gateway=lab.target.gateway,
            generator=lab.generator,
            functions=[Function("env")],
        )
        with pytest.raises(ConfigError, match="does not have"):
            Lab([stranger], store=lab.store.root).attach(handle.run.id)
        assert lab.attach(handle.run.id, progress=False).status == "ok"


def test_a_lab_whose_functions_changed_brings_home_what_was_begun(place: Place) -> None:
    with place.open() as lab:
        handle = lab.target.start_k6(2, load={"echo": 5}, duration="1s", detach=True)
        changed = Target(
            lab.target.name,
            gateway=lab.target.gateway,
            generator=lab.generator,
            functions=[Function("echo", method="POST", body="another")],
        )
        run = Lab([changed], store=lab.store.root).attach(handle.run.id, progress=False)
    assert run.status == "ok"
    assert run.summary["iteration"].to_list() == [1, 2]
