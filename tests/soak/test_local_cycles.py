"""Labs that end at random moments, in every way, twenty times each: nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.embedded.leftovers import Leftovers
from tests.embedded.test_local_cycles import ROOT, held_request, owner

CYCLES = range(20)


@pytest.mark.parametrize("cycle", CYCLES)
def test_cycles(tmp_path: Path, cycle: int) -> None:
    leftovers = Leftovers(tmp_path)
    with owner(tmp_path, "close", 1 + cycle % 3) as own, held_request(own.url):
        leftovers.note_ports()
        own.process.communicate("", timeout=30)
        assert own.process.returncode == 0
        leftovers.wait_for_none()


@pytest.mark.parametrize("seed", CYCLES)
@pytest.mark.parametrize("victim", ["owner", "manager", "both", "everything"])
def test_killed_at_a_random_moment(tmp_path: Path, victim: str, seed: int) -> None:
    """From the interpreter's start, through the lab's start and work, to its end."""
    leftovers = Leftovers(tmp_path)
    env = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    script = [sys.executable, "-m", "tests.embedded.local_owner", "close", "2"]
    process = subprocess.Popen(
        script, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    time.sleep(random.Random(seed).uniform(0.1, 1.6))
    kill(process, leftovers, victim)
    # Its ssh client, and nothing of the lab.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if victim != "everything":
        leftovers.wait_for_no_process()
    if victim != "owner":
        # Killed while it starts or ends a manager leaves nobody: the next lab clears up.
        with owner(tmp_path, "close") as after:
            after.process.communicate("", timeout=30)
    leftovers.wait_for_none()


def kill(owner: subprocess.Popen[bytes], leftovers: Leftovers, victim: str) -> None:
    found = leftovers.found()
    managers = [one for one in found if is_python_of(one, "dfaas_lab.local.process_manager")]
    parts = [one for one in found if is_python_of(one, "dfaas_lab.local.")]
    victims = {
        "owner": [psutil.Process(owner.pid)] if owner.poll() is None else [],
        "manager": managers,
        "both": [*managers, *found[:1]],
        "everything": parts,
    }[victim]
    for number in (signal.SIGSTOP, signal.SIGKILL):  # at one moment, as far as we can
        for one in victims:
            with contextlib.suppress(psutil.Error):
                one.send_signal(number)


def is_python_of(process: psutil.Process, module: str) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(word.startswith(module) for word in process.cmdline())
    return False
