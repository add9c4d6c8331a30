"""The output of a script on a host, without what the login shell prints before it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from dfaas_lab.errors import CommandFailed

if TYPE_CHECKING:
    from dfaas_lab.remote.remote import Remote

SHELL_HINT = "Log in there by hand: the user's shell must run commands (ssh HOST true) and end."

# A ~/.bashrc may print whatever it likes before our script begins.
_BEGIN = "dfaas-lab says:"


def answer(remote: Remote, script: str, *, timeout: float = 30.0) -> str:
    """Run a script with the host's ``/bin/sh`` and return what it printed.

    Raises:
        ConnectionFailed: The host cannot be reached.
        CommandFailed: The user's shell there ran nothing, or did not end in time.
    """
    command = f"/bin/sh -c {shlex.quote(f'echo {shlex.quote(_BEGIN)}; {script}')}"
    result = remote.run(command, timeout=timeout, check=False)
    before, begin, said = result.stdout.decode(errors="replace").partition(f"{_BEGIN}\n")
    if begin:
        return said
    stderr = result.stderr.decode(errors="replace")
    words = "\n".join(text.strip() for text in (before, stderr) if text.strip())
    raise CommandFailed(
        f"{remote.host}: the user's shell runs no commands; it says: {words or 'nothing'}",
        host=remote.host.address,
        command=command,
        exit_code=result.exit_code,
        stderr=stderr,
        hint=SHELL_HINT,
    )
