"""How soon k6 ends when it should: after an interrupt, and after its controller was killed."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dfaas_lab import Lab
from dfaas_lab.local import LocalLab, start
from tests.embedded.k6_there import wait_for_k6

ROUNDS = 5
LEASE_S = 6
LOAD = {"env": 10.0}


@pytest.fixture(scope="module")
def local() -> Iterator[LocalLab]:
    with start() as local:
        yield local


@pytest.fixture(scope="module")
def file(local: LocalLab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    path = folder / "lab.json"
    path.write_text(json.dumps(local.facts() | {"store": str(folder / "store")}))
    with Lab.from_file(path) as lab:
        lab.provision(progress=False)
    return path


class Watcher(threading.Thread):
    """Interrupts this process once k6 works, and notes when it is told to end, and when it ends."""

    def __init__(self, root: str) -> None:
        super().__init__(daemon=True)
        self.root = root
        self.signalled = self.told = self.ended = 0.0

    def run(self) -> None:
        (k6,) = wait_for_k6(self.root, 1)
        time.sleep(2)
        workspace = Path(k6.cwd())
        self.signalled = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)
        while not (workspace / "stopped" / "reason").exists():
            time.sleep(0.005)
        self.told = time.monotonic()
        while k6.is_running() and k6.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.005)
        self.ended = time.monotonic()


def test_an_interrupt(file: Path) -> None:
    told, raised = [], []
    with Lab.from_file(file) as lab:
        for _ in range(ROUNDS):
            watcher = Watcher(lab.generator.workspace_root)
            watcher.start()
            with pytest.raises(KeyboardInterrupt):
                lab.target.run_k6(load=LOAD, duration="60s", progress=False)
            now = time.monotonic()
            watcher.join(30)
            told.append(watcher.told - watcher.signalled)
            raised.append(now - watcher.ended)
            assert lab.target.last_run is not None
            assert lab.target.last_run.status == "interrupted"
    print(
        f"\nan interrupt reaches k6 after {statistics.median(told):.2f} s (at most "
        f"{max(told):.2f}); KeyboardInterrupt {statistics.median(raised):.2f} s after k6's end "
        f"(at most {max(raised):.2f}), its data stored"
    )
    assert max(told) < 1
    assert max(raised) < 3


KILLED = """
import sys
from dfaas_lab import Lab, Limits
lab = Lab.from_file(sys.argv[1])
limits = Limits(lease=sys.argv[2])
lab.target.run_k6(load={"env": 10}, duration="60s", limits=limits, progress=False)
"""


def test_a_killed_controller(file: Path, local: LocalLab) -> None:
    ends = []
    for _ in range(ROUNDS):
        controller = subprocess.Popen([sys.executable, "-c", KILLED, str(file), f"{LEASE_S}s"])
        (k6,) = wait_for_k6(str(local.workspace_root), 1)
        time.sleep(2)
        controller.kill()
        controller.wait()
        began = time.monotonic()
        while k6.is_running() and k6.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.02)
        ends.append(time.monotonic() - began)
    print(
        f"\na killed controller's k6 ends after {statistics.median(ends):.1f} s (at most "
        f"{max(ends):.1f}), with a lease of {LEASE_S} s"
    )
    assert max(ends) <= LEASE_S
