"""What the scripts on a generator do when things go wrong there, with a k6 of a few lines."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import psutil
import pytest

from dfaas_lab.errors import ConnectionFailed, WorkspaceError
from dfaas_lab.k6.custom_script import CustomScript
from dfaas_lab.k6.launch import Terms, _archive, _script, inspect, starting
from dfaas_lab.k6.monitor import K6Monitor, workspace_state
from dfaas_lab.k6.output import End
from dfaas_lab.local import LocalLab, start
from dfaas_lab.remote.prepared_command import PreparedCommand
from dfaas_lab.remote.remote import Remote
from dfaas_lab.remote.workspace import Workspace, fetch, fetching
from tests.embedded.fault_lab import wait_for
from tests.embedded.faults import TcpProxy
from tests.embedded.ready import host_of
from tests.embedded.test_disk_full import _on_a_small_disk

DEAF = "trap '' INT TERM; while :; do sleep 0.1; done"
NOISE_S = 20.0


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for process in inside(tmp_path):
        with contextlib.suppress(psutil.Error):
            process.kill()


def inside(root: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd().startswith(str(root)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def named(root: Path) -> set[str]:
    names = set()
    for process in inside(root):
        with contextlib.suppress(psutil.Error):
            names.add(process.name())
    return names


def sent(root: Path, k6: str, *, limit_s: int = 60, lease_s: int = 0) -> Path:
    """A workspace as it is sent, for a k6 of these lines."""
    program = root / "k6"
    program.write_text(f"#!/bin/sh\n{k6}\n")
    program.chmod(0o755)
    workspace = Workspace.new(str(root))
    terms = Terms(k6_path=str(program), limit_s=limit_s, lease_s=lease_s)
    with tarfile.open(fileobj=BytesIO(_archive([workspace], [{}], [terms]))) as archive:
        archive.extractall(root)  # our own; not every 3.11 has filter=
    return Path(workspace.path)


def supervised(workspace: Path) -> str:
    """Supervise it to its end; what the journal says then."""
    command = ["sh", "./supervise.sh", workspace.name]
    subprocess.run(command, cwd=workspace, timeout=60, check=False, capture_output=True)
    return (workspace / "journal").read_text()


def test_a_workspace_that_takes_no_new_file_hides_no_end(root: Path) -> None:
    workspace = sent(root, "exit 0")
    (workspace / "room").mkdir()  # it cannot be written, not even by root
    assert f"@{workspace.name} ended 0 - - full" in supervised(workspace)
    assert (workspace / "exit").read_text().split() == ["0", "full"]


def test_k6_is_gone_within_its_lease_though_it_does_not_listen(root: Path) -> None:
    workspace = sent(root, DEAF, lease_s=3)
    (workspace / "spare" / "killed").mkdir()  # that it was killed cannot be noted
    assert "ended 137 lease" in supervised(workspace)
    times = [float((workspace / name).read_text()) for name in ("started", "ended")]
    assert 2 < times[1] - times[0] < 4.5


def test_k6_goes_on_while_its_controller_is_heard(root: Path) -> None:
    workspace = sent(root, "sleep 5", lease_s=3)
    supervisor = subprocess.Popen(["sh", "./supervise.sh", workspace.name], cwd=workspace)
    until = time.monotonic() + 60
    while supervisor.poll() is None and time.monotonic() < until:
        with subprocess.Popen(["sh", "./follow.sh", "1"], cwd=workspace, **PIPES) as follower:
            follower.communicate(b"beat 1\n", timeout=30)
        time.sleep(0.2)
    assert "ended 0 - - -" in (workspace / "journal").read_text()


def test_k6_without_a_pid_on_disk_is_not_begun(root: Path) -> None:
    workspace = sent(root, "touch begun")
    (workspace / "pid").unlink()
    (workspace / "pid").mkdir()
    journal = supervised(workspace)
    assert "k6 is not started: its pid cannot be written" in journal
    assert "ended 74" in journal
    assert not (workspace / "begun").exists()


def test_a_disk_that_is_full_from_the_beginning_takes_no_control_away(root: Path) -> None:
    workspace = sent(root, "exec sleep 30", limit_s=1)
    script = (
        'cp -r "$1" "$2" && cd "$2/${1##*/}" && { cat /dev/zero >../filler; } 2>/dev/null; '
        'sh ./supervise.sh "${1##*/}"; cat exit pid stopped/reason'
    )
    disk = root / "disk"
    disk.mkdir()
    command = [*_on_a_small_disk(disk), "sh", "-c", script, "sh", str(workspace), str(disk)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    code, full, pid, start, reason = done.stdout.split()
    assert (code, full, reason) == ("143", "full", "timeout")
    assert int(pid) > 1 < int(start)


PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def note_this_process(workspace: Path, start: str) -> None:
    """Let this process be the workspace's supervisor."""
    (workspace / "supervisor").write_text(f"{os.getpid()} {start}\n")


def test_a_follower_that_is_left_leaves_nothing(root: Path) -> None:
    workspace = sent(root, "exit 0")
    note_this_process(workspace, "")
    with subprocess.Popen(["sh", "./follow.sh", "1"], cwd=workspace, **PIPES) as follower:
        until = time.monotonic() + NOISE_S
        while "tail" not in named(workspace):
            assert time.monotonic() < until
            time.sleep(0.05)
        follower.communicate(timeout=NOISE_S)
    until = time.monotonic() + NOISE_S
    while left := inside(workspace):
        assert time.monotonic() < until, left
        time.sleep(0.05)


def test_a_follower_ends_with_its_supervisor(root: Path) -> None:
    workspace = sent(root, "exit 0")
    (workspace / "journal").write_text("all of it\n")
    with subprocess.Popen(["sleep", "1"]) as supervisor:
        threading.Thread(target=supervisor.wait).start()  # it is nobody's zombie
        (workspace / "supervisor").write_text(f"{supervisor.pid}\n")
        with subprocess.Popen(["sh", "./follow.sh", "5"], cwd=workspace, **PIPES) as follower:
            assert follower.stdout is not None
            assert follower.stdout.read() == b"of it\n"
            follower.wait(NOISE_S)
    assert inside(workspace) == []


def test_a_pid_that_somebody_else_has_since_a_reboot_is_no_supervisor(
    root: Path, local_lab: LocalLab
) -> None:
    remote = Remote(host_of(local_lab))
    place = sent(root, "exit 0")
    note_this_process(place, "1")
    (place / "pid").write_text(f"{os.getpid()} 1\n")
    workspace = Workspace(str(root), place.name)
    assert workspace_state(remote, workspace) == "sent"
    ends: list[End] = []
    following = K6Monitor(remote, workspace, Terms(k6_path="", limit_s=60, lease_s=0))
    stop = threading.Event()
    thread = threading.Thread(target=lambda: ends.append(following.until_end(stop)), daemon=True)
    thread.start()
    thread.join(NOISE_S)
    remote.close()
    assert [end.exit_code for end in ends] == [None]
    # Nor is it k6, whom a stop ends.
    subprocess.run(["sh", "./stop.sh", "interrupt"], cwd=place, check=True, timeout=30)
    assert "stopping interrupt" in (place / "journal").read_text()


@pytest.mark.parametrize(("seconds", "ends"), [(1, False), (60, True)], ids=["limit", "left"])
def test_what_inspects_a_script_without_an_end_ends(root: Path, seconds: int, ends: bool) -> None:
    workspace = sent(root, DEAF)
    (workspace / "env").touch()
    (workspace / "inspect.sh").write_bytes(_script("inspect.sh"))
    command = ["sh", "./inspect.sh", str(seconds), str(root / "k6"), "script.js"]
    with subprocess.Popen(command, cwd=workspace, **PIPES) as asked:
        if ends:
            time.sleep(1)
            assert asked.stdin is not None
            asked.stdin.close()
        assert asked.wait(NOISE_S) == 137
    assert inside(root) == []
    assert not workspace.exists()


def test_a_controller_that_leaves_an_inspection_leaves_nothing(
    root: Path, local_lab: LocalLab
) -> None:
    """Its k6 would go on in the loop of a script for ever."""
    remote = Remote(host_of(local_lab))
    k6 = root / "k6"
    k6.write_text(f"#!/bin/sh\n{DEAF}\n")
    k6.chmod(0o755)
    script = CustomScript("a.js", {"a.js": b"for (;;) {}"})
    errors: list[Exception] = []

    def ask() -> None:
        try:
            inspect(remote, str(root), str(k6), script)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    wait_for(lambda: "k6" in named(root), "k6 in its loop", within_s=NOISE_S)
    remote.close()
    wait_for(lambda: not inside(root), lambda: f"the end of {inside(root)}", within_s=NOISE_S)
    thread.join(NOISE_S)
    assert [type(error) for error in errors] == [ConnectionFailed]
    assert [path for path in root.iterdir() if path.is_dir()] == []


def test_connecting_takes_nothing_of_a_commands_time(local_lab: LocalLab, tmp_path: Path) -> None:
    with TcpProxy(local_lab.ssh.port) as proxy:
        known_hosts = tmp_path / "known_hosts"
        key = local_lab.ssh.known_hosts.read_text().split(" ", 1)[1]
        known_hosts.write_text(f"[127.0.0.1]:{proxy.port} {key}")
        slow = replace(host_of(local_lab), port=proxy.port, known_hosts=known_hosts)
        remote = Remote(slow)
        proxy.freeze()
        thaw = threading.Timer(3, proxy.thaw)
        thaw.start()
        assert remote.run("sleep 1; echo here", timeout=2.5).text == "here"
        remote.close()


def test_a_start_without_its_input_makes_nothing(local_lab: LocalLab, root: Path) -> None:
    remote = Remote(host_of(local_lab))
    ahead = PreparedCommand(remote, starting(Workspace.new(str(root))))
    process = ahead.take()
    wait_for(lambda: inside(root) == [], lambda: f"no process in {root}", within_s=NOISE_S)
    process.send(b"\n")  # no workspace is to be removed, and then the controller is killed
    wait_for(lambda: inside(root) != [], lambda: "its shell waits there", within_s=NOISE_S)
    process.close()
    wait_for(lambda: inside(root) == [], lambda: f"the end of {inside(root)}", within_s=NOISE_S)
    assert list(root.iterdir()) == []
    remote.close()


def test_a_command_that_was_started_ahead_is_there_once_and_then_anew(local_lab: LocalLab) -> None:
    remote = Remote(host_of(local_lab))
    ahead = PreparedCommand(remote, "read -r word && echo $$ $word")
    said = []
    for word in (b"first\n", b"again\n"):
        with ahead.take() as process:
            process.send(word)
            said.append(process.finish(deadline=time.monotonic() + NOISE_S).text.split())
    assert [words[1] for words in said] == ["first", "again"]
    assert said[0][0] != said[1][0]
    ahead.close()
    lost = PreparedCommand(remote, "read -r word && echo $word")
    remote.close()
    with lost.take() as process, contextlib.suppress(ConnectionFailed):
        process.send(b"lost\n")
    with lost.take() as process:
        process.send(b"here\n")
        assert process.finish(deadline=time.monotonic() + NOISE_S).text == "here"
    remote.close()


def test_results_that_cannot_be_read_to_their_end_are_told(root: Path) -> None:
    workspace = sent(root, "exit 0")
    programs = root / "bin"
    programs.mkdir()
    tar = programs / "tar"
    with start() as lab:
        lab.ssh_server.restart(env={"PATH": f"{programs}:/usr/bin:/bin"})
        remote = Remote(host_of(lab))
        for code in (1, 2):  # 1: a file was written meanwhile
            tar.write_text(f'#!/bin/sh\n/usr/bin/tar "$@"\necho what it says >&2\nexit {code}\n')
            tar.chmod(0o755)
            into = root / f"into-{code}"
            into.mkdir()
            told = pytest.raises(WorkspaceError, match="what it says")
            with told if code == 2 else contextlib.nullcontext():
                there = Workspace(str(root), workspace.name)
                opened = remote.open(fetching(there, without=["beat"]))
                fetch(remote, there, into, opened=opened)
            assert (into / "journal").exists() == (code == 1)
        assert not (root / "into-1" / "beat").exists()
        remote.close()
