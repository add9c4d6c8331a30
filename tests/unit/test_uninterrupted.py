"""An interrupt that comes while a thread computes with polars: the thread goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dfaas_lab.retry import uninterrupted
from dfaas_lab.store import Store
from tests.unit.stored_runs import write_run

# polars takes SIGINT when it is imported, and loses it to whoever sets a handler later (pytest and
# Jupyter do): so the process is one of its own, where polars comes last.
_UNDER_INTERRUPTS = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from dfaas_lab.execution.finalize import finalize
from dfaas_lab.store import Store

folder = Store(sys.argv[1]).find("r1")
again = finalize if sys.argv[2] == "decorated" else finalize.__wrapped__
ended, over = [], threading.Event()

def work():
    while not over.is_set():
        try:
            again(folder, status="ok")
            ended.append("stored")
        except BaseException as error:
            ended.append(type(error).__name__)

thread = threading.Thread(target=work)
thread.start()
taken = 0
while taken < 60:
    try:
        time.sleep(0.001 * taken)  # the first come close together, between the last much is done
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    except KeyboardInterrupt:
        taken += 1
over.set()
thread.join(60)
print(*sorted(set(ended)))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "ended"), [("decorated", "stored"), ("bare", "KeyboardInterrupt stored")]
)
def test_a_run_is_finalized_whatever_interrupts_come(tmp_path: Path, how: str, ended: str) -> None:
    write_run(str(tmp_path / "results"), "r1", "2", str(tmp_path))
    said = subprocess.run(
        [sys.executable, "-c", _UNDER_INTERRUPTS, str(tmp_path / "results"), how],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert said.stdout.split() == ended.split(), said.stderr
    assert Store(tmp_path / "results").find("r1").read()["status"] == "ok"


def test_in_the_main_thread_an_interrupt_is_an_interrupt() -> None:
    calls: list[int] = []

    @uninterrupted
    def interrupted() -> None:
        calls.append(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert calls == [1]
