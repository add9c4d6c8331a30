"""What goes wrong on real hosts: each a typed error with host, task and fix; then it works."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from dfaas_lab.errors import HostUnreachable, TaskFailed
from dfaas_lab.progress import Progress
from dfaas_lab.provision.ansible import Play, run_play
from dfaas_lab.provision.events import PlaybookEvents
from dfaas_lab.provision.provision import provision
from dfaas_lab.provision.spec import GeneratorSpec
from tests.testbed.conftest import Fresh
from tests.testbed.ground import sh
from tests.testbed.machines import Machine
from tests.testbed.mirror import Mirror

CONNECT_S = 3.0


@pytest.fixture
def quick(gen: Machine) -> GeneratorSpec:
    """The fresh host, with a short limit for connecting."""
    return GeneratorSpec(host=gen.host(connect_timeout=CONNECT_S), name="gen")


def unreachable(spec: GeneratorSpec) -> HostUnreachable:
    """Provision and return the error, which must come in time."""
    started = time.monotonic()
    with pytest.raises(HostUnreachable) as caught:
        provision([spec])
    assert time.monotonic() - started < CONNECT_S + 5
    assert caught.value.host == spec.host.address
    assert caught.value.failures == (caught.value,)
    assert caught.value.hint
    return caught.value


def test_a_host_that_is_off(gen: Machine, quick: GeneratorSpec) -> None:
    gen.stop()
    assert "Check that the host is on" in unreachable(quick).hint
    gen.boot()
    gen.ready()
    assert provision([quick])


def test_a_host_that_is_cut_off(gen: Machine, quick: GeneratorSpec) -> None:
    gen.cut()
    assert "Check that the host is on" in unreachable(quick).hint
    # With patience, the network itself says so.
    patient = replace(quick, host=gen.host(connect_timeout=30))
    error = unreachable(patient)
    assert "no way to it" in error.message
    assert "Check that the host is on" in error.hint
    gen.join()
    gen.ready()  # what the network says about a host it lost holds for a moment
    assert provision([quick])


def test_a_host_whose_sshd_is_dead_or_hangs(gen: Machine, quick: GeneratorSpec) -> None:
    gen.run("systemctl stop ssh.service ssh.socket")
    assert "sshd" in unreachable(quick).hint
    gen.run("systemctl start ssh.service; pkill -STOP -o sshd")
    unreachable(quick)
    gen.run("pkill -CONT -o sshd")
    assert provision([quick])


def test_a_wrong_host_key(gen: Machine, quick: GeneratorSpec, fresh: Fresh) -> None:
    known = gen.folder / "known_hosts"
    [other] = fresh("other")
    known.write_text(other.host_key_line().replace(other.address, gen.address))
    error = unreachable(replace(quick, host=replace(quick.host, known_hosts=known)))
    assert "host key" in error.message
    assert str(known) in error.hint
    known.write_text("")
    assert (
        "host key"
        in unreachable(replace(quick, host=replace(quick.host, known_hosts=known))).message
    )
    # accept-new writes it down once, for both ways in.
    trusting = replace(quick.host, known_hosts=known, host_keys="accept-new")
    assert provision([replace(quick, host=trusting)])
    assert gen.address in known.read_text()


def test_ansible_itself_refuses_a_wrong_host_key(
    gen: Machine, quick: GeneratorSpec, fresh: Fresh
) -> None:
    known = gen.folder / "known_hosts"
    [other] = fresh("other")
    known.write_text(other.host_key_line().replace(other.address, gen.address))
    spec = replace(quick, host=replace(quick.host, known_hosts=known))
    story = PlaybookEvents({"gen": ("gen", gen.address)}, Progress())
    play = Play("setup_global.yml", {"generators": [spec.item("gen")]})
    assert run_play(play, on_event=story.handle, cancel=threading.Event()).exit_code != 0
    error = story.failures["gen"]
    assert isinstance(error, HostUnreachable)
    assert "Host key verification failed" in error.message
    assert "host key is not the known one" in error.hint


def test_a_wrong_key(gen: Machine, quick: GeneratorSpec) -> None:
    wrong = gen.folder / "wrong_key"
    sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", wrong)
    error = unreachable(replace(quick, host=replace(quick.host, key=wrong)))
    assert "key=" in error.hint
    assert provision([quick])


def wait_for(progress: Progress, text: str, timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not any(text in step.text for step in progress.snapshot()):
        assert time.monotonic() < deadline, f"{text!r} never came"
        time.sleep(0.01)


def in_the_middle(
    spec: GeneratorSpec, task: str, act: Callable[[], object]
) -> tuple[BaseException, float]:
    """Provision, act when the task is under way; return the error and the seconds from then."""
    progress = Progress()
    caught: list[BaseException] = []

    def work() -> None:
        try:
            provision([spec], progress=progress)
        except BaseException as error:
            caught.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    wait_for(progress, task)
    act()
    started = time.monotonic()
    worker.join(90)
    assert not worker.is_alive()
    assert caught, "it succeeded"
    return caught[0], time.monotonic() - started


def test_a_host_that_goes_away_during_provisioning(
    gen: Machine, quick: GeneratorSpec, mirror: Mirror
) -> None:
    slow = replace(quick, k6_source="release", variables=mirror.tarpit)
    error, seconds = in_the_middle(slow, "Download k6", gen.cut)
    assert isinstance(error, HostUnreachable)
    assert error.host == gen.address
    assert "Download k6" in error.message
    assert seconds < CONNECT_S + 5
    gen.join()
    assert provision([quick])


def test_a_host_that_loses_its_power_during_provisioning(
    gen: Machine, quick: GeneratorSpec, mirror: Mirror
) -> None:
    slow = replace(quick, k6_source="release", variables=mirror.tarpit)
    error, seconds = in_the_middle(slow, "Download k6", gen.stop)
    assert isinstance(error, HostUnreachable)
    assert seconds < CONNECT_S + 5
    gen.boot()
    gen.ready()
    assert provision([quick])


def test_a_full_disk(gen: Machine, quick: GeneratorSpec) -> None:
    gen.run("mount -t tmpfs -o size=20m,mode=755 tmpfs /opt")
    with pytest.raises(TaskFailed) as caught:
        provision([quick])
    assert caught.value.task == "Copy k6"
    assert caught.value.host == gen.address
    assert "Free some space" in caught.value.hint
    gen.run("mount -o remount,size=200m /opt")
    assert provision([quick])


def test_a_full_disk_for_temporary_files(gen: Machine, quick: GeneratorSpec) -> None:
    gen.run(
        "mount -t tmpfs -o size=1m,mode=755,uid=$(id -u lab) tmpfs /home/lab/.ansible ||"
        " { mkdir /home/lab/.ansible && chown lab /home/lab/.ansible;"
        " mount -t tmpfs -o size=1m,mode=755,uid=$(id -u lab) tmpfs /home/lab/.ansible; }"
    )
    with pytest.raises(TaskFailed) as caught:
        provision([quick])
    assert caught.value.task == "Copy k6"
    assert caught.value.host == gen.address
    assert "remote_tmp" in caught.value.hint
    gen.run("umount /home/lab/.ansible")
    assert provision([quick])


def test_no_python(gen: Machine, quick: GeneratorSpec, mirror: Mirror) -> None:
    gen.run("mkdir /usr/lib/away; mv /usr/bin/python3* /usr/lib/away/")
    fetched = replace(quick, k6_source="release", variables=mirror.release)
    with pytest.raises(TaskFailed) as caught:
        provision([fetched])
    assert "Install Python 3" in caught.value.hint
    assert caught.value.host == gen.address
    assert provision([quick])  # a copy needs none
    gen.run("mv /usr/lib/away/python3* /usr/bin/")
    assert provision([fetched])


def test_no_sudo_where_it_is_needed(gen: Machine) -> None:
    plain = GeneratorSpec(host=gen.host("plain"), name="gen", variables={"k6_tuning": True})
    with pytest.raises(TaskFailed) as caught:
        provision([plain])
    assert caught.value.task == "Look at the host"
    assert "sudo" in caught.value.hint
    gen.run("echo 'plain ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/plain")
    gen.run("cd /proc/sys && mount --bind net net && mount -o remount,bind,rw net")
    assert provision([plain])


def test_a_task_that_takes_too_long(gen: Machine, quick: GeneratorSpec, mirror: Mirror) -> None:
    variables = {**mirror.tarpit, "task_timeout_s": 4}
    slow = replace(quick, k6_source="release", variables=variables)
    started = time.monotonic()
    with pytest.raises(TaskFailed) as caught:
        provision([slow])
    assert time.monotonic() - started < 30
    assert caught.value.task == "Download k6"
    assert "too long" in caught.value.hint
    assert marked(gen) == ""
    assert provision([quick])


def test_an_interrupt_ends_what_runs_as_root(
    gen: Machine, quick: GeneratorSpec, mirror: Mirror
) -> None:
    slow = replace(quick, k6_source="release", variables=mirror.tarpit)
    cancel, progress = threading.Event(), Progress()
    caught: list[BaseException] = []

    def work() -> None:
        try:
            provision([slow], progress=progress, cancel=cancel)
        except BaseException as error:
            caught.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    wait_for(progress, "Download k6")
    gen.run("until grep -aqs DFAAS_LAB_RUN= /proc/[0-9]*/environ; do sleep 0.1; done; sleep 0.5")
    assert marked(gen)
    cancel.set()
    worker.join(5)
    assert not worker.is_alive()
    assert re.search("interrupted", str(caught[0]))
    assert marked(gen) == ""
    assert [step.state for step in progress.snapshot()] == ["interrupted"]
    assert provision([quick])


def marked(gen: Machine) -> str:
    """What still runs there for a playbook."""
    return gen.run("grep -als DFAAS_LAB_RUN= /proc/[0-9]*/environ || :")
