"""Provisioning through real Ansible and real SSH, on the embedded lab."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dfaas_lab.background import run_interruptible
from dfaas_lab.config import Host
from dfaas_lab.errors import ConfigError, HostUnreachable, ProvisionError, TaskFailed
from dfaas_lab.local import LocalLab, start
from dfaas_lab.progress import Progress
from dfaas_lab.provision import cache
from dfaas_lab.provision.local_k6 import local_k6
from dfaas_lab.provision.playbook_run import usable_tmp
from dfaas_lab.provision.provision import provision
from dfaas_lab.provision.spec import GeneratorSpec
from dfaas_lab.remote.remote import Remote
from tests.embedded.tarpit import Tarpit
from tests.sessions import new_session, outcome


def host_of(lab: LocalLab, **changes: object) -> Host:
    login = {
        "port": lab.ssh.port,
        "user": lab.ssh.user,
        "key": lab.ssh.key,
        "known_hosts": lab.ssh.known_hosts,
        "become": False,
    }
    return Host(lab.ssh.host, **{**login, **changes})  # type: ignore[arg-type]


def spec_of(
    lab: LocalLab, root: Path, *, host: Host | None = None, **more: object
) -> GeneratorSpec:
    """A generator below a folder of its own."""
    settings: dict[str, object] = {
        "workspace_root": str(root / "runs"),
        "install_dir": str(root / "k6"),
        "python": lab.ssh.python,
        "remote_tmp": str(lab.ssh.remote_tmp),
    }
    return GeneratorSpec(host=host or host_of(lab), name="local", **{**settings, **more})  # type: ignore[arg-type]


@pytest.fixture
def spec(local_lab: LocalLab, tmp_path: Path) -> GeneratorSpec:
    return spec_of(local_lab, tmp_path)


def marker_of(spec: GeneratorSpec) -> dict[str, object]:
    [marker] = Path(spec.workspace_root).glob(".provisioned-*.json")
    return dict(json.loads(marker.read_text()))


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of this test's own, with a blank in its name, for Ansible's private folders."""
    with tempfile.TemporaryDirectory(prefix="a b-", dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def private_folders(private: Path) -> list[str]:
    return [path.name for path in private.glob("dfaas-play-*")]


def processes_with(*texts: str) -> list[str]:
    """Command lines and environments that contain all of these texts."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            words = (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
        except OSError:
            continue
        if int(proc.name) != os.getpid() and all(text.encode() in words for text in texts):
            found.append(words.replace(b"\0", b" ").decode(errors="replace")[:200])
    return found


def test_it_installs_k6_and_says_what_it_did(spec: GeneratorSpec, private: Path) -> None:
    progress = Progress()
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    report = provision([spec], progress=progress)

    assert report
    assert (report.cached, report.changed) == (False, 3)
    assert report.seconds > 0
    assert report.tasks.columns == ["host", "task", "status", "seconds", "message"]
    rows = {row["task"]: row for row in report.tasks.to_dicts()}
    assert rows["Copy k6"]["status"] == "changed"
    assert rows["Copy k6"]["host"] == str(spec.host)

    own = local_k6()
    assert own is not None
    marker = marker_of(spec)
    assert marker["format"] == 1
    assert marker["k6_version"] == own.version
    assert marker["playbook_digest"] == spec.digest()
    says = subprocess.run([str(marker["k6_path"]), "version"], capture_output=True, text=True)
    assert f"v{own.version}" in says.stdout
    assert str(marker["k6_path"]).startswith(f"{spec.install_dir}/")
    assert Path(spec.workspace_root).stat().st_mode & 0o7777 == 0o1777

    [step] = progress.snapshot()
    assert (step.state, step.fraction) == ("ok", 1.0)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert private_folders(private) == []

    again = provision([spec])
    assert (again.cached, again.changed) == (True, 0)
    assert again.tasks.equals(report.tasks)
    once_more = provision([spec], force=True)
    assert (once_more.cached, once_more.changed) == (False, 0)


@pytest.mark.slow
def test_a_new_session_without_a_venv_on_path_sees_what_is_in_place(spec: GeneratorSpec) -> None:
    # Nothing of the user's own Ansible may matter.
    hostile = {
        "ANSIBLE_BECOME": "true",
        "ANSIBLE_CONFIG": "/nowhere",
        "ANSIBLE_STDOUT_CALLBACK": "x",
    }
    assert outcome(new_session(spec, **hostile)) == "ran 3"
    assert outcome(new_session(spec)) == "cached 0"
    assert provision([spec]).cached

    # Whatever was changed behind our back is seen by the next session, and mended.
    Path(str(marker_of(spec)["k6_path"])).write_text("#!/bin/sh\nexit 1\n")
    assert outcome(new_session(spec)) == "ran 1"


@contextmanager
def waiting_session(lab: LocalLab, root: Path, private: Path) -> Iterator[subprocess.Popen[str]]:
    """A session whose module on the host waits for an archive that never comes."""
    with Tarpit() as tarpit:
        url = f"{tarpit.url}/{uuid4().hex}.tar.gz"
        where = {"k6_release_url": url, "k6_release_checksum": "sha256:" + "0" * 64}
        spec = spec_of(lab, root, k6_source="release", k6_version="1.1.0", variables=where)
        session = new_session(spec, TMPDIR=str(private))
        tarpit.wait_for_visitor(60)
        assert modules_of(lab)
        yield session


def modules_of(lab: LocalLab) -> list[str]:
    """What a playbook runs now on the lab's host."""
    return processes_with("DFAAS_LAB_RUN=", str(lab.path))


@pytest.mark.slow
def test_an_interrupt_ends_everything_and_the_next_call_works(
    local_lab: LocalLab, tmp_path: Path, private: Path
) -> None:
    with waiting_session(local_lab, tmp_path, private) as session:
        started = time.monotonic()
        session.send_signal(signal.SIGINT)
        assert outcome(session) == "interrupted"
        seconds = time.monotonic() - started
        assert session.returncode == 3
        assert seconds < 20  # the module would wait for a minute
        assert modules_of(local_lab) == []
        assert [line for line in processes_with(str(private)) if "ansible" in line] == []
        assert private_folders(private) == []
    assert provision([spec_of(local_lab, tmp_path)]).changed


@pytest.mark.slow
def test_what_a_kill_left_is_cleared_by_the_next_call(
    local_lab: LocalLab, tmp_path: Path, private: Path
) -> None:
    with waiting_session(local_lab, tmp_path, private) as session:
        session.kill()
        session.communicate(timeout=30)
        assert len(private_folders(private)) == 1
        assert processes_with(str(private), "ansible")  # Ansible itself goes on
        assert provision([spec_of(local_lab, tmp_path)]).changed
        assert private_folders(private) == []
        assert processes_with(str(private), "ansible") == []


@pytest.mark.slow
def test_no_value_is_a_template(local_lab: LocalLab, tmp_path: Path) -> None:
    marks = iter(range(100))

    def template() -> str:
        command = f"touch {tmp_path}/mark{next(marks)}; echo 1"
        return f"{{{{ lookup('pipe', '{command}') }}}}"

    release = {"k6_source": "release", "k6_version": "1.1.0"}
    wishes: list[dict[str, Any]] = [
        {"python": template()},
        {"remote_tmp": template()},
        {"install_dir": f"{tmp_path}/k6/{template()}"},
        {**release, "variables": {"k6_release_url": template()}},
        {
            **release,
            "variables": {"k6_release_base": template(), "k6_processors": {"x": template()}},
        },
        {"k6_source": "apt", "variables": {"k6_apt_url": template(), "k6_apt_suite": template()}},
    ]
    with suppress(ProvisionError):
        provision([spec_of(local_lab, tmp_path / str(n), **one) for n, one in enumerate(wishes)])
    assert next(marks) == 8
    assert list(tmp_path.glob("mark*")) == []


def test_a_cancelled_call_says_so(spec: GeneratorSpec) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(ProvisionError, match="interrupted"):
        provision([spec], cancel=cancel)


@pytest.mark.slow
def test_threads_and_kernels_run_the_playbook_once(spec: GeneratorSpec) -> None:
    sessions = [new_session(spec) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: provision([spec]), range(4)))
    said = [outcome(session) for session in sessions]
    assert sum(not report.cached for report in reports) + said.count("ran 3") == 1
    assert sum(report.cached for report in reports) + said.count("cached 0") == 5


def test_a_failing_task_is_named_with_its_own_words(local_lab: LocalLab, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "elsewhere")
    spec = spec_of(local_lab, tmp_path)
    progress = Progress()
    with pytest.raises(TaskFailed) as caught:
        provision([spec], progress=progress)
    error = caught.value
    assert error.failures == (error,)
    assert error.host == spec.host.address
    assert error.task == "Look at the host"
    assert "symbolic link" in error.detail
    assert "another workspace_root" in str(error)
    assert [step.state for step in progress.snapshot()] == ["failed"]
    assert list((tmp_path / "elsewhere").iterdir()) == []

    (tmp_path / "runs").unlink()
    assert provision([spec])


def test_a_host_that_fails_hides_no_other(local_lab: LocalLab, tmp_path: Path) -> None:
    good = spec_of(local_lab, tmp_path)
    (tmp_path / "strange_hosts").write_text("")
    strange = spec_of(
        local_lab,
        tmp_path,
        host=host_of(local_lab, known_hosts=tmp_path / "strange_hosts", user="a"),
    )
    closed = spec_of(local_lab, tmp_path, host=host_of(local_lab, port=1))
    with pytest.raises(ProvisionError) as caught:
        provision([strange, good, closed])
    first, second = caught.value.failures
    assert isinstance(first, HostUnreachable)
    assert isinstance(second, HostUnreachable)
    assert "host key" in str(first)
    assert "port 1" in str(second)
    assert provision([good]).cached  # what succeeded stays


def test_a_connection_that_is_refused_is_one_error(local_lab: LocalLab, tmp_path: Path) -> None:
    spec = spec_of(local_lab, tmp_path, host=host_of(local_lab, port=1))
    with pytest.raises(HostUnreachable) as caught:
        provision([spec])
    assert caught.value.failures == (caught.value,)
    assert caught.value.host == spec.host.address


@pytest.mark.slow
def test_a_path_may_hold_anything(local_lab: LocalLab, tmp_path: Path) -> None:
    root = tmp_path / 'it\'s "a" $(root); é'
    spec = spec_of(local_lab, root)
    assert provision([spec]).changed == 3
    marker = marker_of(spec)
    assert marker["k6_path"] == f"{spec.install_dir}/k6-{marker['k6_version']}/k6"
    assert [path.name for path in tmp_path.iterdir()] == [root.name]
    cache.evict()
    assert provision([spec]).cached


def test_an_unknown_source_is_refused_before_anything_runs(
    local_lab: LocalLab, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="k6_source"):
        spec_of(local_lab, tmp_path, k6_source="snap")


@pytest.mark.slow
def test_forgetting_asks_the_host_again(spec: GeneratorSpec) -> None:
    provision([spec])
    cache.evict([spec.key])
    report = provision([spec])
    assert (report.cached, report.tasks.height) == (True, 0)


def test_an_error_of_the_work_comes_out_of_the_thread() -> None:
    def work(progress: Progress, cancel: threading.Event) -> None:
        raise ProvisionError("no")

    with pytest.raises(ProvisionError, match="no"):
        run_interruptible(work)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    cache.evict()
    yield
    cache.evict()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["home  of   somebody", "not there"])
def test_a_home_that_ansible_cannot_use_is_no_obstacle(tmp_path: Path, name: str) -> None:
    """Blanks in a row, no home at all; one blank is nothing to Ansible."""
    home = tmp_path / name
    if name != "not there":
        home.mkdir()
    with start(env={"HOME": str(home)}) as lab:
        assert provision([spec_of(lab, tmp_path, remote_tmp=None)], progress=False)
        there = Remote(host_of(lab))
        assert usable_tmp(there) == f"/var/tmp/dfaas-lab-ansible-{os.getuid()}"
        (tmp_path / "an other").mkdir()
        lab.ssh_server.restart(env={"HOME": str(tmp_path / "an other")})
        assert usable_tmp(there) == ""
        there.close()


@pytest.mark.slow
def test_a_folder_of_somebody_else_is_not_taken_for_ours(tmp_path: Path) -> None:
    ours = Path(f"/var/tmp/dfaas-lab-ansible-{os.getuid()}")
    with start(env={"HOME": "/none"}) as lab:
        there = Remote(host_of(lab))
        try:
            shutil.rmtree(ours, ignore_errors=True)
            ours.symlink_to(tmp_path)
            assert usable_tmp(there) == ""
        finally:
            ours.unlink()
            there.close()
