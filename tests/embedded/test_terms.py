"""The terms of a run are kept: rest, warm-up, VUs; and what a target tells beside its runs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab import Function, Generator, Lab, Limits, Run, Target
from dfaas_lab.analysis.node_metrics import node_means
from dfaas_lab.errors import ConfigError, GatewayError, MetricsError
from dfaas_lab.execution import node_metrics
from tests.embedded import prometheus_server
from tests.embedded.ready import make_ready
from tests.embedded.tarpit import Tarpit


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    slow = {"slow": ["/bin/sleep", "2"]}
    with Lab.local(targets=2, functions=slow, store=tmp_path_factory.mktemp("store")) as lab:
        make_ready(lab)
        yield lab


@pytest.fixture
def target(lab: Lab) -> Target:
    return next(iter(lab.targets.values()))


def _warm(run: Run) -> pl.DataFrame:
    """The requests of the warm-up, which are in no frame of the run."""
    (path,) = (run.path / "warmup").rglob("warmup_requests.parquet")
    return pl.read_parquet(path)


def test_rest_and_warm_up_are_kept(target: Target) -> None:
    run = target.run_k6(2, load={"env": 5}, duration="1s", rest="2s", warmup="1s", progress=False)
    assert run.status == "ok"
    assert run.summary["iteration"].to_list() == [1, 2]
    began = run.summary["started_at"].to_list()
    assert all((b - a).total_seconds() >= 2.9 for a, b in itertools.pairwise(began))
    warm = _warm(run)
    assert warm.height >= 4
    # The first iteration rests, too, after the warm-up; none of its requests counts.
    assert warm["ended_at"].max() < run.requests["started_at"].min()
    assert set(run.requests["iteration"]) == {1, 2}


@pytest.mark.slow
def test_a_warm_up_may_be_longer_than_an_iteration_may_take(target: Target) -> None:
    limits = Limits(timeout="5s")
    run = target.run_k6(load={"env": 5}, duration="1s", warmup="7s", limits=limits, progress=False)
    assert run.status == "ok"
    assert _warm(run).height >= 30


def test_what_was_started_is_the_last_run(target: Target) -> None:
    handle = target.start_k6(load={"env": 5}, duration="1s", progress=False)
    assert target.last_run is not None
    assert target.last_run.id == handle.run.id
    assert handle.wait().status == "ok"
    assert target.last_run.id == handle.run.id
    assert target.last_run.status == "ok"


SHORT_OF_VUS = """
import http from "k6/http";
const rate = { executor: "constant-arrival-rate", rate: 10, timeUnit: "1s", duration: "2s" };
export const options = { scenarios: {
  free: { ...rate, preAllocatedVUs: 10, exec: "env" },
  busy: { ...rate, preAllocatedVUs: 1, maxVUs: 1, exec: "slow" },
} };
export function env() { http.get(`${__ENV.GATEWAY}/function/env`); }
export function slow() { http.get(`${__ENV.GATEWAY}/function/slow`); }
"""


def test_iterations_that_no_vu_was_free_for_are_counted_where_they_fell(
    target: Target, tmp_path: Path
) -> None:
    (tmp_path / "short.js").write_text(SHORT_OF_VUS)
    env = {"GATEWAY": target.gateway}
    run = target.run_k6(script=tmp_path / "short.js", env=env, progress=False)
    rows = {row["function"]: row for row in run.summary.iter_rows(named=True)}
    assert rows["free"]["dropped"] == 0
    assert rows["busy"]["dropped"] >= 15
    assert rows["busy"]["requests"] + rows["busy"]["dropped"] == pytest.approx(20, abs=1)
    assert not run.verdict.valid
    assert f"drops: busy {rows['busy']['dropped']}, iteration 1" in str(run.verdict)


def test_a_stop_in_the_first_moment_of_k6_ends_it(target: Target) -> None:
    """Before k6 listens to signals, it ignores them, as any job in the background."""
    handle = target.start_k6(load={"env": 5}, duration="60s", progress=False)
    root = Path(target.generator.workspace_root)
    until = time.monotonic() + 30
    while not any(path.read_text().strip() for path in root.glob("*/pid")):
        assert time.monotonic() < until
        time.sleep(0.002)
    handle.stop()
    run = handle.wait()
    assert run.status == "interrupted"
    assert set(run.summary["status"]) == {"interrupted"}
    assert handle.done
    log = (run.path / "iteration=1" / "target=node1" / "k6.log").read_text()
    assert "ended 137" not in log  # killed, after ten seconds of load that nobody wanted


def test_a_target_tells_what_its_gateway_has(target: Target) -> None:
    deployed = target.deployed()
    assert deployed.columns == ["function", "image", "replicas", "available"]
    assert {"env", "echo", "figlet"} <= set(deployed["function"])
    image = Function("env", image="env")
    mine = Target(
        "mine",
        gateway=target.gateway,
        generator=target.generator,
        functions=[image, Function("echo")],
        auth=target._auth,
    )
    mine.deploy()  # only what has an image; it is there already, so nothing changes
    assert mine.deployed().height == deployed.height


def test_a_target_gives_what_its_prometheus_measured(
    lab: Lab, target: Target, tmp_path: Path
) -> None:
    assert lab._local is not None
    (gateway,) = [one for one in lab._local.gateways if one.url == target.gateway]
    address = gateway.metrics_url.removeprefix("http://").removesuffix("/metrics")
    with prometheus_server.running(tmp_path, address) as url:
        watched = Target(
            "watched",
            gateway=target.gateway,
            generator=target.generator,
            functions=[Function("env")],
            prometheus=url,
            store=target.store,
        )
        began = datetime.now(UTC)
        until = time.monotonic() + 20  # it scrapes nothing for its first five seconds
        while watched.metrics(began, datetime.now(UTC)).is_empty():
            assert time.monotonic() < until, "nothing was scraped"
            time.sleep(0.2)
        run = watched.run_k6(load=5, duration="3s", progress=False)
        until = time.monotonic() + 20
        while (frame := watched.metrics(began, datetime.now(UTC))).is_empty():
            assert time.monotonic() < until, "nothing was scraped"
            time.sleep(0.2)
    assert frame.columns == ["time", "metric", "function", "instance", "value", "reason"]
    assert frame.schema["time"] == pl.Datetime("us", "UTC")
    first, last = run.requests["started_at"].min(), run.requests["ended_at"].max()
    rates = run.node_metrics.filter(metric="invocations_rps", function="env")
    assert rates["value"].mean() == pytest.approx(5, rel=0.35)  # scraped every 0.5 s
    assert rates["time"].is_between(first, first + timedelta(seconds=3)).all()
    assert last is not None
    assert run.node_metrics.filter(metric="cpu_cores")["reason"].to_list() == [
        "Prometheus has no such series"  # there is no node exporter here
    ]


def test_a_prometheus_that_is_away_ends_no_run_and_is_told(target: Target) -> None:
    away = Target(
        "away",
        gateway=target.gateway,
        generator=target.generator,
        functions=[Function("env")],
        prometheus="http://127.0.0.1:1",
        store=target.store,
    )
    run = away.run_k6(2, load=5, duration="1s", progress=False)
    assert run.status == "ok"
    assert run.node_metrics.columns == [
        "target",
        "iteration",
        "time",
        "metric",
        "function",
        "instance",
        "value",
        "reason",
    ]
    assert set(run.node_metrics["iteration"]) == {1, 2}
    assert run.node_metrics["value"].null_count() == run.node_metrics.height > 0
    assert "no connection" in run.node_metrics["reason"][0]
    assert node_means(run.node_metrics.filter(iteration=1))["cpu_cores"] is None


def test_a_prometheus_that_answers_nothing_is_waited_for_once(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_metrics, "_TIMEOUT_S", 0.5)
    with Tarpit() as tarpit:
        silent = Target(
            "silent",
            gateway=target.gateway,
            generator=target.generator,
            functions=[Function("env")],
            prometheus=tarpit.url,
            store=target.store,
        )
        run = silent.run_k6(3, load=5, duration="1s", progress=False)
        assert tarpit.visits == 1
    assert set(run.node_metrics["iteration"]) == {1, 2, 3}
    assert set(run.node_metrics["value"]) == {None}
    assert all("no answer within 0.5 s" in reason for reason in run.node_metrics["reason"])


def test_a_target_without_prometheus_says_what_to_give(target: Target) -> None:
    now = datetime.now(UTC)
    target = Target(
        "bare",
        gateway=target.gateway,
        generator=target.generator,
        functions=[Function("env")],
        store=target.store,
    )
    assert target.run_k6(load=2, duration="1s", progress=False).node_metrics.is_empty()
    with pytest.raises(MetricsError, match="prometheus=URL"):
        target.metrics(now - timedelta(seconds=10), now)


def test_where_one_target_cannot_be_measured_nothing_runs_and_all_such_are_named(
    lab: Lab,
) -> None:
    there = next(iter(lab.targets.values()))
    gone = [
        Target(name, gateway=url, generator=lab.generator, functions=[Function("env")])
        for name, url in (("one", "http://127.0.0.1:1"), ("two", "http://127.0.0.1:2"))
    ]
    before = lab.store.run_ids()
    with pytest.raises(GatewayError, match="the gateway of one") as refused:
        Lab([there, *gone], store=lab.store.root).run_k6(load={"env": 5}, progress=False)
    assert "the gateway of two" in "".join(refused.value.__notes__)
    assert lab.store.run_ids() == before


def test_two_generators_of_one_name_are_refused(lab: Lab) -> None:
    mine, other = next(iter(lab.targets.values())), Generator("10.0.0.9", name=lab.generator.name)
    far = Target("far", gateway="http://10.0.0.8", generator=other, functions=[Function("env")])
    with pytest.raises(ConfigError, match="two generators are called"):
        Lab([mine, far], store=lab.store.root)
