"""Two locks for each host: one among the processes of this machine, one on the host itself.

The first keeps two notebooks apart, the second two laptops. Both end with their owner.
"""

from __future__ import annotations

import contextlib
import hashlib
import shlex
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dfaas_lab.errors import ProvisionError

if TYPE_CHECKING:
    from dfaas_lab.remote.remote import Remote

# An owner that vanished without closing its connection loses the host's lock after this long.
_LONGEST_HOLD_S = 900
_POLL_S = 0.2

# flock on a folder: it needs no file of ours, and any user may do it.
_HOLD = """d=%s
while [ ! -d "$d" ]; do d=$(dirname "$d"); done
if command -v flock >/dev/null && exec 9<"$d"; then
  flock -n 9 || { echo busy; flock 9; }
fi
echo mine
exec timeout %d cat >/dev/null"""


def interrupted() -> ProvisionError:
    """Return the error of a call whose cancel event was set."""
    return ProvisionError(
        "provisioning was interrupted", hint="Call provision() again; it goes on where it ended."
    )


@contextlib.contextmanager
def hold_here(
    keys: list[Hashable], *, cancel: threading.Event, waiting: Callable[[], None]
) -> Iterator[None]:
    """Hold the locks of these hosts among all processes and threads of this user here.

    Args:
        keys: What names the hosts; they are locked in one order, so that nobody waits in a circle.
        cancel: Once it is set, waiting ends with an error.
        waiting: Called when someone else holds a lock.
    """
    with contextlib.ExitStack() as stack:
        for path in sorted({_lock_file(key) for key in keys}):
            stack.enter_context(_held(path, cancel, waiting))
        yield


@contextlib.contextmanager
def _held(path: Path, cancel: threading.Event, waiting: Callable[[], None]) -> Iterator[None]:
    from filelock import FileLock, Timeout

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # An object of its own for each call: two threads are two owners.
    lock = FileLock(path, thread_local=False)
    with contextlib.suppress(Timeout):
        lock.acquire(timeout=0)
    while not lock.is_locked:
        if cancel.is_set():
            raise interrupted()
        waiting()
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=_POLL_S)
    try:
        yield
    finally:
        lock.release()


def _lock_file(key: Hashable) -> Path:
    import platformdirs

    name = hashlib.sha256(repr(key).encode()).hexdigest()[:24]
    return Path(platformdirs.user_cache_dir("dfaas_lab"), "locks", f"provision-{name}.lock")


def identity(remote: Remote) -> str:
    """Return what tells hosts apart, whatever address and user they are reached by."""
    command = "cat /proc/sys/kernel/random/boot_id /etc/machine-id /proc/sys/kernel/hostname"
    return remote.run(f"{command} 2>/dev/null; :").text or remote.host.address


@contextlib.contextmanager
def hold_there(
    remote: Remote, folder: str, *, cancel: threading.Event, waiting: Callable[[], None]
) -> Iterator[bool]:
    """Hold the lock of that host against everybody; the value says whether we had to wait.

    It lasts as long as one channel of the connection.

    Args:
        remote: The host.
        folder: A folder there, whose nearest parent that is there is locked.
        cancel: Once it is set, waiting ends with an error.
        waiting: Called when someone else holds the lock.
    """
    script = _HOLD % (shlex.quote(folder), _LONGEST_HOLD_S)
    with remote.open(f"/bin/sh -c {shlex.quote(script)}") as process:
        said = b""
        until = time.monotonic() + _LONGEST_HOLD_S + 30
        while b"mine" not in said:
            part = process.receive(timeout=_POLL_S)
            if part == b"" or time.monotonic() > until:
                break  # no lock can be had there: work without one
            said += part or b""
            if cancel.is_set():
                raise interrupted()
            if b"busy" in said:
                waiting()
        yield b"busy" in said
        with contextlib.suppress(Exception):
            process.send_eof()
