"""The testbed of a session. It runs where DFAAS_LAB_TESTBED=1, and there a skip is a failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dfaas_lab.provision import cache
from dfaas_lab.provision.spec import GeneratorSpec
from tests.testbed.ground import missing_tools
from tests.testbed.guard import Guard, wait_for_the_end
from tests.testbed.machines import Machine, Testbed
from tests.testbed.mirror import Mirror
from tests.testbed.network import network

WANTED = os.environ.get("DFAAS_LAB_TESTBED") == "1"
_HERE = Path(__file__).parent

Fresh = Callable[..., list[Machine]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not WANTED:
        skip = pytest.mark.skip(reason="changes this machine's network: set DFAAS_LAB_TESTBED=1")
        for item in items:
            if _HERE in item.path.parents:
                item.add_marker(skip)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if WANTED and _HERE in item.path.parents and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, where a skip is a failure: {report.longrepr}"
    return report


_CRASH = """
import json, os, signal
from tests.testbed.machines import Testbed
from tests.testbed.network import network
bed = Testbed().__enter__()
bed.machines("crash")
print(json.dumps(network()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="session")
def networks() -> list[dict[str, str]]:
    """The machine's network: before anything, in a testbed that crashes, and when that is gone."""
    lacks = missing_tools()
    assert not lacks, f"the testbed needs {', '.join(lacks)}"
    with Guard():
        pass
    before = network()
    crash = subprocess.run(
        [sys.executable, "-c", _CRASH], cwd=_HERE.parents[1], stdout=subprocess.PIPE, check=False
    )
    wait_for_the_end()
    return [before, json.loads(crash.stdout), network()]


@pytest.fixture(scope="session")
def bed(networks: list[dict[str, str]]) -> Iterator[Testbed]:
    with Testbed() as testbed:
        yield testbed
    assert network() == networks[0]


@pytest.fixture(scope="session")
def mirror(bed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    """A host that serves releases and a signed APT repository."""
    [machine] = bed.machines("mirror")
    return Mirror(machine, tmp_path_factory.mktemp("mirror"))


@pytest.fixture
def fresh(bed: Testbed, request: pytest.FixtureRequest) -> Iterator[Fresh]:
    """``fresh("gen")`` boots hosts of that name, without k6, for this test."""
    booted: list[Machine] = []

    def boot(*names: str) -> list[Machine]:
        new = bed.machines(*names)
        booted.extend(new)
        return new

    yield boot
    for machine in booted:
        machine.remove()


@pytest.fixture
def gen(fresh: Fresh) -> Machine:
    """One fresh host."""
    [machine] = fresh("gen")
    return machine


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    cache.evict()
    yield
    cache.evict()


@pytest.fixture
def spec(gen: Machine) -> GeneratorSpec:
    """The fresh host as a generator, with sudo, with what a user writes and no more."""
    return GeneratorSpec(host=gen.host(), name="gen")
