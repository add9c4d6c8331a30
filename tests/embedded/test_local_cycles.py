"""A lab leaves no process, port or file behind, however its owner, manager or parts end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

import dfaas_lab
from dfaas_lab.errors import DfaasLabError
from dfaas_lab.local import lab_directory as room
from dfaas_lab.local import start
from tests.embedded.leftovers import Leftovers
from tests.embedded.local_owner import busy

ROOT = Path(dfaas_lab.__file__).parents[1]


@dataclass
class Owner:
    """A lab and the process that owns it."""

    process: subprocess.Popen[str]
    manager: int
    path: Path
    url: str


@contextlib.contextmanager
def owner(tmp: Path, mode: str, targets: int = 1) -> Iterator[Owner]:
    env = {**os.environ, "TMPDIR": str(tmp), "PYTHONPATH": str(ROOT)}
    script = [sys.executable, "-m", "tests.embedded.local_owner", mode, str(targets)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(
        script, env=env, cwd=ROOT, text=True, start_new_session=True, **pipes
    )
    try:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        yield Owner(process, facts["manager"], Path(facts["path"]), facts["url"])
    finally:
        # Its ssh client too: this group is the owner's, the lab is not in it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def leftovers(tmp_path: Path) -> Leftovers:
    return Leftovers(tmp_path)


def held_request(url: str) -> socket.socket:
    """Leave a request in flight, so that a function runs while everything ends."""
    client = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
    client.sendall(b"GET /function/slow HTTP/1.1\r\nHost: x\r\n\r\n")
    return client


def test_with_ends_everything(leftovers: Leftovers, tmp_path: Path) -> None:
    for targets in (1, 3):
        with owner(tmp_path, "close", targets) as own, held_request(own.url):
            assert len(leftovers.note_ports()) >= 1 + 2 * targets
            assert len(leftovers.found()) >= 2 + 1 + targets + 4  # owner, manager, parts, detached
            own.process.communicate("", timeout=30)
            assert own.process.returncode == 0
            leftovers.wait_for_none()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_owner_takes_its_lab_along(
    leftovers: Leftovers, tmp_path: Path, number: int
) -> None:
    with owner(tmp_path, "wait") as own, held_request(own.url):
        leftovers.note_ports()
        own.process.send_signal(number)
        leftovers.wait_for_none()


def test_ctrl_c_is_for_the_owner_not_for_the_lab(leftovers: Leftovers, tmp_path: Path) -> None:
    with owner(tmp_path, "wait") as own:
        leftovers.note_ports()
        lab = [one for one in leftovers.found() if one.pid != own.process.pid]
        groups = {os.getpgid(one.pid) for one in lab if one.name() != "ssh"}
        assert os.getpgid(own.process.pid) not in groups
        # As a terminal does it: to the whole foreground group.
        os.killpg(own.process.pid, signal.SIGINT)
        assert own.process.wait(30) != 0  # KeyboardInterrupt left the with block, in order
        leftovers.wait_for_none()


def test_a_forked_child_of_the_owner_does_not_keep_the_lab(
    leftovers: Leftovers, tmp_path: Path
) -> None:
    code = (
        "import os, time; from dfaas_lab.local import start; lab = start();"
        "pid = os.fork(); pid or time.sleep(1000); print(pid, flush=True); time.sleep(1000)"
    )
    env = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", code]
    process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    forked = int(process.stdout.readline())
    process.kill()
    process.wait()
    try:  # it holds the pipe to the process manager, which still must end
        until = time.monotonic() + 15
        while len(leftovers.found()) > 1 and time.monotonic() < until:
            time.sleep(0.05)
        assert [one.pid for one in leftovers.found()] == [forked]
    finally:
        os.kill(forked, signal.SIGKILL)
    process.communicate()
    leftovers.wait_for_none()


def test_a_killed_manager_takes_its_lab_along(leftovers: Leftovers, tmp_path: Path) -> None:
    with owner(tmp_path, "wait") as own, held_request(own.url):
        leftovers.note_ports()
        os.kill(own.manager, signal.SIGKILL)
        own.process.kill()
        leftovers.wait_for_none()


def test_what_a_fully_killed_lab_left_is_cleared_by_the_next(
    leftovers: Leftovers, tmp_path: Path
) -> None:
    with owner(tmp_path, "wait") as own:
        leftovers.note_ports()
        manager = psutil.Process(own.manager)
        parts = [one for one in manager.children() if "dfaas_lab" in " ".join(one.cmdline())]
        own.process.kill()
        own.process.wait()  # no orphans' clearer may be left, so all at once
        for one in (manager, *parts):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.suspend()
        for one in (*parts, manager):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
    with owner(tmp_path, "close") as second:
        assert second.path != own.path
        assert not own.path.exists()
        second.process.communicate("", timeout=30)
        leftovers.wait_for_none()


def test_a_lab_in_use_is_not_swept(tmp_path: Path) -> None:
    with owner(tmp_path, "close") as first:
        with owner(tmp_path, "close") as second:
            assert first.path.exists()
            second.process.communicate("", timeout=30)
        assert first.path.exists()
        assert not second.path.exists()
        assert first.process.poll() is None


def test_somebody_elses_directory_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    target = tmp_path / "precious"
    target.mkdir()
    (tmp_path / f"{room.PREFIX}link").symlink_to(target)
    (tmp_path / f"{room.PREFIX}new").mkdir()  # between mkdir and lock
    (tmp_path / f"{room.PREFIX}file").touch()
    foreign = tmp_path / f"{room.PREFIX}foreign"  # no lab ever had it: there is no lock
    foreign.mkdir()
    (foreign / "data").touch()
    unborn = tmp_path / f"{room.PREFIX}unborn"  # killed before it had a lock
    unborn.mkdir()
    for old in (foreign, unborn):
        os.utime(old, (0, 0))
    room.sweep()
    assert (foreign / "data").exists()
    assert not unborn.exists()
    assert len(list(tmp_path.iterdir())) == 5


def test_close_is_idempotent_and_orders_after_it_are_errors() -> None:
    lab = start()
    path = lab.path
    assert path.stat().st_mode & 0o777 == 0o700
    for secret in ("client_key", "host_key"):
        assert (path / "ssh" / secret).stat().st_mode & 0o077 == 0
    lab.close()
    lab.close()
    assert not path.exists()
    with pytest.raises(DfaasLabError, match="process manager has ended"):
        lab.ssh_server.kill()


def test_close_after_the_manager_was_killed_leaves_nothing() -> None:
    with start() as lab:
        client = busy(lab)
        family = psutil.Process(lab.manager_pid).children(recursive=True)
        psutil.Process(lab.manager_pid).kill()
    client.kill()
    client.communicate()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [one for one in alive if one.status() != psutil.STATUS_ZOMBIE] == []
    assert not lab.path.exists()


def test_an_exception_in_the_block_ends_the_lab_and_goes_on() -> None:
    with pytest.raises(ZeroDivisionError), start() as lab:
        _ = 1 / 0
    assert not lab.path.exists()
    assert not psutil.pid_exists(lab.manager_pid)


def test_a_directory_nobody_may_enter_is_removed_too() -> None:
    with start() as lab:
        locked = lab.ssh.home / "a" / "b"
        locked.mkdir(parents=True)
        (locked / "file").touch(mode=0o000)
        locked.chmod(0o000)
        locked.parent.chmod(0o500)
    assert not lab.path.exists()


def test_labs_side_by_side_do_not_meet() -> None:
    with start() as one, start() as two:
        assert one.ssh.port != two.ssh.port
        assert one.path != two.path
        one.close()
        assert two.path.exists()
        two.ssh_server.restart()


def test_what_is_not_installed_is_named() -> None:
    code = "from dfaas_lab.local import start; start()"
    # -S: the standard library and this package, as where only the package is installed.
    argv = [sys.executable, "-S", "-c", code]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert "ConfigError: the embedded lab needs asyncssh, starlette, uvicorn" in done.stderr
    assert "pip install 'dfaas-lab[local]'" in done.stderr


def test_a_part_that_does_not_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    broken, tmp = tmp_path / "broken", tmp_path / "tmp"
    broken.mkdir()
    tmp.mkdir()
    (broken / "asyncssh.py").write_text("raise ImportError('a broken installation')")
    paths = os.pathsep.join((str(broken), str(ROOT)))
    env = {**os.environ, "TMPDIR": str(tmp), "PYTHONPATH": paths}
    argv = [sys.executable, "-c", "from dfaas_lab.local import start; start()"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "DfaasLabError: the embedded lab: the lab's ssh did not start:" in done.stderr
    assert "ImportError: a broken installation" in done.stderr  # its own last line
    Leftovers(tmp).wait_for_none()
