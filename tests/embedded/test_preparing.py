"""A whole lab is made ready in one call: hosts by the playbook, targets over HTTP, one report."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dfaas_lab.config import Host
from dfaas_lab.errors import GatewayError, HostUnreachable, ProvisionError, TaskFailed
from dfaas_lab.generator import Generator
from dfaas_lab.lab import Lab
from dfaas_lab.load import Function
from dfaas_lab.local import LocalLab, start
from dfaas_lab.progress import Progress
from dfaas_lab.provision import cache
from dfaas_lab.provision import lab as preparing
from dfaas_lab.provision.report import ProvisionReport
from dfaas_lab.target import Target
from tests.embedded.blackhole import Blackhole


def prepare(targets: list[Target], **options: Any) -> ProvisionReport:
    """As ``lab.provision()`` does it."""
    return preparing.prepare([target._setup() for target in targets], **options)


@pytest.fixture(scope="module")
def local() -> Iterator[LocalLab]:
    with start(2) as lab:
        yield lab


@pytest.fixture
def host(local: LocalLab) -> Host:
    ssh = local.ssh
    login = {"port": ssh.port, "user": ssh.user, "key": ssh.key, "known_hosts": ssh.known_hosts}
    return Host(ssh.host, become=False, **login)  # type: ignore[arg-type]


@pytest.fixture
def generator(local: LocalLab, host: Host) -> Iterator[Generator]:
    places = {"python": local.ssh.python, **local.places}
    made = Generator(host, name="gen", workspace_root=local.workspace_root, variables=places)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    cache.evict()
    yield
    cache.evict()


def target_of(local: LocalLab, generator: Generator, number: int = 0, **more: object) -> Target:
    gateway = local.gateways[number]
    settings: dict[str, object] = {"auth": gateway.auth, "functions": [Function("env")]}
    given = {"gateway": gateway.url, **settings, **more}
    return Target(gateway.name, generator=generator, **given)  # type: ignore[arg-type]


def test_one_call_makes_all_ready_and_the_next_does_nothing(
    local: LocalLab, generator: Generator
) -> None:
    new = Function("shout", image="figlet", method="POST", body="x")
    one = target_of(local, generator, functions=[Function("env"), new])
    lab = Lab([one, target_of(local, generator, 1)])
    report = lab.provision(progress=False)
    assert not report.cached
    rows = report.tasks.rows_by_key("host", named=True)
    assert set(rows) == {str(generator.host), "node1", "node2"}
    assert [row["task"] for row in rows["node1"]] == [
        "Log in to the gateway",
        "Deploy the functions",
        "Wait for the functions",
        "Reach the gateway from the generator",
    ]
    assert [row["message"] for row in rows["node1"]] == ["", "deployed shout", "", ""]
    assert report.changed == sum(report.tasks["status"] == "changed")
    assert "shout" in one.deployed()["function"]

    again = lab.provision(progress=False)
    assert (again.cached, again.changed) == (True, 0)
    assert again.tasks.equals(report.tasks)
    # The same said anew, as in a notebook whose cells are run twice.
    assert prepare([target_of(local, generator, 1)]).cached
    # The playbook is not run again for a target that is new; the target is asked.
    other = prepare([target_of(local, generator, 1, functions=[Function("echo")])])
    assert other.cached
    assert other.tasks.filter(host="node2").height == 4
    assert lab.provision(True, progress=False).changed == 0

    cache.evict()  # a new session: the marker says that no playbook is needed; the target is asked
    later = lab.provision(progress=False)
    assert (later.cached, later.changed) == (True, 0)
    assert set(later.tasks["host"]) == {"node1", "node2"}


@pytest.mark.slow
def test_a_cached_call_asks_nobody(generator: Generator) -> None:
    with start() as gone:
        target = target_of(gone, generator)
        prepare([target])
    assert prepare([target]).cached
    for force in (True, False):  # what failed once is not known to be ready any more
        with pytest.raises(TaskFailed, match="no connection"):
            prepare([target], force=force)


def test_a_target_that_lacks_something_hides_no_other(
    local: LocalLab, generator: Generator
) -> None:
    wrong = target_of(local, generator, auth=("admin", "no"))
    lacks = target_of(local, generator, 1, functions=[Function("nobody")])
    gone = Target(
        "gone", gateway="http://127.0.0.1:1", generator=generator, functions=[Function("env")]
    )
    good = target_of(local, generator, 1)
    progress = Progress()
    with pytest.raises(ProvisionError, match="3 of 5 failed") as caught:
        prepare([wrong, good, gone, lacks], progress=progress)
    failures = caught.value.failures
    assert [failure.host for failure in failures] == ["node1", "gone", "node2"]  # type: ignore[attr-defined]
    assert all(isinstance(failure, TaskFailed) and failure.hint for failure in failures)
    assert [failure.task for failure in failures] == [  # type: ignore[attr-defined]
        "Log in to the gateway",
        "Log in to the gateway",
        "Wait for the functions",
    ]
    assert "401" in str(failures[0])
    assert "not deployed: nobody" in str(failures[2])
    assert isinstance(failures[0].__cause__, GatewayError)
    bars = {step.label: step for step in progress.snapshot()}
    assert bars["provision node1"].state == "failed"
    assert "no connection" in bars["provision gone"].text
    # What succeeded stays: the generator, and the good target.
    assert prepare([good]).cached
    assert prepare([target_of(local, generator)]).cached


def test_a_generator_that_is_off_is_one_failure(
    local: LocalLab, generator: Generator, host: Host
) -> None:
    off = Generator(replace(host, port=1, user="a"), name="off")
    behind = target_of(local, off, via=off)
    # At the same address, on another port.
    fine = target_of(local, generator, 1, via=generator)
    progress = Progress()
    with pytest.raises(HostUnreachable) as caught:
        prepare([behind, fine], progress=progress)
    assert "a@127.0.0.1:1" in str(caught.value)
    bars = {step.label: (step.state, step.text) for step in progress.snapshot()}
    assert bars["provision node1"] == ("failed", "a@127.0.0.1:1 is not ready")
    assert bars["provision node2"] == ("ok", "ready")
    assert prepare([fine]).cached


@pytest.mark.slow
def test_a_firewall_between_generator_and_gateway_is_the_targets_failure(
    local: LocalLab, generator: Generator
) -> None:
    real = int(local.gateways[0].url.rpartition(":")[2])
    with Blackhole(once_called=real) as hole:
        url = f"http://127.0.0.1:{hole.port}"
        # From here it is reached until the last question; from the generator it is not any more.
        with pytest.raises(TaskFailed) as caught:
            prepare([target_of(local, generator, gateway=url)])
    failure = caught.value
    assert (failure.host, failure.task) == ("node1", "Reach the gateway from the generator")
    assert f"127.0.0.1:{hole.port}" in failure.hint
    assert "firewall" in failure.hint
    # The generator's connection is the same as before.
    assert len(generator._session.remote._connections) == 1


def test_without_a_password_the_functions_are_only_called(
    local: LocalLab, generator: Generator
) -> None:
    blind = target_of(local, generator, auth=None)
    tasks = prepare([blind]).tasks.filter(host="node1")
    assert tasks.select("task", "status").rows() == [
        ("Log in to the gateway", "skipped"),
        ("Deploy the functions", "ok"),
        ("Wait for the functions", "ok"),
        ("Reach the gateway from the generator", "ok"),
    ]
    with pytest.raises(TaskFailed, match="nobody answers 404"):
        prepare([target_of(local, generator, auth=None, functions=[Function("nobody")])])
    with pytest.raises(TaskFailed, match="401") as caught:
        prepare([target_of(local, generator, auth=None, functions=[Function("e", image="env")])])
    assert "auth=" in caught.value.hint
    found = Lab([blind]).check().filter(host="node1", check="functions")
    assert found["ok"].to_list() == [None]
    assert "auth=" in found["fix"][0]


def test_a_host_that_is_named_for_its_address_need_not_let_us_in(
    local: LocalLab, generator: Generator, host: Host
) -> None:
    shut = replace(host, port=1)
    rows = Lab([target_of(local, generator, host=shut)]).check().filter(host="node1")
    assert rows.filter(check="reachable")["ok"].to_list() == [None]
    wanted = Lab([target_of(local, generator, host=shut, install_monitoring=True)])
    rows = wanted.check().filter(host="node1", check="reachable")
    assert rows["ok"].to_list() == [False]
    assert rows["fix"][0]
    with pytest.raises(HostUnreachable):
        wanted.provision(progress=False)


class NeverUp(BaseHTTPRequestHandler):
    """A gateway whose function has a replica, and never answers."""

    def do_GET(self) -> None:
        there = [{"name": "env", "image": "x", "replicas": 1, "availableReplicas": 1}]
        self.send_response(200 if self.path.startswith("/system") else 503)
        self.end_headers()
        self.wfile.write(json.dumps(there).encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def never_up() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), NeverUp)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_an_interrupt_ends_the_wait_for_a_target(generator: Generator) -> None:
    cancel, progress = threading.Event(), Progress()
    caught: list[BaseException] = []

    def work(target: Target) -> None:
        try:
            prepare([target], progress=progress, cancel=cancel)
        except BaseException as error:
            caught.append(error)

    with never_up() as url:
        target = Target("slow", gateway=url, generator=generator, functions=[Function("env")])
        worker = threading.Thread(target=work, args=(target,))
        worker.start()
        until = time.monotonic() + 30
        while {s.label: s.state for s in progress.snapshot()}.get(
            f"provision {generator.host}"
        ) != ("ok"):
            assert time.monotonic() < until
            time.sleep(0.02)
        cancel.set()
        worker.join(10)
        assert not worker.is_alive()
    assert "interrupted" in str(caught[0])
    assert {s.state for s in progress.snapshot() if s.label == "provision slow"} == {"interrupted"}


@pytest.mark.slow
def test_a_lab_file_says_all_that_an_embedded_lab_needs(local: LocalLab, tmp_path: Path) -> None:
    path = tmp_path / "lab.json"
    path.write_text(json.dumps({**local.facts(), "store": "results"}))
    with Lab.from_file(path) as lab:
        assert lab.provision(progress=False)
        marker = lab.generator._session.k6_path()
        assert marker.startswith(f"{local.path}/")  # it goes with the lab
        assert set(lab.check()["ok"]) == {True}
        assert lab.teardown(progress=False).changed > 0
        assert set(lab.check().filter(host="local", check="k6")["ok"]) == {False}
