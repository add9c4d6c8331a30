"""Ends tasks that an interrupted playbook left on a host, found by the run's mark.

Closing ssh does not end a module without a terminal: it would go on, and hold its locks.
"""

from __future__ import annotations

import contextlib
import shlex
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from dfaas_lab.errors import RemoteError
from dfaas_lab.secret import SecretBytes

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
    """End the tasks as root where that can be, and those of the user in any case."""
    script = f"/bin/sh -c {shlex.quote(_END % (MARK, mark))}"
    host, stdin = remote.host, b""
    if host.become:
        sudo = "sudo -n"
        if host.become_password is not None:
            sudo, stdin = "sudo -S -p ''", SecretBytes(host.become_password.encode() + b"\n")
        script = f'[ "$(id -u)" != 0 ] && {sudo} {script} 2>/dev/null || {script}'
    with contextlib.suppress(RemoteError):
        remote.run(f"/bin/sh -c {shlex.quote(script)}", stdin=stdin, timeout=timeout, check=False)
