"""One testbed at a time, and none that outlives who made it, however that one ended. No test."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

from tests.testbed.ground import STATE
from tests.testbed.network import sweep

_LOCK = STATE.with_suffix(".lock")
_DONE = b"done"


class Guard:
    """Holds the machine's network for one testbed; ``with Guard(): ...`` puts it back.

    A process of its own waits for the end of this one, and sweeps where it did not come to it. Both
    hold the lock: it is free once all is swept.
    """

    def __enter__(self) -> Guard:
        self._lock = _LOCK.open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise RuntimeError(
                "another testbed uses this machine's network: wait for its end"
            ) from None
        sweep()  # what a guard that was killed, too, has left
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.testbed.guard"],
            stdin=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            pass_fds=[self._lock.fileno()],
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        sweep()
        self._process.communicate(_DONE, timeout=60)
        self._lock.close()


def wait_for_the_end() -> None:
    """Return once no testbed is left, and none that crashed is still to be swept."""
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


if __name__ == "__main__" and sys.stdin.buffer.read() != _DONE:
    sweep()
