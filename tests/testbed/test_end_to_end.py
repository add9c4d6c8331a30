"""From nothing to frames on real hosts: a lab file, provisioning, measuring, and all as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab.cli import main
from dfaas_lab.errors import TaskFailed
from dfaas_lab.generator import Generator
from dfaas_lab.lab import Lab
from dfaas_lab.load import Function
from dfaas_lab.provision import cache
from dfaas_lab.target import Target
from tests.testbed import gateway_service
from tests.testbed.gateway_service import PASSWORD, PORT, SHARES
from tests.testbed.look import files_of
from tests.testbed.machines import Machine, Testbed

LAB = """
store: results
functions:
  - env
  - {{name: shout, image: figlet, method: POST, body: Hello DFaaS!}}
thresholds: {{env: p(95)<9000}}
generators:
  - {{name: gen, host: {gen.address}, user: lab, {login}}}
targets:
  - name: mid
    host: {{address: {mid.address}, user: lab, {login}}}
    gateway: http://{{host}}:{port}
    prometheus: http://{{host}}:9090
    auth: {{password_env: GATEWAY_PASSWORD}}
    install_monitoring: true
  - name: heavy
    host: {{address: {heavy.address}, user: lab, {login}}}
    gateway: http://{{host}}:{port}
    auth: {{password_env: GATEWAY_PASSWORD}}
    via: true
"""
RATES = {"env": 10, "shout": 2}
SECONDS = 3
ITERATIONS = 2

Hosts = dict[str, Machine]


@pytest.fixture(scope="module")
def hosts(bed: Testbed) -> Iterator[Hosts]:
    """A generator from nothing, and two nodes that have a gateway and nothing else of ours."""
    machines = bed.machines("gen", "mid", "heavy", shares=SHARES)
    for machine in machines[1:]:
        gateway_service.install(machine)
    yield {machine.name: machine for machine in machines}
    for machine in machines:
        machine.remove()


@pytest.fixture
def lab_file(hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GATEWAY_PASSWORD", PASSWORD)
    gen = hosts["gen"]
    login = f"key: {gen.key}, known_hosts: {gen.known_hosts}"
    path = tmp_path / "lab.yml"
    path.write_text(LAB.format(**hosts, login=login, port=PORT))
    return path


def test_from_nothing_to_frames_and_back(
    hosts: Hosts, lab_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: what_is_there(machine) for name, machine in hosts.items()}
    # From here only the generator reaches the gateway of heavy.
    with hosts["heavy"].closed(PORT), Lab.from_file(lab_file) as lab:
        say_what_is_missing(lab)
        provision(lab, hosts)
        measure(lab, lab_file.parent)
        say_that_all_is_well(lab, lab_file, capsys)
        say_what_is_wrong(lab, hosts["mid"])
        assert lab.teardown(progress=False).changed > 0
        say_what_is_missing(lab)
    assert {name: what_is_there(machine) for name, machine in hosts.items()} == before


def what_is_there(machine: Machine) -> tuple[set[str], str]:
    packages = machine.run("dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n'")
    return files_of(machine), packages


def say_what_is_missing(lab: Lab) -> None:
    found = lab.check().filter(pl.col("ok").eq(False))
    assert set(found.select("host", "check").rows()) >= {("gen", "k6"), ("mid", "Prometheus")}
    assert found["fix"].str.len_chars().min() > 0


def provision(lab: Lab, hosts: Hosts) -> None:
    report = lab.provision(progress=False)
    assert not report.cached
    tasks = {host: set(rows["task"]) for (host,), rows in report.tasks.group_by("host")}
    assert set(tasks) == {f"lab@{hosts[name].address}" for name in ("gen", "mid")} | {
        "mid",
        "heavy",
    }
    assert "Copy k6" in tasks[f"lab@{hosts['gen'].address}"]
    assert "Install packages" in tasks[f"lab@{hosts['mid'].address}"]
    done = report.tasks.filter(pl.col("message").eq("deployed shout"))
    assert sorted(done["host"]) == ["heavy", "mid"]
    assert "Check Prometheus" in tasks["mid"]
    assert "Check Prometheus" not in tasks["heavy"]

    assert lab.provision(progress=False).cached
    cache.evict()  # as a new session, which finds all in place
    began = time.monotonic()
    assert lab.provision(progress=False).cached
    assert time.monotonic() - began < 10


def measure(lab: Lab, folder: Path) -> None:
    run = lab.run_k6(ITERATIONS, load=RATES, duration=f"{SECONDS}s", progress=False)
    assert run.path.is_relative_to(folder / "results")
    rows = run.summary.rows_by_key(["target", "iteration", "function"], named=True, unique=True)
    assert set(rows) == {
        (target, iteration, function)
        for target in ("mid", "heavy")
        for iteration in range(1, ITERATIONS + 1)
        for function in RATES
    }
    for (_, _, function), row in rows.items():
        assert abs(row["requests"] - RATES[function] * SECONDS) <= 1
        assert (row["status"], row["failed"], row["success_rate"]) == ("ok", 0, 1.0)
    # Each node answered its own requests, and both were measured at the same time.
    served = run.requests.group_by("target").agg(pl.col("served_by").unique())
    assert dict(served.iter_rows()) == {"mid": ["mid"], "heavy": ["heavy"]}
    first = run.requests.filter(iteration=1).group_by("target").agg(pl.col("started_at").min())
    began = first["started_at"].to_list()
    assert abs((began[0] - began[1]).total_seconds()) < SECONDS
    assert run.status == "ok"
    # The three hosts share the processors of one machine; nothing else may be doubted.
    busy = ("CPU", "blocked")  # of this machine
    doubts = [d for d in run.verdict.doubts if not any(word in d.what for word in busy)]
    assert doubts == [], str(run.verdict)
    assert str(run.verdict).startswith("DOUBTFUL" if run.verdict.doubts else "VALID")


def say_that_all_is_well(lab: Lab, lab_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    until = time.monotonic() + 60
    # Prometheus has just been installed: it scrapes its own first, and node exporter's in a while.
    while set((found := lab.check())["ok"]) != {True} and time.monotonic() < until:
        time.sleep(1)
    assert found.filter(~pl.col("ok").fill_null(False)).is_empty(), found.filter(
        ~pl.col("ok").fill_null(False)
    ).rows()
    assert set(found["host"]) == {"gen", "mid", "heavy"}
    asked = set(found.filter(host="mid")["check"])
    assert asked >= {"reachable", "key accepted", "gateway from the generator", "scrape interval"}

    main(["check", str(lab_file)])
    printed = capsys.readouterr().out
    assert "LACKS" not in printed.partition("\ngen\n")[2]
    assert "\nmid\n" in printed


def say_what_is_wrong(lab: Lab, mid: Machine) -> None:
    mid.run("systemctl stop gateway prometheus")
    try:
        found = lab.check().filter(pl.col("ok").eq(False))
        assert set(found["host"]) == {"mid"}
        assert set(found["check"]) == {"gateway from the generator", "gateway", "Prometheus"}
        assert found["fix"].str.len_chars().min() > 0
        cache.evict()
        with pytest.raises(TaskFailed) as caught:
            lab.provision(progress=False)
        assert (caught.value.host, caught.value.task) == ("mid", "Log in to the gateway")
    finally:
        mid.run("systemctl start gateway prometheus")


def test_a_generator_behind_another_host(hosts: Hosts, tmp_path: Path) -> None:
    jump, inner = hosts["gen"], hosts["heavy"]
    way = inner.host(jump=jump.host("plain"))
    began = inner.run("date +%s").strip()
    with inner.closed(22), inner.closed(PORT):
        generator = Generator(way, name="inner")
        # Its gateway is asked, and loaded, as the generator sees it.
        target = Target(
            "inner",
            gateway=f"http://127.0.0.1:{PORT}",
            generator=generator,
            via=generator,
            auth=("admin", PASSWORD),
            functions=[Function("env")],
        )
        with Lab([target], store=tmp_path / "results") as lab:
            assert lab.provision(progress=False).changed == 3
            run = lab.run_k6(load=10, duration=f"{SECONDS}s", progress=False)
            assert set(lab.check()["ok"]) == {True}
            assert lab.teardown(progress=False)
    assert run.status == "ok"
    assert abs(run.summary["requests"].sum() - 10 * SECONDS) <= 1
    who = inner.run(
        f"journalctl -u ssh -o cat --since @{began} | grep 'Accepted publickey for lab'"
    )
    assert f"from {jump.address}" in who
    assert "from 10.77.0.1 " not in who
