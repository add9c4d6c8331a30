"""Provisioning where users have it: Debian hosts with systemd, OpenSSH, sudo and APT."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from dfaas_lab.errors import HostUnreachable, ProvisionError, TaskFailed
from dfaas_lab.progress import Progress
from dfaas_lab.provision import cache
from dfaas_lab.provision.provision import provision, teardown
from dfaas_lab.provision.spec import GeneratorSpec, TargetSpec, playbooks_folder
from tests.sessions import new_session, outcome
from tests.testbed.conftest import Fresh
from tests.testbed.look import files_of
from tests.testbed.machines import Machine
from tests.testbed.mirror import Mirror


def ansible_playbook(name: str, machine: Machine, *more: str, **settings: str) -> str:
    """Run a playbook as a user does who has Ansible alone; return what it printed."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "playbook", str(playbooks_folder() / name)),
            *("-e", f"k6_host={machine.address}", "-e", "k6_user=lab"),
            *("-e", f"k6_ssh_key={machine.key}", *more),
        ],
        env={
            **{name: value for name, value in os.environ.items() if "ANSIBLE" not in name},
            "ANSIBLE_SSH_COMMON_ARGS": f"-o UserKnownHostsFile={machine.known_hosts}",
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
            **settings,
        },
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def recap(output: str, machine: Machine) -> dict[str, int]:
    line = next(x for x in output.splitlines() if x.startswith(machine.address) and "ok=" in x)
    return {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", line)}


def test_the_network_is_put_back_also_after_a_crash(networks: list[dict[str, str]]) -> None:
    before, crashed, swept = networks
    assert crashed != before
    assert swept == before


def test_a_fresh_host_becomes_a_generator_and_what_it_was_again(
    gen: Machine, spec: GeneratorSpec
) -> None:
    # Somebody else's things, which teardown may not take.
    gen.run("mkdir -p /opt/other /tmp/keep; useradd -m eve; touch /usr/local/bin/other")
    before, packages = files_of(gen), gen.run("dpkg-query -W")

    assert provision([spec]).changed == 3
    assert "v1" in gen.run("su lab -c 'k6 version'")
    assert gen.run("stat -c '%a %U' /tmp/dfaas-runs").split() == ["1777", "root"]
    assert gen.run("stat -c '%a %U' /tmp/dfaas-runs/.provisioned-lab.json").split() == [
        "644",
        "lab",
    ]
    assert not gen.run("ls /etc/sysctl.d /etc/security/limits.d").count("dfaas")  # tuning is off
    assert provision([spec], force=True).changed == 0

    cache.evict()
    report = provision([spec])
    assert (report.cached, report.tasks.height) == (True, 0)

    gen.run(
        "su lab -c 'mkdir -m 700 /tmp/dfaas-runs/0d1b6d3a-6f0a-4b35-9a39-0c1f2a3b4c5d'; "
        "su eve -c 'mkdir -m 700 /tmp/dfaas-runs/1d1b6d3a-6f0a-4b35-9a39-0c1f2a3b4c5d'"
    )
    assert teardown([spec])
    left = files_of(gen) - before
    assert left == {
        "/tmp/dfaas-runs",
        "/tmp/dfaas-runs/.dfaas-lab",  # the folder is ours to remove, once it is empty
        "/tmp/dfaas-runs/1d1b6d3a-6f0a-4b35-9a39-0c1f2a3b4c5d",
    }
    assert before - files_of(gen) == set()
    assert gen.run("dpkg-query -W") == packages
    gen.run("rm -r /tmp/dfaas-runs/1*")
    assert teardown([spec])
    assert files_of(gen) == before
    assert not provision([spec]).cached  # teardown is not forgotten


def test_the_playbook_alone_is_idempotent_and_its_check_changes_nothing(
    gen: Machine, tmp_path: Path
) -> None:
    before = files_of(gen)
    checked = recap(ansible_playbook("setup_global.yml", gen, "--check"), gen)
    assert (checked["failed"], checked["unreachable"]) == (0, 0)
    assert checked["changed"] > 0  # it says what it would do
    assert files_of(gen) == before
    assert recap(ansible_playbook("setup_global.yml", gen), gen)["changed"] == 3
    # The same in a file of variables, as one that names several hosts.
    generator = {"address": gen.address, "user": "lab", "key": str(gen.key)}
    (tmp_path / "hosts.json").write_text(json.dumps({"generators": [generator]}))
    named = ("-e", f"@{tmp_path}/hosts.json")
    assert recap(ansible_playbook("setup_global.yml", gen, *named), gen)["changed"] == 0
    assert recap(ansible_playbook("setup_global.yml", gen, "--check"), gen)["changed"] == 0
    there = files_of(gen)
    assert recap(ansible_playbook("teardown.yml", gen, "--check"), gen)["changed"] > 0
    assert files_of(gen) == there
    assert recap(ansible_playbook("teardown.yml", gen), gen)["failed"] == 0
    assert files_of(gen) == before


@pytest.mark.parametrize("source", ["release", "apt"])
def test_a_check_of_what_must_be_fetched_changes_nothing(
    gen: Machine, mirror: Mirror, source: str
) -> None:
    before = files_of(gen)
    variables = {**mirror.release, **mirror.apt, "k6_source": source}
    targets = [{**TargetSpec(host=gen.host(), name="mid").item("mid"), "install_monitoring": True}]
    told = ("-e", json.dumps({**variables, "targets": targets}))
    checked = recap(ansible_playbook("setup_global.yml", gen, *told, "--check"), gen)
    assert (checked["failed"], checked["unreachable"]) == (0, 0)
    assert checked["changed"] > 0
    assert files_of(gen) == before


def test_a_check_of_what_is_there_and_of_the_tuning_changes_nothing(gen: Machine) -> None:
    own = gen.root / "usr/local/bin/k6"
    own.write_text("#!/bin/sh\necho 'k6 v1.0.0 (an old one)'\n")
    own.chmod(0o755)
    before = files_of(gen)
    told = ("-e", json.dumps({"k6_source": "present", "k6_version": "", "k6_tuning": True}))
    checked = recap(ansible_playbook("setup_global.yml", gen, *told, "--check"), gen)
    assert (checked["failed"], checked["unreachable"]) == (0, 0)
    assert checked["changed"] > 0
    assert files_of(gen) == before


def test_the_playbook_alone_checks_host_keys_whatever_the_user_s_settings(
    gen: Machine,
) -> None:
    nobody = replace(gen, known_hosts=Path("/dev/null"))
    with pytest.raises(AssertionError, match="Host key verification failed"):
        ansible_playbook("setup_global.yml", nobody, ANSIBLE_HOST_KEY_CHECKING="False")
    assert not (gen.root / "opt/dfaas-lab").exists()


def test_without_root_and_sudo_k6_is_the_user_s_own(gen: Machine) -> None:
    spec = GeneratorSpec(host=gen.host("plain"), name="gen")
    assert provision([spec])
    assert "v1" in gen.run("su plain -c /home/plain/.local/bin/k6\\ version")
    assert gen.run("ls /opt /usr/local/bin") == "/opt:\n\n/usr/local/bin:\n"
    assert gen.run("stat -c %U /tmp/dfaas-runs").strip() == "plain"
    with pytest.raises(TaskFailed, match="needs root or sudo") as caught:
        provision([replace(spec, k6_source="apt")])
    assert "k6_source='copy'" in caught.value.hint
    assert teardown([spec])
    assert gen.run("ls -A /home/plain/.local/bin /home/plain/.local/share").split() == [
        "/home/plain/.local/bin:",
        "/home/plain/.local/share:",
    ]

    # And with sudo that is not to be used.
    assert provision([GeneratorSpec(host=gen.host("lab", become=False), name="gen")])
    assert gen.run("ls /opt").strip() == ""


def test_root_needs_no_sudo(gen: Machine, mirror: Mirror) -> None:
    gen.run("mv /usr/bin/sudo /usr/bin/no-sudo; rm /etc/apt/sources.list")
    spec = GeneratorSpec(host=gen.host("root"), name="gen")
    assert provision([spec]).changed == 3
    assert "v1" in gen.run("k6 version")
    teardown([spec])
    provision([replace(spec, k6_source="apt", variables=mirror.apt)])
    assert gen.run("command -v k6").strip() == "/usr/bin/k6"


def test_a_password_for_sudo_goes_nowhere_but_to_sudo(gen: Machine) -> None:
    password = "open sesame"
    seen: list[str] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for proc in Path("/proc").glob("[0-9]*"):
                for part in ("cmdline", "environ"):
                    try:
                        text = (proc / part).read_bytes()
                    except OSError:
                        continue
                    if password.encode() in text and proc.name != str(os.getpid()):
                        seen.append(f"{proc}/{part}")
            for file in Path("/tmp").glob("dfaas-play-*/**/*"):
                try:
                    if file.is_file() and password in file.read_text(errors="replace"):
                        seen.append(str(file))
                except OSError:
                    continue
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        wrong = GeneratorSpec(host=gen.host("asks", become_password="sesame"), name="gen")
        with pytest.raises(TaskFailed) as caught:
            provision([wrong])
        spec = GeneratorSpec(host=gen.host("asks", become_password=password), name="gen")
        report = provision([spec])
    finally:
        done.set()
        watcher.join()
    assert "sudo" in caught.value.hint
    assert caught.value.host == gen.address
    assert report.changed == 3
    assert gen.run("stat -c %U /opt/dfaas-lab").strip() == "root"
    assert seen == []
    assert password not in str(report.tasks.to_dicts())
    assert password not in repr(spec)


def test_one_round_for_kernels_and_threads_at_once(
    gen: Machine, spec: GeneratorSpec, mirror: Mirror
) -> None:
    counted = counting(gen, spec, mirror)
    sessions = [new_session(counted) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: provision([counted]), range(4)))
    said = [outcome(session) for session in sessions]
    assert runs_on(gen) == 1
    assert sum(report.cached for report in reports) + said.count("cached 0") == 5


def test_two_laptops_at_once_run_the_playbook_once(
    gen: Machine, spec: GeneratorSpec, mirror: Mirror, tmp_path: Path
) -> None:
    counted = counting(gen, spec, mirror)
    # Another cache folder: the locks of this machine are not theirs.
    sessions = [new_session(counted, XDG_CACHE_HOME=str(tmp_path / name)) for name in "ab"]
    assert sorted(outcome(session).split()[0] for session in sessions) == ["cached", "ran"]
    assert runs_on(gen) == 1


def counting(gen: Machine, spec: GeneratorSpec, mirror: Mirror) -> GeneratorSpec:
    """The same generator, whose Python writes down which run of a playbook called it.

    A release needs Python there; a copy does not.
    """
    python = gen.root / "usr/local/lib/counting-python"
    python.write_text('#!/bin/sh\necho "$DFAAS_LAB_RUN" >> /srv/runs\nexec python3 "$@"\n')
    python.chmod(0o755)
    gen.run("touch /srv/runs; chmod 666 /srv/runs")
    python_there = "/usr/local/lib/counting-python"
    return replace(spec, python=python_there, k6_source="release", variables=mirror.release)


def runs_on(gen: Machine) -> int:
    return len(set(gen.run("cat /srv/runs").split()))


def test_hosts_are_set_up_at_the_same_time_and_one_that_fails_hides_none(fresh: Fresh) -> None:
    one, two, three, four = fresh("one", "two", "three", "four")
    two.run("mkdir /tmp/elsewhere; ln -s /tmp/elsewhere /tmp/dfaas-runs")
    three.stop()
    hosts = [m.host(connect_timeout=3.0) for m in (one, two, three, four)]
    specs = [GeneratorSpec(host=host, name=host.address) for host in hosts]
    progress = Progress()
    with pytest.raises(ProvisionError) as caught:
        provision(specs, progress=progress)
    linked, off = caught.value.failures
    assert isinstance(linked, TaskFailed)
    assert linked.host == two.address
    assert isinstance(off, HostUnreachable)
    assert off.host == three.address
    assert [step.state for step in progress.snapshot()] == ["ok", "failed", "failed", "ok"]
    assert provision([specs[0], specs[3]]).cached

    two.run("rm /tmp/dfaas-runs")
    three.boot()
    three.ready()
    report = provision(specs)
    assert set(report.tasks.filter(report.tasks["status"] == "changed")["host"]) == {
        str(host) for host in hosts
    }


def test_an_older_playbook_s_host_is_upgraded(
    gen: Machine, spec: GeneratorSpec, mirror: Mirror
) -> None:
    old = replace(spec, k6_source="release", k6_version="1.0.0", variables=mirror.old_release)
    provision([old])
    assert "v1.0.0" in gen.run("k6 version")
    # The same version, but made by other playbooks: only the marker is new.
    assert provision([spec]).changed == 3  # the new k6, the link, the marker
    assert f"v{mirror.version}" in gen.run("k6 version")
    gen.run('sed -i \'s/"playbook_digest": "/&older/\' /tmp/dfaas-runs/.provisioned-lab.json')
    cache.evict()
    report = provision([spec])
    assert (report.cached, report.changed) == (False, 1)


def test_tuning_is_a_switch(gen: Machine, spec: GeneratorSpec) -> None:
    before = files_of(gen)
    # A container's limits are read only; those of its own network may be set.
    gen.run("cd /proc/sys && mount --bind net net && mount -o remount,bind,rw net")
    provision([replace(spec, variables={"k6_tuning": True})])
    assert gen.run("cat /proc/sys/net/ipv4/ip_local_port_range").split() == ["1024", "65535"]
    assert "1048576" in gen.run("cat /etc/security/limits.d/60-dfaas-lab.conf")
    teardown([spec])
    assert files_of(gen) == before


def test_a_target_gets_prometheus_and_loses_it_again(gen: Machine) -> None:
    packages = gen.run("dpkg-query -W -f '${Package} ${db:Status-Status}\\n'")
    target = TargetSpec(host=gen.host(), name="mid", install_monitoring=True)
    # The same host, also as a generator: it is locked once.
    report = provision([GeneratorSpec(host=gen.host(), name="gen")], [target])
    assert report.changed >= 5
    ask = (
        "python3 -c 'import urllib.request as r; print(r.urlopen(\"http://localhost:%s\").status)'"
    )
    assert gen.run(ask % "9090/-/ready").strip() == "200"
    assert gen.run(ask % "9100/metrics").strip() == "200"
    cache.evict()
    assert provision([], [target]).cached
    assert provision([], [target], force=True).changed == 0
    teardown([GeneratorSpec(host=gen.host(), name="gen")], [target])
    assert gen.run("dpkg-query -W -f '${Package} ${db:Status-Status}\\n'") == packages
    assert not (gen.root / "opt/dfaas-lab").exists()
