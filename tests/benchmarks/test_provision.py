"""How long provisioning takes on real hosts; without DFAAS_LAB_TESTBED=1, on the embedded lab."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dfaas_lab.config import Host
from dfaas_lab.lab import Lab
from dfaas_lab.local import start
from dfaas_lab.provision import cache
from dfaas_lab.provision.provision import provision
from dfaas_lab.provision.spec import GeneratorSpec, playbooks_folder
from dfaas_lab.remote.openssh_arguments import ssh_arguments
from dfaas_lab.remote.ssh_config import resolve
from tests.testbed.machines import Machine, Testbed

TESTBED = os.environ.get("DFAAS_LAB_TESTBED") == "1"


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    if not TESTBED:
        pytest.skip("real hosts change this machine's network: set DFAAS_LAB_TESTBED=1")
    with Testbed() as testbed:
        yield testbed


def bare(host: Host) -> None:
    """Run the same playbook as a user does who has Ansible alone."""
    item = {
        "address": host.address,
        "user": host.user,
        "ssh_args": subprocess.list2cmdline(ssh_arguments(resolve(host))),
    }
    subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "playbook"),
            *(str(playbooks_folder() / "setup_global.yml"), "-e"),
            json.dumps({"generators": [item]}),
        ],
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        check=True,
        capture_output=True,
    )


def spec(host: Host) -> GeneratorSpec:
    return GeneratorSpec(host=host, name=host.address)


def medians(times: int, measure: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """Measure turn about, so that a busy moment meets both."""
    first, second = zip(*[measure() for _ in range(times)], strict=True)
    return statistics.median(first), statistics.median(second)


def bare_and_ours(bed: Testbed) -> tuple[float, float]:
    with booted(bed, 2) as (one, two):
        return seconds(lambda: bare(one.host())), seconds(lambda: provision([spec(two.host())]))


def one_and_four(bed: Testbed, rate: str | None) -> tuple[float, float]:
    with booted(bed, 5) as machines:
        for machine in machines:
            if rate is not None:
                machine.wire(rate)
        alone, *four = machines
        one = seconds(lambda: provision([spec(alone.host())]))
        return one, seconds(lambda: provision([spec(machine.host()) for machine in four]))


@contextmanager
def booted(bed: Testbed, count: int) -> Iterator[list[Machine]]:
    machines = bed.machines(*[f"host{number}" for number in range(count)])
    try:
        yield machines
    finally:
        for machine in machines:
            machine.remove()


def test_a_fresh_host_costs_what_its_playbook_costs(bed: Testbed) -> None:
    provision([spec(bed.machines("warm")[0].host())])  # imports are paid once for a session
    theirs, ours = medians(3, lambda: bare_and_ours(bed))
    print(f"\nfresh host: ansible-playbook {theirs:.1f} s, provision() {ours:.1f} s")
    assert ours < 1.5 * theirs


def test_four_hosts_cost_little_more_than_one(bed: Testbed) -> None:
    wired, all_wired = medians(3, lambda: one_and_four(bed, "1gbit"))
    print(
        f"\nfour hosts, each at a port of 1 Gbit/s: {all_wired:.1f} s, one: {wired:.1f} s "
        f"({all_wired / wired:.2f} times)"
    )
    one, all_four = medians(3, lambda: one_and_four(bed, None))
    print(
        f"on a wire as fast as memory: {all_four:.1f} s, one: {one:.1f} s "
        f"({all_four / one:.2f} times)"
    )
    assert all_wired < 1.5 * wired
    # Then nothing is ever waited for, and the hosts of the testbed share this machine's cores with
    # their controller: from two cores, 1.6 is what the processor time of five machines allows.
    assert all_four < (1.5 if (os.cpu_count() or 1) >= 4 else 2.2) * one


_NEW_SESSION = """
import time
began = time.perf_counter()
from pathlib import PosixPath
from dfaas_lab.config import Host
from dfaas_lab.provision.spec import GeneratorSpec
from dfaas_lab.provision.provision import provision
report = provision([{spec!r}])
assert report.cached
print(time.perf_counter() - began)
"""


def new_session(spec: GeneratorSpec) -> float:
    """Return how long the first call of a new session takes, with its imports."""
    done = subprocess.run(
        [sys.executable, "-c", _NEW_SESSION.format(spec=spec)],
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def test_what_is_in_place_costs_nothing(bed: Testbed) -> None:
    [machine] = bed.machines("ready")
    say_what_is_in_place_costs(spec(machine.host()))


def test_a_whole_lab_that_is_ready_costs_nothing() -> None:
    with Lab.local(targets=4) as lab:
        first_s = seconds(lambda: lab.provision(progress=False))
        cached_ms = statistics.median(
            1000 * seconds(lambda: lab.provision(progress=False)) for _ in range(50)
        )
    print(f"\nembedded lab of four targets: {first_s:.1f} s, then {cached_ms:.2f} ms")
    assert cached_ms <= 1000 * first_s / 100


def test_what_is_in_place_costs_nothing_on_the_embedded_lab(tmp_path: Path) -> None:
    with start() as lab:
        host = Host(
            lab.ssh.host,
            port=lab.ssh.port,
            user=lab.ssh.user,
            key=lab.ssh.key,
            known_hosts=lab.ssh.known_hosts,
            become=False,
        )
        say_what_is_in_place_costs(
            GeneratorSpec(
                host=host,
                name="local",
                workspace_root=lab.workspace_root,
                install_dir=str(tmp_path),
                python=lab.ssh.python,
                remote_tmp=str(lab.ssh.remote_tmp),
            )
        )


def say_what_is_in_place_costs(ready: GeneratorSpec) -> None:
    first_s = seconds(lambda: provision([ready]))
    cached_ms = statistics.median(seconds(lambda: provision([ready])) for _ in range(50)) * 1000
    session_s = statistics.median(new_session(ready) for _ in range(5))
    cache.evict()
    print(f"\ncached: {cached_ms:.3f} ms; new session with its imports: {session_s:.2f} s")
    assert cached_ms <= 1000 * first_s / 100
    assert session_s <= first_s
