"""Two locks for each host: one among the processes of this machine, one on the host itself.

The first keeps two notebooks apart, the second two laptops. Both end with their owner.
"""

from __future__ import annotations

import contextlib
import hashlib
import posixpath
import shlex
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from filelock import FileLock, Timeout

from dfaas_lab.errors import ProvisionError, RemoteError
from dfaas_lab.remote.shell import answer

if TYPE_CHECKING:
    from dfaas_lab.remote.process import Process
    from dfaas_lab.remote.remote import Remote

_POLL_S = 0.2
# A laptop that vanished without closing its connection loses the host's lock after this long.
_LONGEST_SILENCE_S = 300
_LONGEST_ANSWER_S = 30.0
_MINE, _BUSY = b"dfaas-lab: mine", b"dfaas-lab: busy"

# flock on folders: it needs no file of ours, and any user may do it. The folder of an installation
# may not be there yet, and be made by whoever holds its parent: so the folders above are locked
# too, shared. Nobody waits in a circle, since everybody begins at the top.
_HOLD = """d=%s
while [ ! -d "$d" ]; do d=$(dirname "$d"); done
d=$(cd "$d" && pwd -P) || d=/
keep='echo "%s"; while s=$(timeout %s head -c 1) && [ -n "$s" ]; do :; done'
lock() {
  p=$d
  set -- flock $now "$p" /bin/sh -c "$keep"
  while [ "$p" != / ]; do
    p=$(dirname "$p")
    [ ! -r "$p" ] || set -- flock -s $now "$p" "$@"
  done
  "$@"
}
command -v flock >/dev/null || exec /bin/sh -c "$keep"
now=-n; lock 2>/dev/null && exit
echo "%s"
now=
lock || exec /bin/sh -c "$keep"
"""


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

    They are locked in one order, so that nobody waits in a circle. ``waiting`` is called while
    someone else holds one; once ``cancel`` is set, waiting ends with an error.
    """
    with contextlib.ExitStack() as stack:
        for path in sorted({_lock_file(key) for key in keys}):
            stack.enter_context(_held(path, cancel, waiting))
        yield


@contextlib.contextmanager
def _held(path: Path, cancel: threading.Event, waiting: Callable[[], None]) -> Iterator[None]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # An object of its own for each call: two threads are two owners.
    lock = FileLock(path, thread_local=False)

    def cancelled() -> bool:
        waiting()
        return cancel.is_set()

    try:
        # Two calls of one thread may wait for each other: without a time limit filelock refuses it.
        held = lock.acquire(threading.TIMEOUT_MAX, poll_interval=_POLL_S, cancel_check=cancelled)
    except Timeout:
        raise interrupted() from None
    with held:
        yield


def _lock_file(key: Hashable) -> Path:
    name = hashlib.sha256(repr(key).encode()).hexdigest()[:24]
    return Path(platformdirs.user_cache_dir("dfaas_lab"), "locks", f"provision-{name}.lock")


def identity(remote: Remote) -> str:
    """Return what tells hosts apart, whatever address and user they are reached by."""
    names = "/proc/sys/kernel/random/boot_id /etc/machine-id /proc/sys/kernel/hostname"
    return answer(remote, f"cat {names} 2>/dev/null").strip() or remote.host.address


def common_folder(folders: Iterable[str]) -> str:
    """Return the deepest folder that contains all of these; empty ones count as the root's.

    >>> common_folder(["/opt/a", "/opt/b/c"]), common_folder(["/opt/a", ""])
    ('/opt', '/')
    """
    try:
        return posixpath.commonpath([folder or "/" for folder in folders])
    except ValueError:  # a relative one
        return "/"


@contextlib.contextmanager
def hold_there(
    remote: Remote,
    folder: str,
    *,
    cancel: threading.Event,
    waiting: Callable[[], None],
    silence_s: float = _LONGEST_SILENCE_S,
) -> Iterator[None]:
    """Hold the lock of that host against everybody.

    It lasts as long as we do: after ``silence_s`` without a word from us it is lost. The folder in
    which something will be done need not be there yet. While waiting, as :func:`hold_here`.
    """
    script = _HOLD % (shlex.quote(folder), _MINE.decode(), silence_s, _BUSY.decode())
    with remote.open(f"/bin/sh -c {shlex.quote(script)}") as process:
        _wait_there(process, cancel, waiting)
        with _kept_alive(process, silence_s / 5):
            yield
        with contextlib.suppress(RemoteError):
            process.send_eof()


def _wait_there(process: Process, cancel: threading.Event, waiting: Callable[[], None]) -> None:
    """Wait until the lock is ours, or cannot be had there: then we work without one."""
    said = b""
    until = time.monotonic() + _LONGEST_ANSWER_S
    while _MINE not in said:
        part = process.receive(timeout=_POLL_S)
        if part == b"" or (_BUSY not in said and time.monotonic() > until):
            break
        said += part or b""
        if cancel.is_set():
            raise interrupted()
        if _BUSY in said:
            waiting()


@contextlib.contextmanager
def _kept_alive(process: Process, every_s: float) -> Iterator[None]:
    """Send a sign of life again and again, until the block ends."""
    done = threading.Event()

    def send() -> None:
        with contextlib.suppress(RemoteError):  # whoever works through that connection notices too
            while not done.wait(every_s):
                process.send(b".")

    threading.Thread(target=send, name="dfaas-lab-hold", daemon=True).start()
    try:
        yield
    finally:
        done.set()
