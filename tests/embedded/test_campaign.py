"""Campaigns on the embedded lab: overload, interrupts, outages, several targets, kills."""

from __future__ import annotations

import copy
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import polars as pl
import pytest

from dfaas_lab import Campaign, Cooldown, CooldownTimeout, Lab, Overload, Plan
from dfaas_lab.cli import main
from dfaas_lab.errors import CampaignError, ConfigError, ResumeMismatch
from tests.embedded.killed_campaigns import NARROW, kill_campaigns
from tests.embedded.ready import make_ready
from tests.embedded.scraped_node import ScrapedNode

KEYS = ["target", "load_id", "iteration", "function", "skipped"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of two nodes, each with a function that serves one request at a time."""
    folder = tmp_path_factory.mktemp("campaign")
    with Lab.local(
        targets=2, functions={**NARROW, "gone": ["cat"]}, store=folder / "results"
    ) as lab:
        make_ready(lab)
        yield lab


def _campaign(lab: Lab, plan: Plan, label: str, **options: object) -> Campaign:
    # The node is this machine, which may be busy with other work.
    given = {
        "iterations": 2,
        "duration": "1s",
        "cooldown": Cooldown.fixed("0s"),
        "overload": Overload(cpu_fraction=None, memory_fraction=None),
    } | options
    return lab.campaign(plan, label=label, progress=False, **given)  # type: ignore[arg-type]


def test_two_nodes_are_measured_side_by_side_until_they_are_overloaded(
    lab: Lab, tmp_path: Path
) -> None:
    plan = Plan(["narrow"], [0, 2, 20, 30])
    campaign = _campaign(lab, plan, "two")
    assert campaign.status == "new"
    assert "4 loads on each of 2 targets" in str(campaign.preview())
    assert campaign.run() is campaign
    assert campaign.status == "finished"
    frame = campaign.outcomes
    for target in lab.targets:
        own = frame.filter(pl.col("target") == target)
        assert own.select("rate_rps", "iteration", "overloaded", "skipped").rows() == [
            (0.0, 1, False, False),
            (0.0, 2, False, False),
            (2.0, 1, False, False),
            (2.0, 2, False, False),
            (20.0, 1, True, False),
            (20.0, 2, True, False),
            (30.0, None, None, True),
        ]
    assert frame.filter(rate_rps=20.0)["reasons"].str.contains("narrow: success rate").all()
    assert frame.filter("skipped")["reasons"].str.contains("narrow:20 is overloaded").all()
    assert frame.filter(rate_rps=0.0, skipped=False)["requests"].to_list() == [0] * 4
    assert frame.filter(rate_rps=2.0)["requests"].is_between(1, 3).all()
    # What was not measured is null with its reason, never zero.
    measured = frame.filter(~pl.col("skipped"))
    assert measured.filter(pl.col("cpu_cores").is_null())["not_measured"].null_count() == 0
    assert (measured["cpu_cores"].drop_nulls() > 0).all()
    assert frame.filter(~pl.col("skipped"))["replicas"].to_list() == [1] * 12
    # One run per load and target; its manifest says which.
    runs = [lab.store.find(run_id).read() for run_id in lab.store.run_ids()]
    mine = [run for run in runs if run.get("campaign", {}).get("id") == campaign.id]
    assert len(mine) == 4
    assert {run["campaign"]["load_id"] for run in mine} == set(
        frame.filter(pl.col("run_id").is_not_null())["load_id"]
    )
    # It is there for another process, and running it again measures nothing.
    again = _campaign(lab, plan, "two")
    assert again.id == campaign.id
    before = len(lab.store.run_ids())
    assert again.run().outcomes.equals(frame)
    assert len(lab.store.run_ids()) == before
    row = lab.campaigns().filter(label="two").row(0, named=True)
    assert (row["campaign_id"], row["status"], row["loads"]) == (campaign.id, "finished", 8)
    # Its files, and its figures.
    paths = campaign.export_csv(tmp_path / "out")
    assert {path.parent.name for path in paths} == set(lab.targets)
    once = [path.read_bytes() for path in paths]
    campaign.export_csv(tmp_path / "out")
    assert [path.read_bytes() for path in paths] == once
    assert campaign.chart().to_dict()
    with pytest.raises(ConfigError, match="the plan has no function 'env'"):
        campaign.frontier("narrow", "env")
    # What is asked otherwise is named.
    with pytest.raises(ResumeMismatch, match=r"iterations: stored 2, asked 5"):
        _campaign(lab, plan, "two", iterations=5)
    own = copy.copy(next(iter(lab.targets.values())))
    own.functions = tuple(replace(one, path="/x", max_rate=25) for one in own.functions)
    with pytest.raises(ResumeMismatch, match=r'narrow.path: stored "", .*max_rate: stored null'):
        _campaign(Lab([own], store=lab.store.root), plan, "two")
    with pytest.raises(ResumeMismatch, match=r"plan.rates.rates: stored \[0, 2, 20, 30\]"):
        _campaign(lab, Plan(["narrow"], [2]), "two")


@pytest.mark.slow
def test_an_interrupt_stores_and_run_goes_on(lab: Lab) -> None:
    plan = Plan(["env"], [2, 3, 4])
    target = next(iter(lab.targets))
    campaign = _campaign(lab, plan, "interrupted", targets=[target], iterations=3)
    timer = threading.Timer(4.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        campaign.run()
    timer.join()
    assert campaign.status == "interrupted"
    before = campaign.outcomes
    assert before.height < 9
    resumed = lab.campaign(label="interrupted", progress=False)
    assert resumed.id == campaign.id
    after = resumed.run().outcomes
    assert resumed.status == "finished"
    assert sorted(after.select("rate_rps", "iteration").rows()) == [
        (rate, iteration) for rate in (2.0, 3.0, 4.0) for iteration in (1, 2, 3)
    ]
    assert after["status"].to_list() == ["ok"] * 9
    # What was measured stays as it was.
    assert after.join(before, on=["run_id", "load_id", "iteration"], how="semi").height == (
        before.height
    )


@pytest.mark.slow
def test_it_waits_for_a_gateway_that_is_away_and_only_one_process_runs_it(lab: Lab) -> None:
    assert lab._local is not None
    gateway = lab._local.gateways[1]
    target = list(lab.targets)[1]
    campaign = _campaign(lab, Plan(["env"], [5, 6]), "away", targets=[target], duration="3s")
    errors: list[BaseException] = []

    def away() -> None:
        time.sleep(2.0)
        gateway.kill()
        try:
            with pytest.raises(CampaignError, match="being run by process"):
                _campaign(lab, Plan(["env"], [5, 6]), "away", targets=[target], duration="3s").run()
        except BaseException as error:
            errors.append(error)
        time.sleep(6.0)
        gateway.restart()

    outage = threading.Thread(target=away)
    outage.start()
    campaign.run()
    outage.join()
    assert errors == []
    frame = campaign.outcomes
    assert frame.height == 4
    assert frame["success_rate"].to_list() == [1.0] * 4
    assert not frame["overloaded"].any()
    assert "outage" in _attempts(campaign)


@pytest.mark.slow
def test_a_function_that_is_gone_is_no_overload(lab: Lab) -> None:
    name, target = next(iter(lab.targets.items()))
    campaign = _campaign(
        lab, Plan(["gone", "env"], [2, 3]), "gone", targets=[name], iterations=1,
        thresholds={"gone": "p(95)<10000"},
    )  # fmt: skip
    url, body = f"{target.gateway}/system/functions", {"functionName": "gone"}
    assert httpx.request("DELETE", url, json=body, auth=target._auth).is_success
    frame = campaign.run().outcomes
    assert frame.select("function", "rate_rps", "status", "overloaded", "skipped").rows() == [
        ("env", 2.0, "ok", False, False),
        ("gone", 2.0, "failed", False, False),
        ("env", 3.0, "ok", False, False),
        ("gone", 3.0, "failed", False, False),
    ]
    assert frame["reasons"][1].startswith("gone: 2 of 2 requests were answered 404")


def _attempts(campaign: Campaign) -> list[str]:
    """The states of all attempts, as they are on the disk."""
    return [
        attempt["state"]
        for path in campaign.path.glob("*/*.json")
        for attempt in json.loads(path.read_text())["attempts"]
    ]


def _file(campaign: Campaign) -> str:
    path = campaign.path / "campaign.json"
    return path.read_text() if path.exists() else ""


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def _watched(lab: Lab, prometheus: ScrapedNode) -> Lab:
    """The first node of the lab, with a Prometheus."""
    target = copy.copy(next(iter(lab.targets.values())))
    target.prometheus = prometheus.url
    return Lab([target], store=lab.store.root)


@pytest.mark.slow
def test_it_cools_down_and_a_prometheus_that_is_away_is_told(lab: Lab) -> None:
    with ScrapedNode() as prometheus:
        cooldown = Cooldown(step="1s", max_wait="30s")
        own = _watched(lab, prometheus)
        campaign = _campaign(own, Plan(["env"], [2]), "cooling", cooldown=cooldown, duration="3s")

        def change() -> None:
            _wait_for(lambda: "begun" in _attempts(campaign))
            prometheus.cores = 3.0
            _wait_for(lambda: "measured" in _attempts(campaign))
            time.sleep(2.5)
            prometheus.cores = 0.2
            _wait_for(lambda: "begun" in _attempts(campaign))
            prometheus.away = True

        changes = threading.Thread(target=change)
        changes.start()
        first, second = campaign.run().outcomes.rows(named=True)
        changes.join()
    assert 1.0 < first["cpu_cores"] <= 3.01
    assert first["cpu_fraction"] == pytest.approx(first["cpu_cores"] / 4)
    assert first["memory_bytes"] == 1e9
    assert first["memory_fraction"] == pytest.approx(0.25)
    assert first["idle_cpu_cores"] == pytest.approx(0.2, abs=0.02)
    assert first["not_measured"] == "power_watts: Prometheus has no such series"
    assert second["rest_s"] >= 1.0
    assert second["cpu_cores"] is None
    assert "Prometheus" in second["not_measured"]
    assert second["status"] == "ok"


def test_a_node_that_stays_busy_ends_it(lab: Lab) -> None:
    with ScrapedNode() as prometheus:
        own = _watched(lab, prometheus)
        cooldown = Cooldown(step="1s", max_wait="4s")
        campaign = _campaign(own, Plan(["env"], [2]), "busy", cooldown=cooldown)

        def load() -> None:
            _wait_for(lambda: '"baselines"' in _file(campaign))
            prometheus.cores = 3.0

        loading = threading.Thread(target=load)
        loading.start()
        with pytest.raises(CooldownTimeout, match=r"CPU .* cores > 0.3"):
            # The first iteration may begin before it is busy: the second does not.
            campaign.run()
        loading.join()
        assert campaign.status == "failed"
        prometheus.cores = 0.2
        assert campaign.run().status == "finished"


def test_what_cannot_be_asked_is_refused_at_once(lab: Lab) -> None:
    plan = Plan(["env"], [2])
    for options, word in (
        ({"rest": "5s"}, "cooldown"),
        ({"script": "x.js"}, "run_k6"),
        ({"order": "falling"}, "order"),
        ({"iterations": 0}, "iterations"),
        ({"targets": ["nobody"]}, "nobody"),
        ({"duration": "600ms"}, "too short"),
    ):
        with pytest.raises(ConfigError, match=word):
            _campaign(lab, plan, "refused", **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="nothere"):
        _campaign(lab, Plan(["nothere"], [2]), "refused")
    with pytest.raises(ConfigError, match="no plan is given"):
        lab.campaign(label="nobody has this")


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    kill_campaigns(tmp_path, kills=3, seed=5)


def test_the_command_runs_a_described_campaign_and_goes_on(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab._local is not None
    described = {
        "functions": ["env"],
        "rates": [2, 3],
        "iterations": 1,
        "duration": "1s",
        "cooldown": {"fixed": "0s"},
        "overload": {"cpu_fraction": None, "memory_fraction": None},
    }
    file = tmp_path / "lab.json"
    store = {"store": str(tmp_path / "results"), "campaign": described}
    file.write_text(json.dumps({**lab._local.facts(), **store}))
    assert main(["campaign", str(file), "--preview"]) == 0
    assert "2 loads on each of 2 targets" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()
    assert main(["campaign", str(file), "--export", str(tmp_path / "csv")]) == 0
    told = capsys.readouterr()
    assert "finished, 4 of 4 loads measured" in told.out
    assert "node1: load 2 of 2: env:3" in told.err
    assert (tmp_path / "csv" / "node2" / "results.csv").exists()
    assert main(["campaign", str(file)]) == 0
    assert "(0 left)" in capsys.readouterr().out
