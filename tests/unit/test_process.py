"""A command means the same on every host, whatever the user's shell is and says first."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from typing import Any, cast

import pytest

from dfaas_lab.remote.process import CommandResult, Process

PIPES = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


class Login:
    """What paramiko's channel does, with a shell here; what it reads comes in small pieces.

    Args:
        shell: What sshd would start the command with.
        first: What that shell runs before.
    """

    def __init__(self, shell: str, first: str) -> None:
        self.shell, self.first = shell, first
        self.status_event = threading.Event()

    def exec_command(self, command: str) -> None:
        argv = [self.shell, "-c", f"{self.first}\n{command}"]
        self.process = subprocess.Popen(argv, **PIPES)

    def recv(self, most: int) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.read(min(most, 5))

    def recv_stderr(self, most: int) -> bytes:
        assert self.process.stderr is not None
        if not (said := self.process.stderr.read(most)):
            self.process.wait(20)
            self.status_event.set()
        return said

    def recv_stderr_ready(self) -> bool:
        return False

    def recv_exit_status(self) -> int:
        return self.process.wait(20)

    def settimeout(self, timeout: float) -> None:
        pass

    def close(self) -> None:
        with self.process:
            self.process.kill()


def process(first: str, command: str, shell: str = "sh") -> Process:
    login = Login(shell, first)
    begun = Process(cast("Any", login), host="here", release=lambda: None)
    begun.start(command, timeout=5)
    return begun


def result(first: str, command: str, shell: str = "sh") -> CommandResult:
    with process(first, command, shell) as begun:
        return begun.finish(deadline=time.monotonic() + 20)


@pytest.mark.parametrize("first", [":", "echo Welcome", "printf 'no end of line'"])
def test_what_a_login_shell_prints_is_no_part_of_the_answer(first: str) -> None:
    assert result(first, "printf 'a\\n\\nb'; exit 3").stdout == b"a\n\nb"
    assert result(first, "exit 3").exit_code == 3


def test_no_byte_is_read_beyond_what_was_asked_for() -> None:
    with process("echo Welcome", "echo ok; echo journal") as begun:
        word = b""
        while len(word) < 3:
            word += begun.receive(timeout=5, most=3 - len(word)) or b""
        assert word == b"ok\n"
        assert begun.finish(deadline=time.monotonic() + 20).stdout == b"journal\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "csh"])
def test_a_command_is_one_of_a_posix_shell(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} on this machine")
    # Not in a shell of Bash's: [[ would be known, and a here-string.
    command = "a='x  y'; set -- $a; echo \"$#\" '\\n' \"it's\"; [[ a ]] 2>/dev/null || echo none"
    assert result(":", command, shell).text.startswith("2 ")
    assert result(":", "echo $0", shell).text == "/bin/sh"


def test_a_shell_that_ends_before_the_command_is_heard_to_the_end() -> None:
    refused = result("echo no account; exit 1", "echo here")
    assert (refused.exit_code, refused.stdout) == (1, b"")
