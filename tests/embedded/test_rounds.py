"""Several hosts, sessions and versions in one place: none is taken for another, none hidden."""

from __future__ import annotations

import asyncio
import hashlib
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import asyncssh
import pytest

from dfaas_lab.errors import CommandFailed, HostUnreachable, K6Missing, ProvisionError, TaskFailed
from dfaas_lab.generator import Generator
from dfaas_lab.load import Function
from dfaas_lab.local import LocalLab
from dfaas_lab.progress import Progress
from dfaas_lab.provision import cache
from dfaas_lab.provision.local_k6 import local_k6
from dfaas_lab.provision.playbook_run import run_group
from dfaas_lab.provision.provision import provision
from dfaas_lab.provision.spec import GeneratorSpec, TargetSpec
from dfaas_lab.remote.remote import Remote
from dfaas_lab.target import Target
from tests.embedded.ssh_answering import serving
from tests.embedded.test_provision import host_of, spec_of
from tests.sessions import new_session, outcome

ENV = Function("env")


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    cache.evict()
    yield
    cache.evict()


@pytest.fixture
def remote(local_lab: LocalLab) -> Iterator[Remote]:
    made = Remote(host_of(local_lab))
    yield made
    made.close()


def target_spec(lab: LocalLab, **more: object) -> TargetSpec:
    settings: dict[str, object] = {"host": host_of(lab), "python": lab.ssh.python, **more}
    return TargetSpec(name="node", **settings)  # type: ignore[arg-type]


# --- who is ready


@pytest.mark.parametrize("playbook", ["setup_global.yml", "teardown.yml"])
def test_a_target_has_its_turn_though_every_generator_failed(
    local_lab: LocalLab, tmp_path: Path, playbook: str
) -> None:
    gone = spec_of(local_lab, tmp_path, host=host_of(local_lab, port=1))
    target = target_spec(local_lab)
    remotes = {spec.key: Remote(spec.host) for spec in (gone, target)}
    specs = [gone, target]
    end = run_group(playbook, specs, remotes, progress=Progress(), cancel=threading.Event())
    [(failed, error)] = end.failures
    assert (failed, type(error)) == (gone, HostUnreachable)
    [(ready, rows)] = end.ready
    assert ready == target
    assert rows[0].status == "ok"


@pytest.mark.slow
def test_a_target_is_not_ready_because_a_generator_failed(
    local_lab: LocalLab, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "elsewhere")
    target = target_spec(local_lab, install_monitoring=True)  # which needs root
    with pytest.raises(ProvisionError) as caught:
        provision([spec_of(local_lab, tmp_path)], [target])
    assert [failure.task for failure in caught.value.failures] == [  # type: ignore[attr-defined]
        "Look at the host",
        "Refuse to install without root",
    ]
    with pytest.raises(TaskFailed, match="install_monitoring needs root"):
        provision([], [target])


def test_what_ansible_never_came_to_is_not_ready(
    local_lab: LocalLab, remote: Remote, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text("- hosts: nobody\n  tasks: []\n")
    spec = spec_of(local_lab, tmp_path)
    remotes = {spec.key: remote}
    end = run_group(str(broken), [spec], remotes, progress=Progress(), cancel=threading.Event())
    [(_, error)] = end.failures
    assert isinstance(error, TaskFailed)
    assert (error.host, error.task) == (spec.host.address, "ansible-playbook")
    assert end.ready == []


@pytest.mark.slow
def test_a_machine_with_two_parts_is_told_each_task_once(
    local_lab: LocalLab, tmp_path: Path
) -> None:
    report = provision([spec_of(local_lab, tmp_path)], [target_spec(local_lab)])
    tasks = report.tasks["task"].to_list()
    assert tasks.count("Check k6 and leave a marker") == 1
    assert tasks.count("Look at the host") == 2  # once as a generator, once as a target


def test_one_host_that_is_said_wrongly_costs_no_other(local_lab: LocalLab, tmp_path: Path) -> None:
    good = spec_of(local_lab, tmp_path)
    circle = host_of(local_lab, jump=host_of(local_lab))
    wrong = spec_of(local_lab, tmp_path, host=circle)
    with pytest.raises(HostUnreachable, match="in a circle") as caught:
        provision([wrong, good])
    assert "ProxyJump" in caught.value.hint
    assert provision([good]).cached


# --- two versions of k6


@pytest.fixture
def old(local_lab: LocalLab, tmp_path: Path) -> GeneratorSpec:
    """The same place, with k6 1.0.0 from an archive."""
    script = b"#!/bin/sh\necho 'k6 v1.0.0 (an old one)'\n"
    archive = tmp_path / "k6.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        entry = tarfile.TarInfo("k6-v1.0.0-linux-amd64/k6")
        entry.size, entry.mode = len(script), 0o755
        tar.addfile(entry, BytesIO(script))
    checksum = f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"
    where = {"k6_release_url": archive.as_uri(), "k6_release_checksum": checksum}
    return spec_of(local_lab, tmp_path, k6_version="v1.0.0", k6_source="release", variables=where)


def generator_of(spec: GeneratorSpec) -> Generator:
    places = {"install_dir": spec.install_dir, "python": spec.python, "remote_tmp": spec.remote_tmp}
    return Generator(
        spec.host,
        workspace_root=spec.workspace_root,
        k6_version=spec.k6_version,
        k6_source=spec.k6_source,
        variables={**places, **spec.variables},
    )


@pytest.mark.slow
def test_what_another_version_displaced_is_not_known_to_be_ready(
    local_lab: LocalLab, tmp_path: Path, old: GeneratorSpec
) -> None:
    new = spec_of(local_lab, tmp_path)
    assert provision([new]).changed
    assert not provision([old]).cached
    assert not provision([new]).cached
    assert provision([new]).cached


@pytest.mark.slow
def test_no_run_takes_the_k6_of_another_session(
    local_lab: LocalLab, tmp_path: Path, old: GeneratorSpec
) -> None:
    own = local_k6()
    assert own is not None
    generator = generator_of(spec_of(local_lab, tmp_path))
    generator.provision(progress=False)
    assert outcome(new_session(old)).startswith("ran")
    with pytest.raises(K6Missing, match=rf"k6 1\.0\.0 .* not {own.version}") as caught:
        generator._session.k6_path()
    assert "workspace_root of its own" in caught.value.hint
    [found] = generator.check().filter(check="k6").to_dicts()
    assert not found["ok"]
    generator.provision(progress=False)
    assert f"k6-{own.version}/" in generator._session.k6_path()
    generator.close()


@pytest.mark.slow
def test_a_run_takes_any_k6_where_none_was_named_or_provisioned(
    local_lab: LocalLab, tmp_path: Path, old: GeneratorSpec
) -> None:
    assert outcome(new_session(old)).startswith("ran")
    generator = generator_of(spec_of(local_lab, tmp_path))
    assert "k6-1.0.0/" in generator._session.k6_path()
    [found] = generator.check().filter(check="k6").to_dicts()
    assert found["ok"] is None  # it will do; but other playbooks made it
    assert found["detail"].startswith("1.0.0 (")
    generator.close()


# --- hosts that take no commands, and one that talks


def refuse(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Answer as nologin(8) does."""
    process.stdout.write(b"This account is currently not available.\n")
    process.exit(1)


def test_a_user_without_a_shell_is_told_as_such(tmp_path: Path) -> None:
    with (
        serving(tmp_path, refuse) as nologin,
        pytest.raises(TaskFailed, match="currently not available") as caught,
    ):
        provision([GeneratorSpec(host=nologin, name="shut")])
    assert "user's shell" in caught.value.hint
    assert isinstance(caught.value.__cause__, CommandFailed)


async def talk(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Run the command as a user's shell does whose ~/.bashrc greets."""
    process.stdout.write(b"Welcome to this host.\n*** 3 updates\n")
    assert process.command is not None
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", process.command, stdin=pipe, stdout=pipe, stderr=pipe
    )
    await process.redirect(child.stdin, child.stdout, child.stderr)
    process.exit(await child.wait())
    await process.wait_closed()  # what asyncssh still has to do for the streams is done in here


@pytest.mark.slow
def test_a_run_is_whole_where_the_login_shell_prints_things(
    local_lab: LocalLab, tmp_path: Path
) -> None:
    spec = spec_of(local_lab, tmp_path)
    provision([spec])
    (tmp_path / "ssh").mkdir()
    with serving(tmp_path / "ssh", talk) as talking:
        generator = generator_of(replace(spec, host=talking))
        gateway = local_lab.gateways[0]
        target = Target(
            "edge", gateway=gateway.url, auth=gateway.auth, generator=generator, functions=[ENV]
        )
        run = target.run_k6(2, load=10, duration="1s", progress=False)
        generator.close()
    assert run.status == "ok"
    assert run.summary["requests"].is_between(10, 11).to_list() == [True, True]


@pytest.mark.slow
def test_no_place_for_ansible_s_files_is_told_as_such(local_lab: LocalLab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spec = spec_of(local_lab, tmp_path, remote_tmp=str(tmp_path / "file" / "tmp"))
    with pytest.raises(TaskFailed) as caught:
        provision([spec])
    assert caught.value.task == "Copy k6"
    assert "remote_tmp" in caught.value.hint
    assert provision([replace(spec, remote_tmp=str(local_lab.ssh.remote_tmp))])
