"""The embedded lab's own Prometheus: each node's view, against the kernel's and k6's numbers."""

from __future__ import annotations

import logging
import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab import Lab
from dfaas_lab.analysis.clock_skew import Skew
from dfaas_lab.analysis.node_metrics import node_means
from dfaas_lab.analysis.scrapes import Window
from dfaas_lab.execution.node_metrics import node_metrics_of
from dfaas_lab.local import binaries
from tests.embedded.ready import make_ready

if binaries.find() is None:
    pytest.skip("no prometheus here, and none could be fetched", allow_module_level=True)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab.local(2, store=tmp_path_factory.mktemp("store")) as lab:
        make_ready(lab)
        for target in lab.targets.values():  # its first scrape comes five seconds after its start
            while target.metrics(*last_seconds(3)).filter(metric="cpu_cores").height < 2:
                time.sleep(0.2)
        yield lab


def last_seconds(seconds: float) -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    return now - timedelta(seconds=seconds), now


def test_each_node_sees_its_own_load_and_nothing_else(lab: Lab) -> None:
    one, two = lab.targets.values()
    assert one.prometheus != two.prometheus
    run = one.run_k6(2, load={"env": 8, "figlet": 0, "echo": 0}, duration="4s", progress=False)
    frame = run.node_metrics
    for iteration in (1, 2):
        rates = frame.filter(metric="invocations_rps", function="env", iteration=iteration)
        assert rates["value"].mean() == pytest.approx(8, rel=0.15)
    assert frame.filter(metric="invocations_rps", function="figlet")["value"].sum() == 0
    counts = run.summary.filter(function="env").select("gateway_count", "gateway_difference")
    assert counts.rows() == [(32, 0), (32, 0)]
    assert frame.filter(metric="gateway_count", function="env")["value"].to_list() == [32, 32]
    first = run.requests["started_at"].min()
    other = two.metrics(first, first + timedelta(seconds=4)).filter(metric="invocations_rps")
    assert other["value"].sum() == 0
    for iteration in (1, 2):
        means = node_means(frame.filter(iteration=iteration))
        assert means["functions"]["env"]["cpu_cores"] > 0
        assert set(means["replicas"].values()) == {1}
        assert means["power_watts"] is None  # there is no Scaphandre
        assert means["reason"] == "power_watts: Prometheus has no such series"


def test_requests_of_somebody_else_are_told_with_both_numbers(lab: Lab) -> None:
    target = lab.targets["node2"]
    ended = threading.Event()

    def ask() -> None:
        while not ended.wait(0.1):
            urllib.request.urlopen(f"{target.gateway}/function/env", timeout=10).close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        run = target.run_k6(load={"env": 5}, duration="4s", progress=False)
    finally:
        ended.set()
        thread.join()
    row = run.summary.filter(function="env").row(0, named=True)
    assert row["gateway_count"] - row["started"] == row["gateway_difference"] > 5
    said = f"requests that the gateway counted: env {row['gateway_count']} of 20, iteration 1"
    assert said in str(run.verdict)


def test_a_load_between_two_scrapes_was_counted_by_nobody(lab: Lab) -> None:
    run = lab.targets["node2"].run_k6(load={"env": 10}, duration="1s", progress=False)
    assert run.summary.filter(function="env")["gateway_count"].to_list() == [None]
    (reason,) = run.node_metrics.filter(metric="gateway_count", function="env")["reason"]
    assert reason == "1 s of load, scraped every 1 s"
    assert "counted" not in str(run.verdict)


def test_what_the_scrapes_cannot_resolve_is_null_with_its_reason(lab: Lab) -> None:
    cores = lab.targets["node1"].metrics(*last_seconds(0.5)).filter(metric="cpu_cores")
    assert cores["value"].to_list() == [None]
    assert cores["reason"].to_list() == ["0.5 s of load, scraped every 1 s"]


def test_the_nodes_cpu_is_the_kernels(lab: Lab) -> None:
    target = lab.targets["node1"]
    found = pl.DataFrame()
    before, start = busy_s(), datetime.now(UTC)
    time.sleep(6)
    after, end = busy_s(), datetime.now(UTC)
    found = target.metrics(start, end).filter(metric="cpu_cores")
    cores = (after - before) / (end - start).total_seconds()
    # The first and the last second are covered in part, on a machine that others use.
    assert found["value"].mean() == pytest.approx(cores, abs=0.3)
    fraction = target.metrics(start, end).filter(metric="cpu_fraction")["value"].mean()
    assert fraction == pytest.approx(found["value"].mean() / os.cpu_count(), abs=0.05)


def busy_s() -> float:
    """The seconds that processors worked, where waiting for a disk is no work."""
    first = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, first)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def test_the_state_now(lab: Lab) -> None:
    collector = node_metrics_of(lab.targets["node2"]._session)
    assert collector is not None
    means = node_means(collector.now())
    assert means["cpu_cores"] is not None
    assert 0 < means["memory_fraction"] < 1
    assert means["replicas"]["env"] == 1


def test_the_window_is_by_the_clock_that_times_the_load(lab: Lab) -> None:
    """A generator whose clock is 30 s ahead: the same seconds of the node are meant."""
    collector = node_metrics_of(lab.targets["node1"]._session)
    assert collector is not None
    ahead = replace(collector, generator_skew=lambda: Skew(30.0, 0.001))
    start, end = (moment + timedelta(seconds=30) for moment in last_seconds(4))
    window = Window(start.timestamp(), end.timestamp())
    found = ahead.of_loads([window])[0].frame.filter(metric="cpu_cores")
    assert found.height >= 2
    assert found["value"].null_count() == 0
    assert found["time"].is_between(start, end).all()
    unaware = collector.of_loads([window])[0].frame.filter(metric="cpu_cores")
    assert unaware.drop_nulls("value").is_empty()


def test_without_binaries_the_lab_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with caplog.at_level(logging.WARNING):
        assert binaries.find() is None
        assert binaries.find() is None  # it is not tried again
    assert "apt install" in caplog.text
    assert "no apt-get here" in caplog.text
