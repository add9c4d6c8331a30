"""Results that a stranger changed, and a store whose disk goes away: bounded, typed, never "ok"."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dfaas_lab import ConfigError, Run, StoreError
from dfaas_lab.analysis.distributions import beta_quantile
from dfaas_lab.analysis.rate_intervals import rate_interval
from dfaas_lab.analysis.statistics import MEASURES, statistics
from dfaas_lab.execution.finalize import finalize
from dfaas_lab.store import RunFolder, Store
from tests.unit.stored_runs import frames_of

NAN, INF = math.nan, math.inf


@pytest.mark.timeout(20)
@pytest.mark.parametrize("value", [NAN, INF, -INF, 1.5, -0.1])
def test_what_is_no_rate_is_refused_at_once(value: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        rate_interval(np.array([1.0, value, 0.5]), 30, confidence=0.95)


@pytest.mark.timeout(20)
def test_a_number_of_requests_that_nobody_made_takes_no_time() -> None:
    interval = rate_interval(np.array([0.5, 0.6, 0.7]), 10**18, confidence=0.95)
    assert interval.low is not None
    assert interval.high is not None
    assert 0 < interval.low < 0.6 < interval.high < 1
    assert rate_interval(np.ones(3), 10**18, confidence=0.95).high == 1
    assert rate_interval(np.array([0.5, 0.6, 0.7]), -(10**18), confidence=0.95).estimate


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "shape", [(NAN, 1.0, 1.0), (0.5, NAN, 1.0), (0.5, 1.0, INF), (2, 1, 1), (0.5, -1, 1)]
)
def test_what_is_no_distribution_is_refused(shape: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="no beta distribution"):
        beta_quantile(*shape)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("value", [NAN, INF, -INF, -1.0, 1e308])
@pytest.mark.parametrize("measure", MEASURES)
def test_statistics_take_no_part_of_what_is_no_measurement(
    tmp_path: Path, measure: str, value: float
) -> None:
    frames = [frames_of(tmp_path, "r", n) for n in range(1, 5)]
    summary = pl.concat([one.summary for one in frames])
    requests = pl.concat([one.requests for one in frames])
    odd = pl.when(pl.col("iteration") == 4).then(value).otherwise(pl.col(measure)).alias(measure)
    got = statistics(requests, summary.with_columns(odd)).filter(pl.col("measure") == measure)
    if value < 1e300 or measure == "success_rate":
        want = statistics(requests, summary.filter(pl.col("iteration") < 4))
        assert got["iterations"].to_list() == [3]
        assert got["estimate"].equals(want.filter(pl.col("measure") == measure)["estimate"])
    assert all(x is None or not math.isnan(x) for x in got.row(0) if not isinstance(x, str))


def test_a_latency_that_is_none_is_in_no_pooled_quantile(tmp_path: Path) -> None:
    frames = frames_of(tmp_path, "r", 1)
    odd = frames.requests.with_columns(
        latency_ms=pl.when(pl.int_range(pl.len()) == 0).then(NAN).otherwise(pl.col("latency_ms"))
    )
    assert statistics(odd, frames.summary)["pooled"].is_nan().sum() == 0


def run_in(root: Path, *, iterations: int = 2) -> RunFolder:
    order = {"iterations": iterations, "targets": ["mid"]}
    manifest = {"targets": ["mid"], "orders": {"mid": order}, "status": "running"}
    return Store(root).create_run("20260101T000000-aaaaaa", manifest)


def test_a_store_that_goes_away_is_never_made_anew_in_its_place(tmp_path: Path) -> None:
    root = tmp_path / "disk" / "results"
    folder = run_in(root)
    folder.write_iteration(1, frames_of(tmp_path, folder.run_id, 1), target="mid")
    second = frames_of(tmp_path, folder.run_id, 2)
    root.rename(tmp_path / "away")
    for empty in (False, True):  # as an empty mount point, too
        if empty:
            root.mkdir()
        with pytest.raises(StoreError, match="is not in"):
            folder.write_iteration(2, second, target="mid")
        with pytest.raises(StoreError, match="is not in"):
            folder.update(status="ok")
        with pytest.raises(StoreError, match="claiming"), folder.claimed(None):  # type: ignore[arg-type]
            pass
        with pytest.raises(StoreError, match="is not in"):
            finalize(folder, status="ok")
        assert not root.exists() or list(root.iterdir()) == []
    root.rmdir()
    (tmp_path / "away").rename(root)
    assert Run(folder).status == "running"
    folder.write_iteration(2, second, target="mid")
    finalize(folder, status="ok")
    assert Run(folder).status == "ok"


def test_a_run_whose_folder_came_anew_without_its_manifest_is_not_written(tmp_path: Path) -> None:
    folder = run_in(tmp_path / "results")
    shutil.rmtree(tmp_path / "results")
    folder.path.mkdir(parents=True)
    with pytest.raises(StoreError, match="is not in"):
        folder.write_iteration(1, frames_of(tmp_path, folder.run_id, 1), target="mid")
    assert list(folder.path.iterdir()) == []


def test_an_iteration_that_is_not_there_is_not_ok(tmp_path: Path) -> None:
    folder = run_in(tmp_path / "results")
    folder.write_iteration(1, frames_of(tmp_path, folder.run_id, 1), target="mid")
    finalize(folder, status="ok")  # whoever measured took iteration 2 for stored
    assert folder.read()["status"] == Run(folder).status == "failed"
    folder.update(status="slo_failed")
    assert Run(folder).status == "failed"
    folder.update(status="interrupted")
    assert Run(folder).status == "interrupted"


def test_one_that_goes_later_is_not_ok_either(tmp_path: Path) -> None:
    folder = run_in(tmp_path / "results")
    for number in (1, 2):
        folder.write_iteration(number, frames_of(tmp_path, folder.run_id, number), target="mid")
    finalize(folder, status="ok")
    assert Run(folder).status == "ok"
    shutil.rmtree(next(folder.path.glob("iteration=2")))
    assert Run(folder).status == "failed"
    assert not Run(folder).verdict.valid
