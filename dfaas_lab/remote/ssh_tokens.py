"""What stands for something else in an ssh configuration, and the commands that it is filled into.

A command of the user's configuration runs in the user's shell, as ssh runs it.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from dfaas_lab.errors import ConfigError

_TOKEN = re.compile("%(.)", re.DOTALL)
# What may stand in a shell's command without meaning more than itself (CVE-2023-51385).
_PLAIN = re.compile(r"[\w./@:+~%-]*", re.ASCII)
_LONGEST_S = 10.0


def host_tokens(asked: str, *, address: str, port: str, user: str) -> dict[str, str]:
    """Return what each token stands for, of a host that was asked for by that name."""
    here = socket.gethostname()
    return {
        "%": "%",
        "L": here.partition(".")[0],
        "d": str(Path.home()),
        "h": address,
        "l": here,
        "n": asked,
        "p": port,
        "r": user,
        "u": getpass.getuser(),
    }


def fill(text: str, tokens: Mapping[str, str]) -> str:
    """Return the text with its tokens replaced."""
    return _TOKEN.sub(lambda found: tokens[found.group(1)], text)


def fill_command(command: str, tokens: Mapping[str, str], place: str) -> str:
    """Return a shell's command with its tokens replaced.

    Raises:
        ConfigError: A name that goes into it means something to a shell.
    """
    for token in _TOKEN.findall(command):
        if not _PLAIN.fullmatch(tokens[token]):
            raise ConfigError(
                f"{place}: %{token} is {tokens[token]!r}, which must not go into a command",
                hint="Give a user and an address without blanks and special characters.",
            )
    return fill(command, tokens)


def in_shell(command: str) -> list[str]:
    """Return the arguments that run a command in the user's shell, as ssh does."""
    return [os.environ.get("SHELL") or "/bin/sh", "-c", command]


def succeeds(command: str, place: str) -> bool:
    """Run the command of a ``Match exec`` and return whether it ended with 0.

    Raises:
        ConfigError: It does not end, or there is no shell.
    """
    quiet = subprocess.DEVNULL
    try:
        done = subprocess.run(
            in_shell(command), stdin=quiet, stdout=quiet, stderr=quiet, timeout=_LONGEST_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(
            f"{place}: the command of Match exec cannot be asked: {error}",
            hint="Try that command by hand.",
        ) from error
    return done.returncode == 0
