"""Ending what an interrupted playbook left running on a host, found by the run's mark.

Closing ssh does not end a module without a terminal: it would go on, and hold its locks.
"""

from __future__ import annotations

import contextlib
import shlex
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from dfaas_lab.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dfaas_lab.remote.remote import Remote

MARK = "DFAAS_LAB_RUN"

_END = """found() {
  for p in /proc/[0-9]*; do
    grep -aqs "%s=%s" "$p/environ" && echo "${p#/proc/}"
  done
}
pids=$(found); [ -z "$pids" ] && exit 0
kill -TERM $pids 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do
  pids=$(found); [ -z "$pids" ] && exit 0
  sleep 0.1
done
kill -KILL $pids 2>/dev/null
:"""


def end_tasks(remotes: Iterable[Remote], mark: str, *, timeout: float = 4.0) -> None:
    """End every process with that mark on these hosts; one that cannot be reached is left alone."""
    todo = list(remotes)
    with ThreadPoolExecutor(max(len(todo), 1)) as pool:
        for remote in todo:
            pool.submit(_end_tasks, remote, mark, timeout)


def _end_tasks(remote: Remote, mark: str, timeout: float) -> None:
    script = shlex.quote(_END % (MARK, mark))
    password = remote.host.become_password
    with contextlib.suppress(RemoteError):
        if remote.host.become and password is not None:
            remote.run(
                f"sudo -S -p '' /bin/sh -c {script}",
                stdin=password.encode() + b"\n",
                timeout=timeout,
                check=False,
            )
        elif remote.host.become:
            remote.run(
                f"sudo -n /bin/sh -c {script} 2>/dev/null || /bin/sh -c {script}",
                timeout=timeout,
                check=False,
            )
        else:
            remote.run(f"/bin/sh -c {script}", timeout=timeout, check=False)
