"""The decisions of a campaign: overload, cooldown, what is measured again, what differs."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfaas_lab import Cooldown, Limits, Linear, Overload, Plan
from dfaas_lab.campaign.attempts import shares_generator
from dfaas_lab.campaign.cooldown import not_idle, rest
from dfaas_lab.campaign.files import CampaignFolder
from dfaas_lab.campaign.outage import was_away
from dfaas_lab.campaign.outcomes import outcomes_of
from dfaas_lab.campaign.overload import judge, misdirected
from dfaas_lab.campaign.preview import preview_of, told_time
from dfaas_lab.campaign.readings import Readings
from dfaas_lab.campaign.record import Attempt, LoadRecord
from dfaas_lab.campaign.settings import (
    Settings,
    differences,
    options_for,
    options_of,
    order_of,
    stored_options,
)
from dfaas_lab.errors import ConfigError, CooldownTimeout, StoreError
from dfaas_lab.load.plan import PlannedLoad
from dfaas_lab.store import Store
from tests.unit.campaign_frames import dominates

WELL = Readings(cpu_fraction=0.5, memory_fraction=0.5, replicas={"a": 1, "b": 14})


@pytest.mark.parametrize(
    ("rates", "node", "functions", "reason"),
    [
        ({"a": 1.0, "b": 0.95}, WELL, set(), ""),
        ({"a": 0.90, "b": 1.0}, WELL, set(), ""),  # the mean is 0.95, which is not below it
        ({"a": 0.8999, "b": 1.0}, WELL, {"a"}, "a: success rate 0.8999 < 0.9; node: mean"),
        ({"a": 0.91, "b": 0.98}, WELL, set(), "node: mean success rate 0.945 < 0.95"),
        ({"a": 1.0}, replace(WELL, replicas={"a": 15}), {"a"}, "a: 15 replicas >= 15"),
        ({"a": 1.0}, replace(WELL, cpu_fraction=0.8), set(), ""),
        ({"a": 1.0}, replace(WELL, cpu_fraction=0.81), set(), "node: CPU 0.81"),
        ({"a": 1.0}, replace(WELL, memory_fraction=0.91), set(), "node: memory 0.91"),
        ({"a": None}, Readings(), set(), ""),  # nothing measured says nothing
        ({}, WELL, set(), ""),
    ],
)
def test_a_node_is_overloaded_when_a_threshold_is_passed(
    rates: dict[str, float | None], node: Readings, functions: set[str], reason: str
) -> None:
    found = judge(rates, node, Overload())
    assert {name for name, over in found.functions.items() if over} == functions
    assert found.overloaded == bool(reason)
    assert "; ".join(found.reasons).startswith(reason)


def test_each_threshold_is_a_setting_and_can_be_off() -> None:
    off = Overload(
        function_success_rate=None,
        replicas=None,
        node_success_rate=None,
        cpu_fraction=None,
        memory_fraction=None,
    )
    bad = Readings(cpu_fraction=1.0, memory_fraction=1.0, replicas={"a": 99})
    assert not judge({"a": 0.0}, bad, off).overloaded
    assert judge(
        {"a": 0.6}, WELL, Overload(function_success_rate=0.5, node_success_rate=0.7)
    ).reasons
    with pytest.raises(ConfigError, match="cpu_fraction"):
        Overload(cpu_fraction=80)


@pytest.mark.parametrize(
    ("flags", "asked", "expected"),
    [([True], 1, True), ([True, False], 2, False), ([True, True], 3, True), ([True], 3, False)],
)
def test_a_load_is_overloaded_when_more_than_half_of_its_iterations_are(
    flags: list[bool], asked: int, expected: bool
) -> None:
    attempts = [Attempt(at, state="measured", overloaded=one) for at, one in enumerate(flags, 1)]
    assert LoadRecord(LOAD, asked, tuple(attempts)).overloaded is expected


IDLE = Readings(cpu_cores=0.2, memory_bytes=2e9, power_watts=10.0)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (IDLE, []),
        (replace(IDLE, cpu_cores=0.3), []),  # within the absolute band
        (replace(IDLE, cpu_cores=0.31), ["CPU"]),
        (replace(IDLE, memory_bytes=2.3e9), []),  # within 15 %
        (replace(IDLE, memory_bytes=2.31e9), ["memory"]),
        (replace(IDLE, power_watts=12.5), ["power"]),
        (replace(IDLE, cpu_cores=0.0, memory_bytes=0.0, power_watts=0.0), []),
        (replace(IDLE, replicas={"a": 1, "b": 2}), ["b has 2 replicas"]),
        (replace(IDLE, cpu_cores=None), ["CPU is not measured"]),
    ],
)
def test_idle_is_near_the_baseline_and_not_measured_is_not_idle(
    now: Readings, words: list[str]
) -> None:
    found = not_idle(now, IDLE, Cooldown())
    assert len(found) == len(words)
    assert all(word in reason for word, reason in zip(words, found, strict=True))


class Clock:
    """Time that passes only where something waits."""

    def __init__(self) -> None:
        self.now, self.waits = 0.0, []  # type: ignore[var-annotated]

    def __call__(self) -> float:
        return self.now

    def is_set(self) -> bool:
        return False

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False


def _rest(settings: Cooldown, readings: list[Readings], clock: Clock) -> Any:
    left = iter(readings)
    last = readings[-1]
    return rest(settings, lambda: next(left, last), IDLE, stop=clock, clock=clock)  # type: ignore[arg-type]


def test_it_looks_every_step_until_the_node_is_idle() -> None:
    clock, busy = Clock(), replace(IDLE, cpu_cores=3.0)
    found = _rest(Cooldown(), [busy, busy, IDLE], clock)
    assert (found.rest_s, found.readings, clock.waits) == (10.0, IDLE, [5.0, 5.0])


def test_the_last_step_is_cut_and_then_it_is_an_error_with_the_last_readings() -> None:
    clock, busy = Clock(), replace(IDLE, cpu_cores=3.0)
    with pytest.raises(CooldownTimeout, match=r"not idle after 12 s: CPU 3 cores > 0.3 cores") as e:
        _rest(Cooldown(max_wait="12s"), [busy], clock)
    assert clock.waits == [5.0, 5.0, 2.0]
    assert e.value.readings == busy
    assert "CPU 3.00 cores" in str(e.value)


def test_what_cannot_be_read_is_waited_for_then_told() -> None:
    clock = Clock()
    found = _rest(Cooldown(max_wait="11s"), [Readings(reason="no answer")], clock)
    assert clock.waits == [5.0, 5.0, 1.0]
    assert "not measured for 11 s: no answer" in found.note


def test_a_fixed_rest_looks_at_nothing() -> None:
    clock = Clock()
    found = _rest(Cooldown.fixed("10s"), [replace(IDLE, cpu_cores=3.0)], clock)
    assert (found.rest_s, clock.waits) == (10.0, [10.0])
    assert Cooldown.from_described(Cooldown.fixed("10s").described()).fixed_s == 10.0
    own = Cooldown(max_wait="1m", threshold=0.2)
    assert Cooldown.from_described(json.loads(json.dumps(own.described()))).described() == (
        own.described()
    )
    with pytest.raises(ConfigError, match="step"):
        Cooldown(step="0s")
    with pytest.raises(ConfigError, match="threshold"):
        Cooldown(threshold=-1)


def test_an_interrupt_ends_a_rest() -> None:
    stop = threading.Event()
    stop.set()
    found = rest(Cooldown(), lambda: replace(IDLE, cpu_cores=9.0), IDLE, stop=stop)
    assert found.rest_s < 1


LOAD = PlannedLoad({"a": 10})


def _record(*states: str) -> LoadRecord:
    record = LoadRecord(LOAD, 1)
    for number, state in enumerate(states):
        attempt = Attempt(1, state=state, run_id=f"r{number}")  # type: ignore[arg-type]
        record = record.with_attempt(attempt)
    return record


@pytest.mark.parametrize(
    ("states", "missing", "kept"),
    [
        ((), True, None),
        (("begun",), True, None),
        (("measured",), False, "r0"),
        (("failed",), False, "r0"),
        (("doubtful",), True, None),
        (("doubtful", "measured"), False, "r1"),
        (("doubtful", "doubtful"), False, "r1"),
        (("doubtful", "begun"), True, None),
        (("outage", "outage"), True, None),
        (("outage", "outage", "outage"), False, "r2"),
        (("outage", "doubtful", "doubtful"), False, "r2"),
    ],
)
def test_an_iteration_is_measured_again_where_the_node_had_no_part(
    states: tuple[str, ...], missing: bool, kept: str | None
) -> None:
    record = _record(*states)
    assert bool(record.missing) == missing
    found = record.kept(1)
    assert (found.run_id if found else None) == kept
    assert LoadRecord.from_stored(json.loads(json.dumps(record.stored()))) == record


def test_attempts_change_in_place_and_what_was_cut_short_is_dropped() -> None:
    begun = Attempt(1, run_id="r", idle=IDLE, rest_s=3.0)
    record = LoadRecord(LOAD, 2).with_attempt(begun)
    done = record.with_attempt(replace(begun, state="measured", overloaded=True))
    assert [one.state for one in done.attempts] == ["measured"]
    assert done.missing == [2]
    assert not done.overloaded  # one of two is not more than half
    assert record.without(record.begun).attempts == ()


PLAN = Plan(["a", "b"], Linear(0, 20), sizes=(1, 2))
SETTINGS = Settings(
    plan=PLAN,
    iterations=3,
    duration_s=30.0,
    targets=("mid",),
    cooldown=Cooldown(),
    overload=Overload(),
    requests={"mid": {"a": "1", "b": "2"}},
)


def test_settings_survive_the_way_to_the_disk_and_differences_are_named() -> None:
    stored = json.loads(json.dumps(SETTINGS.described()))
    assert Settings.from_described(stored).described() == SETTINGS.described()
    assert differences(stored, SETTINGS.described()) == []
    other = replace(
        SETTINGS,
        plan=Plan(["a", "b"], Linear(0, 30), sizes=(1, 2)),
        iterations=5,
        cooldown=Cooldown.fixed("1s"),
        requests={"mid": {"a": "1", "b": "9"}},
    )
    found = differences(stored, other.described())
    assert "plan.rates.max: stored 20, asked 30" in found
    assert "iterations: stored 3, asked 5" in found
    assert "cooldown.fixed_s: stored null, asked 1.0" in found
    assert 'requests.mid.b: stored "2", asked "9"' in found


def test_options_of_runs_survive_the_way_to_the_disk() -> None:
    given = {
        "limits": Limits(timeout="1m", lease="3s"),
        "warmup": "2s",
        "thresholds": {"a": "p(95)<200"},
        "live": print,
    }
    stored = json.loads(json.dumps(stored_options(given)))
    assert "live" not in stored
    assert stored_options(options_of(stored)) == stored
    assert options_of(stored)["limits"] == Limits(timeout="60.0s", lease="3.0s")


@given(st.integers(0, 5), st.sampled_from(["rising", "shuffled", "given"]))
def test_every_order_has_each_load_once(seed: int, order: Any) -> None:
    indexes = [int(index) for index in order_of(PLAN, order, seed)]
    assert sorted(indexes) == list(range(len(PLAN)))
    assert indexes == [int(index) for index in order_of(PLAN, order, seed)]
    if order == "given":
        assert indexes == sorted(indexes)
    if order == "rising":
        loads = [PLAN[index] for index in indexes]
        totals = [sum(load.values()) for load in loads]
        assert totals == sorted(totals)
        assert not any(
            dominates(late, early) for i, early in enumerate(loads) for late in loads[i:]
        )
    with pytest.raises(ConfigError, match="order"):
        replace(SETTINGS, order="falling")  # type: ignore[arg-type]


def test_a_preview_tells_loads_time_and_data() -> None:
    fresh = preview_of(SETTINGS, {"mid": PLAN}, {})
    assert str(fresh).startswith("15 loads, about 23 min without cooldowns")
    measured = LoadRecord(LOAD, 1).with_attempt(
        Attempt(1, state="measured", run_id="r", rest_s=29.0)
    )
    later = preview_of(SETTINGS, {"mid": PLAN}, {"mid": {LOAD.load_id: measured}})
    assert later.left == {"mid": 14}
    assert later.left_s == 14 * 3 * 60.0
    assert "(14 left), about 42 min with what cooldowns took so far (29 s)" in str(later)
    two = preview_of(SETTINGS, {"mid": PLAN, "heavy": PLAN}, {})
    assert two.left_s == fresh.left_s
    assert two.data_bytes == 2 * fresh.data_bytes
    assert told_time(15000) == "4 h 10 min"
    assert told_time(3600 * 50) == "2 days 2 h"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:8080", True),
        ("http://localhost:1", True),
        ("http://10.0.0.5:31112", False),
        ("http://mid.example:31112", False),
    ],
)
def test_a_node_that_is_the_generator_is_known_by_its_address(url: str, expected: bool) -> None:
    assert shares_generator(url) is expected


def test_a_doubt_of_the_generator_is_of_the_iterations_that_it_names() -> None:
    from types import SimpleNamespace

    from dfaas_lab import Doubt
    from dfaas_lab.analysis.doubt import Finding, Kind, grouped
    from dfaas_lab.campaign.attempts import generator_doubts

    busy = Kind("generator CPU in the worst second", "at most 80%", "", "processor")
    files = Kind("open files of k6", "at most 900", "", "generator")
    ports = Kind("errors of the generator itself: no free port", "0", "", "generator")
    doubts = (
        *grouped(
            Finding(kind, "9", "", iteration, function)
            for kind, function, iterations in [
                (busy, "", [1, 3]),
                (files, "", [2]),
                (Kind("drops", "0", ""), "env", [1]),
                (ports, "", range(1, 10)),
            ]
            for iteration in iterations
        ),
        Doubt("clock of the gateway against the generator", "+3.0 s", "within 2 s"),
    )
    run: Any = SimpleNamespace(verdict=SimpleNamespace(doubts=doubts))

    def kinds(iteration: int, **given: bool) -> list[str]:
        return [text.split()[0] for text in generator_doubts(run, iteration, **given)]

    assert kinds(1) == ["generator", "errors"]
    assert kinds(2) == ["open", "errors"]
    assert kinds(9) == ["errors"]
    assert kinds(1, on_generator=True) == ["errors"]


def test_replicas_that_the_gateway_no_longer_tells_are_not_idle() -> None:
    known = replace(IDLE, replicas={"a": 1})
    assert not_idle(IDLE, known, Cooldown()) == ["replicas of a are not measured"]
    assert not_idle(known, IDLE, Cooldown()) == []


def _answers(*rows: tuple[int | None, int | None, float | None]) -> pl.DataFrame:
    """Requests of ``env``: status, k6's code of the error, latency."""
    return pl.DataFrame(
        [
            {
                "function": "env",
                "http_status": status,
                "error_code": code,
                "latency_ms": latency,
                "failed": status is None or status >= 400 or 300 <= status < 304,
            }
            for status, code, latency in rows
        ],
        schema={
            "function": pl.String(),
            "http_status": pl.Int64(),
            "error_code": pl.Int64(),
            "latency_ms": pl.Float64(),
            "failed": pl.Boolean(),
        },
        orient="row",
    )


WELL_ANSWERED, REFUSED, OFF = (200, None, 9.0), (None, 1212, None), (None, 1050, None)


@pytest.mark.parametrize(
    ("rows", "is_back", "away"),
    [
        ([], False, False),
        ([WELL_ANSWERED] * 99 + [REFUSED] * 3, True, True),
        ([WELL_ANSWERED] * 99 + [REFUSED], True, False),
        ([OFF] * 5, True, True),  # nobody got a connection: that is no overload
        ([WELL_ANSWERED] * 5 + [OFF] * 5, True, False),  # its queue may be full
        ([WELL_ANSWERED] * 5 + [OFF] * 5, False, True),
        ([(502, 1502, 9.0)] * 9, False, False),
    ],
)
def test_a_gateway_that_is_away_is_told_from_an_overloaded_one(
    rows: list[Any], is_back: bool, away: bool
) -> None:
    assert was_away(_answers(*rows), lambda: is_back) is away


@pytest.mark.parametrize(
    ("status", "no_sign"),
    [(404, True), (401, True), (302, True), (429, False), (408, False), (503, False), (200, False)],
)
def test_answers_that_no_load_explains_are_no_sign_of_overload(status: int, no_sign: bool) -> None:
    rates, told = misdirected(_answers((status, None, 9.0), WELL_ANSWERED, (status, None, 9.0)))
    assert rates == ({"env": 1.0} if no_sign else {})
    assert told.startswith(f"env: 2 of 3 requests were answered {status}") is no_sign
    assert misdirected(_answers((404, None, 9.0)))[0] == {"env": None}
    assert misdirected(_answers((404, None, 9.0), (502, None, 9.0)))[0] == {"env": 0.0}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Overload(replicas=0),
        lambda: Overload(replicas=14.5),  # type: ignore[arg-type]
        lambda: Cooldown(replicas=0),
        lambda: Cooldown(replicas=1.5),  # type: ignore[arg-type]
        lambda: Cooldown(threshold=float("inf")),
        lambda: Cooldown.fixed(None),  # type: ignore[arg-type]
        lambda: replace(SETTINGS, cooldown="10s"),
        lambda: replace(SETTINGS, overload={"replicas": 3}),
        lambda: replace(SETTINGS, seed="x"),
        lambda: replace(SETTINGS, seed=1.5),
    ],
)
def test_settings_that_cannot_be_are_refused(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()


def test_each_load_has_the_thresholds_of_its_own_functions() -> None:
    rules = {"a": "p(95)<200", "b": {"http_req_failed": ("rate<0.1",)}}
    options = {"thresholds": rules, "warmup": "1s"}
    assert options_for(options, {"a": 5, "b": 0}) == {
        "thresholds": {"a": "p(95)<200"},
        "warmup": "1s",
    }
    stored = stored_options({"thresholds": rules})
    assert stored == {"thresholds": {"a": ["p(95)<200"], "b": {"http_req_failed": ["rate<0.1"]}}}
    assert options_of(json.loads(json.dumps(stored))) == stored


@pytest.mark.parametrize("text", ["{}", '{"load": {}, "asked": 1, "attempts": [{"iteratio": 1}]}'])
def test_a_damaged_file_of_a_campaign_is_told_with_its_path(tmp_path: Path, text: str) -> None:
    folder = CampaignFolder(tmp_path / "campaigns" / "c")
    folder.create(SETTINGS, {"label": None, "status": "new"})
    folder.write_load("mid", _record("measured"))
    assert folder.loads("mid") == {LOAD.load_id: _record("measured")}
    (folder.path / "mid" / f"{LOAD.load_id}.json").write_text(text)
    with pytest.raises(StoreError, match=rf"{LOAD.load_id}.json is damaged"):
        folder.loads("mid")
    (folder.path / "campaign.json").write_text('{"format": 1, "settings": {"plan": 1}}')
    with pytest.raises(StoreError, match=r"campaign\.json is damaged"):
        folder.read()


def test_outcomes_outlive_the_runs_that_were_pruned(tmp_path: Path) -> None:
    known = {"mid": {LOAD.load_id: _record("measured")}}
    frame = outcomes_of(Store(tmp_path), SETTINGS, {"mid": PLAN}, known)
    assert frame.select("function", "rate_rps", "success_rate", "requests").row(0) == (
        "a", 10.0, None, None,
    )  # fmt: skip
    assert frame["not_measured"].to_list() == ["its run is no longer in the store"]
    assert outcomes_of(Store(tmp_path), SETTINGS, {"mid": PLAN}, {}).schema == frame.schema
