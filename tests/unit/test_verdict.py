"""What makes a run doubtful, each doubt with its number, and what does not."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dfaas_lab import schemas
from dfaas_lab.analysis.on_host import HostLoad, IterationOnHost, doubts_of, own_faults
from dfaas_lab.analysis.verdict import Completion, verdict_of

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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"requests": 98}, "requests started: 98 (expected 100 +- 1)"),
        ({"requests": 102}, "requests started: 102"),
        ({"dropped": 3, "requests": 97}, "dropped iterations: 3 (expected 0)"),
        ({"unfinished": 2, "requests": 98}, "requests in flight at the end: 2"),
        ({"status": "interrupted", "requests": 10}, "status: interrupted"),
        ({"status": "timed_out"}, "status: timed_out"),
        ({"status": "failed"}, "status: failed"),
        ({"status": None}, "status: None"),
    ],
    ids=str,
)
def test_what_was_not_is_doubtful_and_says_how_much(change: dict[str, Any], said: str) -> None:
    verdict = verdict_of(_summary(change), NO_METRICS)
    assert not verdict.valid
    assert said in str(verdict)
    assert "env in iteration 1" in str(verdict)


@pytest.mark.parametrize(
    ("low_ms", "high_ms", "said"),
    [(89_100.0, 89_900.0, "+90."), (-90_900.0, -90_100.0, "-90."), (-1500.0, 400.0, None)],
)
def test_a_gateway_whose_clock_is_off(low_ms: float, high_ms: float, said: str | None) -> None:
    verdict = verdict_of(_summary(), _clock(low_ms, high_ms))
    assert verdict.valid is (said is None)
    assert said is None or said in str(verdict)


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (HostLoad(cpu_fraction=0.81), "generator CPU: 81% (expected at most 80%)"),
        (HostLoad(cpu_fraction=0.79), None),
        (HostLoad(memory_available_bytes=9, memory_bytes=100), "memory available"),
        (HostLoad(memory_available_bytes=11, memory_bytes=100), None),
        (HostLoad(open_files=950, open_files_limit=1000), "open files of k6"),
        (HostLoad(open_files=800, open_files_limit=1000), None),
        (HostLoad(), None),
    ],
    ids=str,
)
def test_a_generator_at_its_limits(load: HostLoad, said: str | None) -> None:
    verdict = verdict_of(_summary(), NO_METRICS, doubts_of([IterationOnHost("mid", 2, load)]))
    assert verdict.valid is (said is None)
    assert said is None or said in str(verdict)


def test_the_cpu_is_that_of_the_whole_run() -> None:
    """One busy iteration among idle ones is no doubt; a target's own iterations count."""
    busy, idle = HostLoad(cpu_fraction=0.95), HostLoad(cpu_fraction=0.40)
    assert doubts_of([IterationOnHost("mid", 1, busy), IterationOnHost("mid", 2, idle)]) == []
    (doubt,) = doubts_of([IterationOnHost("mid", 1, busy), IterationOnHost("far", 1, idle)])
    assert doubt.what == "generator CPU while mid was measured"


def test_of_several_targets_each_doubt_names_its_own() -> None:
    summary = _summary({}, {"target": "far", "dropped": 1, "requests": 99})
    verdict = verdict_of(summary, pl.concat([_clock(0, 0), _clock(60_000, 60_000, "far")]))
    assert len(verdict.doubts) == 2
    assert all("of far" in doubt.what for doubt in verdict.doubts)


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
    assert pl.DataFrame([asdict(load)]).null_count().row(0) == (1,) * 5


def test_errors_of_the_generator_itself_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "k6.log"
    failed = 'time="..." level=warning msg="Request Failed" error="Get \\"http://h/\\": dial tcp '
    log.write_text(
        f'{failed}10.0.0.1:80: connect: connection refused"\n'
        + 3 * f'{failed}10.0.0.1:80: connect: cannot assign requested address"\n'
        + f'{failed}: socket: too many open files"\n'
    )
    faults = own_faults(log)
    assert faults == {"no free port": 3, "no more open files": 1}
    on_host = IterationOnHost("mid", 1, HostLoad(), faults)
    verdict = verdict_of(_summary(), NO_METRICS, doubts_of([on_host]))
    assert "errors of the generator itself in iteration 1: no free port: 3" in str(verdict)


def test_an_iteration_that_made_no_request_is_one_that_was_made() -> None:
    nothing = pl.DataFrame(schema=schemas.SUMMARY)
    course = Completion("ok", {"mid": 2}, {"mid": 2})
    assert verdict_of(nothing, pl.DataFrame(schema=schemas.K6_METRICS), course=course).valid
    missing = Completion("ok", {"mid": 2}, {"mid": 1})
    verdict = verdict_of(nothing, pl.DataFrame(schema=schemas.K6_METRICS), course=missing)
    assert str(verdict) == "DOUBTFUL: iterations: 1 (expected 2)"
