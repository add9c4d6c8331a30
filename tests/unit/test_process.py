"""A command means the same on every host, whatever the user's shell is."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from dfaas_lab.errors import ConnectionFailed
from dfaas_lab.remote.process import CommandResult, Process, TooMuchOutput

PIPES = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


class Login:
    """What paramiko's channel does, with a shell here; what it reads comes in small pieces.

    Args:
        shell: What sshd would start the command with.
    """

    def __init__(self, shell: str) -> None:
        self.shell = shell
        self.status_event = threading.Event()

    def exec_command(self, command: str) -> None:
        argv = [self.shell, "-c", command]
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


def process(command: str, shell: str, learn: Callable[[bool], None] | None = None) -> Process:
    login = Login(shell)
    begun = Process(cast("Any", login), host="here", release=lambda: None)
    begun.start(command, timeout=5, learn=learn)
    return begun


def result(command: str, shell: str) -> CommandResult:
    with process(command, shell) as begun:
        return begun.finish(deadline=time.monotonic() + 20)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "csh", "tcsh"])
def test_a_command_is_one_of_a_posix_shell(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} on this machine")
    # Not in a shell of Bash's: [[ would be known, and a here-string.
    command = "a='x  y'; set -- $a; echo \"$#\" '\\n' \"it's\"; [[ a ]] 2>/dev/null || echo none"
    assert result(command, shell).text.startswith("2 ")
    assert result("echo $0", shell).text == "/bin/sh"


def talking(folder: Path, words: str) -> str:
    """Return a login shell that prints something before each command."""
    shell = folder / "shell"
    shell.write_text(f'#!/bin/sh\n{words}\nexec /bin/sh "$@"\n')
    shell.chmod(0o755)
    return str(shell)


@pytest.mark.parametrize(
    ("words", "talks"),
    [(":", False), ("echo Welcome; echo", True), ("printf 'no end of line'", True)],
)
def test_what_the_login_shell_prints_is_left_out(
    tmp_path: Path, words: str, *, talks: bool
) -> None:
    learnt: list[bool] = []
    with process("printf 'one\\ntwo'; exit 3", talking(tmp_path, words), learnt.append) as begun:
        first = begun.receive(timeout=5, most=3)
        assert first
        assert len(first) <= 3
        end = begun.finish(deadline=time.monotonic() + 20)
    assert (first + end.stdout, end.exit_code) == (b"one\ntwo", 3)
    assert learnt == [talks]


def test_what_a_shell_says_that_runs_nothing_is_kept(tmp_path: Path) -> None:
    learnt: list[bool] = []
    nologin = talking(tmp_path, "echo This account is not available.; exit 1")
    with process("echo hello", nologin, learnt.append) as begun:
        end = begun.finish(deadline=time.monotonic() + 20)
    assert (end.text, end.exit_code) == ("This account is not available.", 1)
    assert learnt == []


class Endless(Login):
    """A host that sends the same without end.

    Args:
        data: What it sends on standard output, once for each reading.
        pause_s: How long it waits before.
    """

    def __init__(self, data: bytes, pause_s: float = 0) -> None:
        super().__init__("/bin/sh")
        self.data, self.pause_s = data, pause_s

    def exec_command(self, command: str) -> None:
        pass

    def recv(self, most: int) -> bytes:
        time.sleep(self.pause_s)
        return self.data[:most]

    def close(self) -> None:
        pass


def endless(data: bytes, pause_s: float = 0, *, login_shell: bool = False) -> Process:
    begun = Process(cast("Any", Endless(data, pause_s)), host="here", release=lambda: None)
    begun.start("x", timeout=5, learn=(lambda _: None) if login_shell else None)
    return begun


@pytest.mark.parametrize("login_shell", [False, True])
def test_output_without_end_is_bounded(login_shell: bool) -> None:
    with (
        endless(b"x" * 65536, login_shell=login_shell) as begun,
        pytest.raises(TooMuchOutput, match=r"more than 16 MB|the login shell prints without end"),
    ):
        begun.finish(deadline=time.monotonic() + 60)


@pytest.mark.parametrize("login_shell", [False, True])
def test_a_deadline_holds_for_the_whole_and_not_between_bytes(login_shell: bool) -> None:
    began = time.monotonic()
    with (
        endless(b"x", 0.02, login_shell=login_shell) as begun,
        pytest.raises(TimeoutError),
    ):
        begun.finish(deadline=time.monotonic() + 0.5, idle_s=5)
    assert time.monotonic() - began < 20


def test_a_login_shell_that_drips_does_not_hold_up_who_looks() -> None:
    began = time.monotonic()
    with endless(b"x", 0.02, login_shell=True) as begun:
        assert begun.receive(timeout=0.2) is None
    assert time.monotonic() - began < 20


def test_a_host_that_never_takes_a_command_is_lost() -> None:
    class Deaf(Endless):
        """Paramiko waits for the host's yes until the channel is closed."""

        def __init__(self) -> None:
            super().__init__(b"")
            self.closed = threading.Event()

        def exec_command(self, command: str) -> None:
            assert self.closed.wait(60)
            raise EOFError("the channel was closed")

        def close(self) -> None:
            self.closed.set()

    begun = Process(cast("Any", Deaf()), host="here", release=lambda: None)
    with pytest.raises(ConnectionFailed, match="was lost"):
        begun.start("x", timeout=0.2)


@pytest.mark.parametrize(
    "setting",
    [("CDPATH", ".:/"), ("TAR_OPTIONS", "--verbose"), ("IFS", "x"), ("SHELLOPTS", "noclobber")],
)
def test_a_command_depends_on_nothing_of_the_users_environment(
    setting: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "taken").touch()
    monkeypatch.setenv(*setting)
    monkeypatch.setenv("HOME", str(tmp_path))
    command = 'cd ~ && cd tmp && : >../taken && echo "$HOME" && tar -C .. -cf /dev/null taken'
    done = result(command, "bash")
    assert (done.stdout.decode(), done.stderr) == (f"{tmp_path}\n", b"")


def test_every_byte_of_a_command_arrives(tmp_path: Path) -> None:
    text = "".join(map(chr, range(1, 127))) + "é \U0001f600 %s \\0101 \\c !! $HOME `x`"
    for shell in ("/bin/sh", "bash", *filter(shutil.which, ("zsh", "fish", "csh", "tcsh"))):
        done = result(f"printf %s {shlex.quote(text)}", shell)
        assert done.stdout.decode() == text, shell
