"""The frames of an iteration: the contract's columns, exact counts, true quantiles."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfaas_lab import schemas
from dfaas_lab.k6.results import Frames, read
from dfaas_lab.load import Function, Load
from tests.unit.sample_files import T0, V1_ALL, Request, mark, rows_of, text_of

START = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=T0 // 1000)
SECOND = 10**9
SCENARIOS = {"f0": "figlet", "f1": "env", "f2": "echo"}
LOAD = Load.of(
    {"figlet": 10, "env": 5, "echo": 0},
    duration="3s",
    functions=[Function(name) for name in SCENARIOS.values()],
)


def read_rows(folder: Path, rows: list[dict[str, str]], **changes: object) -> Frames:
    path = folder / "samples.csv"
    path.write_text(text_of(rows, V1_ALL))
    arguments = {
        "run_id": "20261123T094512-3f9a2c", "target": "mid", "iteration": 2, "load": LOAD,
        "scenarios": SCENARIOS, "started_at": None, "status": "ok",
    }  # fmt: skip
    return read(path, **(arguments | changes))


def rows(*requests: Request) -> list[dict[str, str]]:
    return [row for request in requests for row in rows_of(request, random.Random(1))]


def beginning_at(second: float, **changes: object) -> Request:
    request = Request(**changes)
    took = request.duration + request.blocked
    return Request(**changes, end_ns=T0 + round(second * SECOND) + took)


def test_columns_and_types_are_those_of_the_contract(tmp_path: Path) -> None:
    got = read_rows(tmp_path, rows(Request(), Request(scenario="f1")))
    assert got.summary.schema == schemas.SUMMARY
    assert got.requests.schema == schemas.REQUESTS
    assert got.timeline.schema == schemas.TIMELINE
    assert got.k6_metrics.schema == schemas.K6_METRICS
    for frame in (got.summary, got.requests, got.timeline):
        key = frame.select("run_id", "target", "iteration").unique().rows()
        assert key == [("20261123T094512-3f9a2c", "mid", 2)]


def test_empty_frames_have_the_columns_too() -> None:
    empty = Frames.empty()
    assert empty.summary.schema == schemas.SUMMARY
    assert empty.requests.is_empty()


def test_a_function_that_takes_no_load_has_a_row_of_zeros_and_nulls(tmp_path: Path) -> None:
    got = read_rows(tmp_path, rows(Request())).summary
    assert got["function"].to_list() == ["figlet", "env", "echo"]
    echo = got.row(2, named=True)
    assert (echo["rate_rps"], echo["requests"], echo["failed"], echo["dropped"]) == (0, 0, 0, 0)
    assert echo["achieved_rps"] == 0
    assert echo["success_rate"] is None
    assert echo["latency_ms_p95"] is None


def test_a_function_without_any_answer_has_counts_and_no_latency(tmp_path: Path) -> None:
    refused = Request(blocked=0, sending=0, waiting=0, receiving=0, status=0, error_code=1212,
                      failed=True)  # fmt: skip
    figlet = read_rows(tmp_path, rows(refused)).summary.row(0, named=True)
    assert (figlet["requests"], figlet["failed"], figlet["success_rate"]) == (1, 1, 0.0)
    assert figlet["latency_ms_mean"] is None


def test_unfinished_counts_what_began_and_left_no_row(tmp_path: Path) -> None:
    started = [mark("dfaas_started", T0, "f0")] * 3 + [mark("dfaas_started", T0, "f1")]
    everything = started + rows(Request(), Request(scenario="f1"))
    assert read_rows(tmp_path, everything).summary["unfinished"].to_list() == [2, 0, 0]
    custom = read_rows(tmp_path, everything, load=None).summary
    assert custom["unfinished"].to_list() == [None, None]


def test_dropped_iterations_are_counted_by_function_and_second(tmp_path: Path) -> None:
    drops = [mark("dropped_iterations", T0 + SECOND + 5, "f1")] * 2
    drops += [mark("dropped_iterations", T0 + 5, "f1", value=3)]
    got = read_rows(tmp_path, rows(beginning_at(0)) + drops)
    assert got.summary["dropped"].to_list() == [0, 5, 0]
    env = got.timeline.filter(pl.col("function") == "env")
    assert env["dropped"].to_list() == [3, 2, 0]


def test_the_timeline_has_every_second_and_counts_a_request_where_it_began(tmp_path: Path) -> None:
    slow = beginning_at(0.9, waiting=2 * SECOND, vu=2)
    got = read_rows(tmp_path, rows(beginning_at(0), slow, beginning_at(1.5, failed=True)))
    figlet = got.timeline.filter(pl.col("function") == "figlet")
    assert figlet["second"].to_list() == [0, 1, 2]
    assert figlet["requests"].to_list() == [2, 1, 0]
    assert figlet["failed"].to_list() == [0, 1, 0]
    assert figlet["latency_ms_p50"].to_list() == [pytest.approx(1002.8), None, None]
    assert got.timeline.height == 3 * 3


def test_the_timeline_of_a_run_that_was_cut_short_ends_with_it(tmp_path: Path) -> None:
    got = read_rows(tmp_path, rows(beginning_at(0), beginning_at(1.5)), status="interrupted")
    assert got.timeline["second"].max() == 1
    assert got.summary["status"].unique().to_list() == ["interrupted"]


def test_a_clock_that_jumps_makes_no_endless_timeline(tmp_path: Path) -> None:
    jump = beginning_at(500_000_000, vu=2)
    got = read_rows(tmp_path, rows(beginning_at(0), jump)).timeline
    assert sorted(got["second"].unique()) == [0, 500_000_000]


def test_an_iteration_starts_with_the_first_thing_its_load_did(tmp_path: Path) -> None:
    got = read_rows(tmp_path, rows(beginning_at(1), beginning_at(0, vu=2)), started_at=START)
    assert got.summary["started_at"].unique().to_list() == [START]
    empty = read_rows(tmp_path, [], started_at=START)
    assert empty.summary["started_at"].unique().to_list() == [START]
    assert empty.summary["requests"].to_list() == [0, 0, 0]


def test_a_custom_script_names_functions_by_tag_or_by_scenario(tmp_path: Path) -> None:
    tagged = Request(scenario="default", tags={"function": 'a, "b"\nc', "x": "y"})
    got = read_rows(
        tmp_path, rows(tagged, Request(scenario="warm", vu=2)), load=None, scenarios={},
    )  # fmt: skip
    assert got.summary["function"].to_list() == ['a, "b"\nc', "warm"]
    assert got.summary["rate_rps"].to_list() == [None, None]
    assert got.summary["achieved_rps"].to_list() == [None, None]


def test_checks_and_metrics_of_a_script_are_kept(tmp_path: Path) -> None:
    checks = [mark("checks", T0, "default", value) | {"check": "is, ok"} for value in (1, 1, 0)]
    trend = [mark("my_trend", T0 + n, "default", n) for n in (1, 5, 3)]
    got = read_rows(tmp_path, checks + trend, load=None, scenarios={}).k6_metrics
    columns = ("metric", "check", "samples", "sum", "mean", "min", "max", "p50", "last")
    assert got.select(columns).rows() == [
        ("checks", "is, ok", 3, 2.0, pytest.approx(2 / 3), 0.0, 1.0, 1.0, 0.0),
        ("my_trend", None, 3, 9.0, 3.0, 1.0, 5.0, 3.0, 3.0),
    ]


STARTED, DROPPED = "dfaas_started", "dropped_iterations"
TENTH = SECOND // 10


def attempted(
    moments: dict[int, int], *, scenario: str = "f0", dropped: set[int] | None = None
) -> list[dict[str, str]]:
    """Rows of requests of 5.35 ms that are planned each 0.1 s, by number how late, in ns."""
    found: list[dict[str, str]] = []
    for number, late in moments.items():
        at = T0 + number * TENTH + late
        if number in (dropped or set()):
            found.append(mark(DROPPED, at, scenario))
            continue
        key = {"metadata": f"vu={number + 1}&iter=0"}
        found += [mark(STARTED, at, scenario) | key]
        found += rows(Request(vu=number + 1, scenario=scenario, end_ns=at + 5_350_000))
    return found


def test_a_request_knows_when_it_was_planned_and_how_late_it_was(tmp_path: Path) -> None:
    late = {n: n * 1_000_000 for n in range(30)}
    got = read_rows(tmp_path, attempted(late))
    planned = [START + timedelta(milliseconds=100 * n) for n in range(30)]
    assert got.requests["planned_at"].to_list() == planned
    assert got.requests["late_ms"].to_list() == pytest.approx(list(range(30)))
    assert got.requests["response_ms"].to_list() == pytest.approx([n + 5.35 for n in range(30)])
    row = got.summary.row(0, named=True)
    assert (row["late_ms_max"], row["late_ms_p99"]) == pytest.approx((29.0, 28.71))
    assert row["response_ms_max"] == pytest.approx(34.35)
    assert row["latency_ms_max"] == pytest.approx(5.3)


def test_a_request_that_made_its_connection_is_not_sent_before_it_was_started(
    tmp_path: Path,
) -> None:
    """k6 counts the time from the connection to its use as blocked and as sending."""
    made = Request(vu=1, blocked=730_000, connecting=480_000, sending=240_000, end_ns=T0)
    took = made.duration + made.blocked
    made = replace(made, end_ns=T0 + took - 140_000)
    first = [mark(STARTED, T0, "f0") | {"metadata": "vu=1&iter=0"}, *rows(made)]
    got = read_rows(tmp_path, first + attempted(dict.fromkeys(range(1, 30), 0)))
    row = got.requests.row(0, named=True)
    assert row["late_ms"] == 0
    assert row["started_at"] == row["planned_at"] == START
    assert row["response_ms"] == pytest.approx((took - 140_000) / 1e6)


@pytest.mark.parametrize("connecting", [0, 240_000])
def test_a_request_keeps_its_start_where_later_ones_were_sent_before_it(
    tmp_path: Path, connecting: int
) -> None:
    """The sixth starts in time and waits 0.25 s for a processor; or its start seems too early."""
    found = attempted(dict.fromkeys((n for n in range(30) if n != 5), 0))
    mine = Request(vu=6, connecting=connecting, blocked=50_000 + (SECOND // 4 if connecting else 0))
    ended = T0 + 5 * TENTH + SECOND // 4 + 5_350_000
    if connecting:
        ended = T0 + 5 * TENTH + 5_350_000  # counted back, it comes before the third
    found += [mark(STARTED, T0 + 5 * TENTH, "f0") | {"metadata": "vu=6&iter=0"}]
    got = read_rows(tmp_path, found + rows(replace(mine, end_ns=ended))).requests.sort("vu")
    planned = [START + timedelta(milliseconds=100 * n) for n in range(30)]
    assert got["planned_at"].to_list() == planned
    late = [0.0] * 30
    late[5] = 0.0 if connecting else 250.0
    assert got["late_ms"].to_list() == pytest.approx(late)


def test_drops_take_their_place_in_the_plan(tmp_path: Path) -> None:
    got = read_rows(tmp_path, attempted(dict.fromkeys(range(30), 0), dropped={0, 3, 4, 29}))
    assert got.requests["late_ms"].to_list() == pytest.approx([0.0] * 26)
    row = got.summary.row(0, named=True)
    books = [row[name] for name in ("planned", "started", "dropped", "not_attempted", "succeeded")]
    assert books == [30, 26, 4, 0, 26]
    line = got.timeline.filter(function="figlet")
    assert line["requests"].to_list() == [7, 10, 9]
    assert line["dropped"].to_list() == [3, 0, 1]


def test_an_unfinished_start_keeps_its_moment_and_its_second(tmp_path: Path) -> None:
    all_ = attempted(dict.fromkeys(range(30), 0))
    kept = [row for row in all_ if "http_req" not in row["metric_name"] or row["vu"] != "15"]
    got = read_rows(tmp_path, kept)
    assert got.requests["late_ms"].to_list() == pytest.approx([0.0] * 29)
    assert got.timeline.filter(function="figlet")["unfinished"].to_list() == [0, 1, 0]
    row = got.summary.row(0, named=True)
    assert (row["started"], row["succeeded"], row["failed"], row["unfinished"]) == (30, 29, 0, 1)


def test_seconds_are_those_of_the_plan_unless_a_request_came_late(tmp_path: Path) -> None:
    """Each second has its ten, however the last of it wavers; a burst is where it was sent."""
    in_time = {n: 9_000_000 if n % 10 == 9 else 0 for n in range(30)}
    got = read_rows(tmp_path, attempted(in_time))
    assert got.timeline.filter(function="figlet")["requests"].to_list() == [10, 10, 10]
    stalled = {n: max(0, 15 - n) * TENTH if n >= 5 else 0 for n in range(30)}
    got = read_rows(tmp_path, attempted(stalled))
    line = got.timeline.filter(function="figlet")
    assert line["requests"].to_list() == [5, 15, 10]
    assert line["late_ms_max"].to_list() == pytest.approx([0, 1000, 0])


def test_a_function_whose_load_begins_later_is_not_late(tmp_path: Path) -> None:
    """k6 begins each scenario when its VUs are ready: a busy host, or many VUs, take 0.1 s."""
    first = attempted(dict.fromkeys(range(30), 0))
    env = attempted(dict.fromkeys(range(30), 115_000_000), scenario="f1")
    load = Load.of(10, duration="3s", functions=[Function("figlet"), Function("env")])
    got = read_rows(tmp_path, first + env, load=load)
    assert got.requests["late_ms"].abs().max() == 0
    assert got.summary["response_ms_p50"].to_list() == pytest.approx([5.35, 5.35])
    assert got.timeline["requests"].to_list() == [10] * 6
    began = (got.summary["started_at"] - START).dt.total_milliseconds()
    assert began.to_list() == [0, 115]


def test_a_few_requests_that_were_all_late_are_late(tmp_path: Path) -> None:
    """They do not tell when their own load began."""
    env = attempted({0: 50_000_000}, scenario="f1")
    got = read_rows(tmp_path, attempted(dict.fromkeys(range(30), 0)) + env)
    assert got.requests.filter(function="env")["late_ms"].to_list() == pytest.approx([50.0])


@pytest.mark.parametrize("status", ["interrupted", "timed_out", "failed"])
def test_a_load_that_was_cut_short_is_judged_by_the_time_it_ran(
    tmp_path: Path, status: str
) -> None:
    got = read_rows(tmp_path, attempted(dict.fromkeys(range(12), 0)), status=status).summary
    row = got.row(0, named=True)
    assert row["achieved_rps"] == pytest.approx(10)
    assert (row["planned"], row["started"], row["not_attempted"]) == (30, 12, 18)
    nothing = read_rows(tmp_path, [], status=status).summary.row(0, named=True)
    assert (nothing["achieved_rps"], nothing["not_attempted"]) == (None, 30)


def test_latencies_are_those_of_successful_requests(tmp_path: Path) -> None:
    refused = Request(vu=2, status=429, failed=True, waiting=100_000)
    row = read_rows(tmp_path, rows(Request(), refused)).summary.row(0, named=True)
    assert row["latency_ms_min"] == row["latency_ms_p50"] == pytest.approx(5.3)
    assert row["failed_latency_ms_p50"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("sizes", "tls", "repeats"),
    [
        ((84, 168, 84, 0, 252), 0, 3),
        ((84, 84), 0, None),
        # As k6 1.1 wrote them: TLS 1.3, TLS 1.2; a repeat says farewell on the lost connection.
        ((103, 432, 432, 535, 559), 9, 2),
        ((110, 452, 452, 562, 593), 9, 2),
        ((103, 300, 432, 432, 535), 9, 1),  # one handshake broke off
        ((432, 432, 456), 9, None),  # no connection was of use twice
        ((37, 340, 371, 406), 9, None),  # HTTP/2, with frames of its own
    ],
)
def test_what_the_client_repeats_is_seen_by_its_bytes(
    tmp_path: Path, sizes: tuple[int, ...], tls: int, repeats: int | None
) -> None:
    sent = [mark("data_sent", T0 + n, "f0", size) for n, size in enumerate(sizes)]
    broken = [Request(vu=2, status=0, failed=True)] if 300 in sizes else []
    got = read_rows(tmp_path, rows(Request(tls_handshaking=tls), *broken) + sent).k6_metrics
    found = got.filter(metric="dfaas_repeats").select("function", "sum")
    assert found.rows() == ([("figlet", repeats)] if repeats else [])


def test_what_a_script_plans_by_itself_is_not_known(tmp_path: Path) -> None:
    got = read_rows(tmp_path, rows(Request()), load=None)
    for name in ("planned_at", "late_ms", "response_ms"):
        assert got.requests[name].to_list() == [None]
    row = got.summary.row(0, named=True)
    for name in ("planned", "started", "not_attempted", "unfinished", "achieved_rps"):
        assert row[name] is None
    assert (row["requests"], row["succeeded"], row["dropped"]) == (1, 1, 0)


@settings(suppress_health_check=list(HealthCheck))
@given(
    sent=st.lists(
        st.tuples(
            st.sampled_from(["f0", "f1"]), st.integers(0, 10**10), st.booleans(), st.floats(0, 2.9)
        ),
        max_size=40,
    )
)
def test_summary_and_timeline_agree_with_the_requests(
    tmp_path_factory: pytest.TempPathFactory, sent: list[tuple[str, int, bool, float]]
) -> None:
    requests = [
        beginning_at(at, scenario=scenario, waiting=waiting, failed=failed, vu=vu + 1)
        for vu, (scenario, waiting, failed, at) in enumerate(sent)
    ]
    got = read_rows(tmp_path_factory.mktemp("csv"), rows(*requests))
    for row in got.summary.iter_rows(named=True):
        mine = got.requests.filter(pl.col("function") == row["function"])
        latency = mine.filter(~pl.col("failed"))["latency_ms"].to_numpy()
        assert row["requests"] == len(mine) == sum(SCENARIOS[s[0]] == row["function"] for s in sent)
        assert row["failed"] == mine["failed"].sum()
        assert row["achieved_rps"] == pytest.approx(len(mine) / 3)
        if len(latency):
            wanted = np.quantile(latency, [0.5, 0.9, 0.95, 0.99], method="linear")
            have = [row[f"latency_ms_p{q}"] for q in (50, 90, 95, 99)]
            assert have == pytest.approx(list(wanted))
            assert row["latency_ms_mean"] == pytest.approx(latency.mean())
        line = got.timeline.filter(pl.col("function") == row["function"])
        assert line.select("requests", "failed").sum().row(0) == (row["requests"], row["failed"])
        assert line["second"].to_list() == list(range(line.height))


def test_what_a_script_sets_up_is_no_load(tmp_path: Path) -> None:
    """A group that the load calls setup is the load's all the same."""
    asked = [("", "::setup"), ("", "::setup::inner"), ("default", ""), ("default", "::setup"),
             ("", "::teardown"), ("", "::setups")]  # fmt: skip
    lines = [
        row | {"group": group}
        for nth, (scenario, group) in enumerate(asked)
        for row in rows(Request(end_ns=T0 + nth * SECOND, scenario=scenario, iter=nth))
    ]
    got = read_rows(tmp_path, lines, load=None, scenarios={})
    counts = dict(got.summary.select("function", "requests").rows())
    assert counts == {"setup": 2, "default": 3, "teardown": 1}
    assert got.requests["function"].to_list() == [
        "setup", "setup", "default", "default", "teardown", "default",
    ]  # fmt: skip


@pytest.mark.parametrize("odd", ["NaN", "+Inf", "-Inf"])
def test_a_metric_that_is_not_finite_is_null(tmp_path: Path, odd: str) -> None:
    without = {"metric_value": odd}
    lines = [
        *rows(Request()),
        mark("spoken", T0, "f0", 3.0),
        mark("spoken", T0, "f0") | without,
        mark("never", T0, "f0") | without,
        *(mark("huge", T0, "f0", 1e308) for _ in range(2)),
    ]
    got = read_rows(tmp_path, lines).k6_metrics
    values = {row["metric"]: row for row in got.iter_rows(named=True)}
    assert [values["spoken"][name] for name in ("samples", "sum", "mean", "min", "max", "p50")] == [
        2, 3.0, 3.0, 3.0, 3.0, 3.0,
    ]  # fmt: skip
    assert values["spoken"]["last"] is None
    assert (values["huge"]["sum"], values["huge"]["max"]) == (None, 1e308)
    assert [values["never"][name] for name in ("samples", "sum", "mean")] == [1, None, None]
