"""What makes a run doubtful, each doubt with its number, and what does not."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dfaas_lab import schemas
from dfaas_lab.analysis.doubt import Verdict
from dfaas_lab.analysis.verdict import Completion, Evidence, verdict_of
from dfaas_lab.k6.generator_load import HostLoad, IterationOnHost, read_log

FINE: dict[str, Any] = {
    "run_id": "r",
    "target": "mid",
    "iteration": 1,
    "function": "env",
    "rate_rps": 20.0,
    "duration_s": 5.0,
    "requests": 100,
    "failed": 0,
    "dropped": 0,
    "unfinished": 0,
    "status": "ok",
}


def _summary(*changes: dict[str, Any]) -> pl.DataFrame:
    rows = [dict.fromkeys(schemas.SUMMARY) | FINE | change for change in changes or ({},)]
    return pl.DataFrame(rows, schema=schemas.SUMMARY)


def _clock(low_ms: float, high_ms: float, target: str = "mid") -> pl.DataFrame:
    row = dict.fromkeys(schemas.K6_METRICS) | {
        "target": target,
        "metric": "dfaas_date_lead_ms",
        "min": low_ms,
        "max": high_ms,
    }
    return pl.DataFrame([row], schema=schemas.K6_METRICS)


NO_METRICS = pl.DataFrame(schema=schemas.K6_METRICS)


@pytest.mark.parametrize(
    "change",
    [{}, {"requests": 101}, {"requests": 99}, {"failed": 50}, {"status": "slo_failed"}],
    ids=str,
)
def test_what_was_delivered_as_asked_is_valid(change: dict[str, Any]) -> None:
    """Failed answers and missed thresholds are results, not doubts."""
    verdict = verdict_of(_summary(change), _clock(-800.0, -200.0))
    assert verdict.valid
    assert str(verdict) == "VALID"


PLANNED = {"planned": 100, "started": 100, "not_attempted": 0, "succeeded": 100}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"requests": 98}, "requests started: env 98, asked 100, iteration 1"),
        ({"requests": 102}, "requests started: env 102"),
        ({"requests": 0, "rate_rps": 0.2}, "requests started: env 0, asked 1"),
        ({"dropped": 3, "requests": 97}, "drops: env 3, iteration 1 (expected 0)"),
        ({"unfinished": 2, "requests": 98}, "requests in flight at the end: env 2"),
        ({"status": "timed_out"}, "status: timed_out, iteration 1 (expected ok)"),
        ({"status": "failed"}, "status: failed"),
        ({"status": None}, "status: None"),
        (PLANNED | {"started": 90, "not_attempted": 10}, "not attempted: env 10 of 100"),
        (PLANNED | {"started": 101}, "requests started: env 101, planned 100"),
        (
            PLANNED | {"gateway_count": 130, "gateway_difference": 30},
            "requests that the gateway counted: env 130 of 100",
        ),
        (PLANNED | {"late_ms_p99": 10.1}, "p99 of the lateness: env 10 ms"),
        (PLANNED | {"late_ms_p99": 40.0, "response_ms_p50": 300.0}, "env 40 ms"),
    ],
    ids=str,
)
def test_what_was_not_is_doubtful_and_says_how_much(change: dict[str, Any], said: str) -> None:
    verdict = verdict_of(_summary(change), NO_METRICS)
    assert not verdict.valid
    assert said in str(verdict)
    assert all(doubt.fix for doubt in verdict.doubts)


@pytest.mark.parametrize(
    "change", [{"late_ms_p99": 9.9}, {"late_ms_p99": 29.0, "response_ms_p50": 300.0}], ids=str
)
def test_a_little_lateness_is_none(change: dict[str, Any]) -> None:
    assert verdict_of(_summary(PLANNED | change), NO_METRICS).valid


def test_an_interrupted_iteration_says_so_once_and_how_far_it_came() -> None:
    cut = {"status": "interrupted", "planned": 100, "started": 40, "not_attempted": 60,
           "achieved_rps": 20.0}  # fmt: skip
    verdict = verdict_of(_summary(cut, cut | {"function": "figlet"}), NO_METRICS)
    assert str(verdict) == "DOUBTFUL: status: interrupted (2 s of 5 s), iteration 1 (expected ok)"


@pytest.mark.parametrize("turn", [1, -1])
def test_a_slow_function_tells_no_longer_time_than_the_load_ran(turn: int) -> None:
    """Two requests at 1/3 per second count for 6 s, though the load ended after 3.9 s."""
    quick = {"status": "timed_out", "planned": 200, "started": 78, "achieved_rps": 20.0}
    slow = quick | {"function": "figlet", "planned": 2, "started": 2, "achieved_rps": 1 / 3}
    verdict = verdict_of(_summary(*[quick, slow][::turn]), NO_METRICS)
    assert "timed_out (3.9 s of 5 s)" in str(verdict)


def test_doubts_of_one_kind_are_one() -> None:
    drops = [{"iteration": n, "dropped": 2 * n, "requests": 100 - 2 * n} for n in (1, 3)]
    verdict = verdict_of(_summary(*drops, {"function": "x", "dropped": 1}), NO_METRICS)
    assert [str(doubt) for doubt in verdict.doubts] == [
        "drops: env 2 and 6, iterations 1 and 3; x 1, iteration 1 (expected 0)",
        *[str(doubt) for doubt in verdict.doubts[1:]],
    ]
    assert "No VU was free" in verdict.explain()


def test_a_run_that_runs_is_running() -> None:
    verdict = verdict_of(_summary(), NO_METRICS, completion=Completion("running", {"mid": 3}, {}))
    assert (str(verdict), verdict.valid) == ("RUNNING", False)


def test_all_failed_is_said_and_no_doubt() -> None:
    verdict = verdict_of(_summary({"failed": 100}), NO_METRICS)
    assert verdict.valid
    assert "100 % of env failed (100 requests)" in verdict.explain()


def test_a_quantile_of_few_requests_has_a_remark() -> None:
    few = {"succeeded": 71, "response_ms_p90": 5.0, "response_ms_p95": 6.0, "response_ms_p99": 7.0}
    verdict = verdict_of(_summary(PLANNED | few), NO_METRICS)
    assert verdict.remarks == (
        "p95 of env is of 71 requests (it needs 72)",
        "p99 of env is of 71 requests (it needs 368)",
    )


def _timeline(*counts: int) -> pl.DataFrame:
    rows = [
        dict.fromkeys(schemas.TIMELINE)
        | {"target": "mid", "iteration": 1, "function": "env", "second": second}
        | {"requests": count, "dropped": 0, "unfinished": 0}
        for second, count in enumerate(counts)
    ]
    return pl.DataFrame(rows, schema=schemas.TIMELINE)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((20, 20, 20, 20, 20), None),
        ((11, 29, 20, 20, 20), None),
        ((9, 31, 4, 36, 20), "env 2 of 5"),
    ],
)  # fmt: skip
def test_a_generator_that_stood_still(counts: tuple[int, ...], said: str | None) -> None:
    verdict = verdict_of(_summary(PLANNED), NO_METRICS, Evidence(timeline=_timeline(*counts)))
    assert verdict.valid is (said is None)
    assert said is None or said in str(verdict)


@pytest.mark.parametrize(("late_ms", "valid"), [(30.0, True), (600.0, False)])
def test_a_second_that_a_request_left_by_little_is_no_stall(late_ms: float, valid: bool) -> None:
    """At 1.01 per second the second of three is planned just before its second ends."""
    change = PLANNED | {"rate_rps": 1.01, "planned": 5, "started": 5, "requests": 5, "succeeded": 5}
    late = pl.Series([0.0, None, late_ms, 0.0, 0.0], dtype=pl.Float64)
    timeline = _timeline(2, 0, 2, 1, 0).with_columns(late_ms_max=late)
    verdict = verdict_of(_summary(change), NO_METRICS, Evidence(timeline=timeline))
    assert verdict.valid is valid


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"redirects": 99}, None),
        ({"redirects": 100}, "answers that redirect: env all 100"),
        ({"untrusted": 1}, "trusted TLS connection: env 1 of 100"),
        ({"blocked_ms": 50.0, "response_ms": 100.0}, "blocked before sending, mean: env 50 of 100"),
        ({"blocked_ms": 4.0, "response_ms": 10.0}, None),
        ({"blocked_ms": 50.0, "response_ms": 600.0}, None),
    ],
    ids=str,
)
def test_answers_that_were_none(change: dict[str, Any], said: str | None) -> None:
    row = {"target": "mid", "iteration": 1, "function": "env", "requests": 100, "redirects": 0,
           "untrusted": 0, "blocked_ms": None, "response_ms": None} | change  # fmt: skip
    verdict = verdict_of(_summary(PLANNED), NO_METRICS, Evidence(answers=pl.DataFrame([row])))
    assert verdict.valid is (said is None)
    assert said is None or said in str(verdict)


@pytest.mark.parametrize(
    ("low_ms", "high_ms", "said"),
    [(89_100.0, 89_900.0, "+90."), (-90_900.0, -90_100.0, "-90."), (-1500.0, 400.0, None)],
)
def test_a_gateway_whose_clock_is_off(low_ms: float, high_ms: float, said: str | None) -> None:
    verdict = verdict_of(_summary(), _clock(low_ms, high_ms))
    assert verdict.valid is (said is None)
    assert said is None or said in str(verdict)


def _on_host(*loads: HostLoad) -> Verdict:
    hosts = [IterationOnHost("mid", number, load) for number, load in enumerate(loads, start=1)]
    return verdict_of(_summary(PLANNED), NO_METRICS, Evidence(hosts=hosts))


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (HostLoad(cpu_fraction=0.801), "generator CPU: 80.1%, iteration 1 (expected at most 80%)"),
        (HostLoad(cpu_fraction_max=0.95, cpu_wait_ms_max=99.0), None),
        (HostLoad(cpu_fraction_max=0.95, cpu_wait_ms_max=101.0), "in the worst second: 95.0%"),
        (HostLoad(cpu_fraction=0.8), None),
        (HostLoad(core_fraction=0.99), "busiest core of the generator CPU: 99.0%"),
        (HostLoad(core_fraction=0.97), None),
        (HostLoad(cpu_wait_ms_max=120.0), "wait for a CPU, per request: 6.0 ms"),
        (HostLoad(cpu_wait_ms_max=90.0), None),
        (HostLoad(throttled_ms_max=11.0), "throttled by the CPU limit"),
        (HostLoad(steal_fraction_max=0.06), "CPU stolen by the generator's hypervisor: 6.0%"),
        (HostLoad(memory_available_bytes=9, memory_bytes=100), "memory available"),
        (HostLoad(memory_available_bytes=11, memory_bytes=100), None),
        (HostLoad(open_files=950, open_files_limit=1000), "open files of k6"),
        (HostLoad(open_files=800, open_files_limit=1000), None),
        (HostLoad(), None),
    ],
    ids=str,
)
def test_a_generator_at_its_limits(load: HostLoad, said: str | None) -> None:
    verdict = _on_host(load)
    assert verdict.valid is (said is None)
    assert said is None or said in str(verdict)


def test_one_busy_iteration_among_twenty_is_a_doubt() -> None:
    busy, idle = HostLoad(cpu_fraction=0.95), HostLoad(cpu_fraction=0.40)
    verdict = _on_host(*[idle] * 19, busy)
    assert "generator CPU: 95.0%, iteration 20" in str(verdict)


def test_of_several_targets_each_doubt_names_its_own() -> None:
    summary = _summary({}, {"target": "far", "dropped": 1, "requests": 99})
    verdict = verdict_of(summary, pl.concat([_clock(0, 0), _clock(60_000, 60_000, "far")]))
    assert len(verdict.doubts) == 2
    assert all("of far" in str(doubt) for doubt in verdict.doubts)


def test_the_supervisors_lines_are_read(tmp_path: Path) -> None:
    """Also lines of the older form, and one that was cut off."""
    file = tmp_path / "host.csv"
    file.write_text("10.0,100,900,8000,5,1024,16000\n11.0,180,920,4000,70,1024,16000\n12.0,19")
    load = HostLoad.read(file)
    assert load == HostLoad(0.8, 4000 * 1024, 16000 * 1024, 70, 1024)
    file.write_text("10.0,100,900,8000,5\n11.0,180,920,4000,70\n")
    assert HostLoad.read(file) == HostLoad(0.8, 4000 * 1024, None, 70, None)
    file.write_text("10.0,100,900,8000,5,unlimited,16000\n11.0,180,920,4000,7,unlimited,16000\n")
    assert HostLoad.read(file).open_files_limit is None
    assert HostLoad.read(tmp_path / "none.csv") == HostLoad()


@pytest.mark.parametrize("number", ["9" * 20, "9" * 400, "9" * 5000, "-5"])
def test_numbers_that_cannot_be_are_not_known(tmp_path: Path, number: str) -> None:
    """Of a stranger's archive."""
    file = tmp_path / "host.csv"
    file.write_text(f"10.0,{number},{number},{number},{number},{number},{number}\n" * 2)
    load = HostLoad.read(file)
    assert pl.DataFrame([asdict(load)]).null_count().row(0) == (1,) * len(fields(load))


def test_errors_of_the_generator_itself_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "k6.log"
    failed = 'time="..." level=warning msg="Request Failed" error="Get \\"http://h/\\": dial tcp '
    log.write_text(
        f'{failed}10.0.0.1:80: connect: connection refused"\n'
        + 3 * f'{failed}10.0.0.1:80: connect: cannot assign requested address"\n'
        + f'{failed}: socket: too many open files"\n'
    )
    faults, _ = read_log(log)
    assert faults == {"no free port": 3, "no more open files": 1}
    hosts = [IterationOnHost("mid", 1, HostLoad(), faults)]
    verdict = verdict_of(_summary(), NO_METRICS, Evidence(hosts=hosts))
    assert "errors of the generator itself: no free port: 3, iteration 1" in str(verdict)


def test_a_measurement_that_a_threshold_ended(tmp_path: Path) -> None:
    log = tmp_path / "k6.log"
    log.write_text(
        "default   [   9% ] 1/1 VUs  01.9s/20.0s\n"
        'time="..." level=error msg="thresholds on metrics \'m\' were crossed; at least one has '
        'abortOnFail enabled, stopping test prematurely"\n'
    )
    faults, aborted = read_log(log)
    assert aborted == "01.9s of 20.0s"
    hosts = [IterationOnHost("mid", 1, HostLoad(), faults, aborted)]
    verdict = verdict_of(_summary(), NO_METRICS, Evidence(hosts=hosts))
    assert "aborted by a threshold: 01.9s of 20.0s, iteration 1" in str(verdict)


def test_the_worst_second_is_one_of_the_load(tmp_path: Path) -> None:
    """Columns: uptime, busy, idle, kB, files, limit, kB, waited ns, throttled us, stolen, cores."""
    file = tmp_path / "host.csv"
    file.write_text(
        "10.0,0,0,8000,5,1024,16000,,,0,0/0 0/0\n"
        "11.0,200,0,8000,5,1024,16000,900000000,0,0,100/0 100/0\n"  # k6 begins
        "12.0,250,150,8000,5,1024,16000,900000000,0,0,105/95 145/55\n"
        "13.0,350,250,8000,5,1024,16000,950000000,20000,10,205/95 145/155\n"
        "13.2,390,250,8000,5,1024,16000,,,10,225/95 165/155\n"
    )
    load = HostLoad.read(file, load_from_s=1.2)
    assert load.cpu_fraction_max == pytest.approx(0.5)
    assert load.cpu_wait_ms_max == pytest.approx(50)
    assert load.throttled_ms_max == pytest.approx(20)
    assert load.steal_fraction_max == pytest.approx(0.05)
    assert load.core_fraction == pytest.approx(0.05)
    assert HostLoad.read(file).cpu_wait_ms_max == pytest.approx(50)
    assert HostLoad.read(file).cpu_fraction_max == 1.0


def test_an_iteration_that_made_no_request_is_one_that_was_made() -> None:
    nothing = pl.DataFrame(schema=schemas.SUMMARY)
    completion = Completion("ok", {"mid": 2}, {"mid": 2})
    assert verdict_of(nothing, pl.DataFrame(schema=schemas.K6_METRICS), completion=completion).valid
    missing = Completion("ok", {"mid": 2}, {"mid": 1})
    verdict = verdict_of(nothing, pl.DataFrame(schema=schemas.K6_METRICS), completion=missing)
    assert str(verdict) == "DOUBTFUL: iterations: 1 (expected 2)"
    assert all(doubt.fix for doubt in verdict.doubts)
