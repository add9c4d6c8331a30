"""A run is shown whatever has become of its files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dfaas_lab.errors import StoreError
from dfaas_lab.run import Run
from dfaas_lab.store import Store
from tests.unit.stored_runs import write_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    write_run(str(tmp_path / "store"), "r1", "2", str(tmp_path))
    return Run.load(tmp_path / "store" / "runs" / "run_id=r1")


def manifest(run: Run, **changes: object) -> None:
    path = run.path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def prune(run: Run) -> None:
    shutil.rmtree(run.path)


def prune_after_a_look(run: Run) -> None:
    assert run.label
    shutil.rmtree(run.path)


def tear(run: Run) -> None:
    path = next(run.path.glob("iteration=1/*/summary.parquet"))
    path.write_bytes(path.read_bytes()[:-9])


def renew(run: Run) -> None:
    manifest(run, format=99)


def spoil(run: Run) -> None:
    (run.path / "manifest.json").write_text("{")


FAULTS = [prune, prune_after_a_look, tear, renew, spoil]


def shown(run: Run) -> dict[str, Any]:
    bundle: dict[str, Any] = run._repr_mimebundle_()
    return bundle


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_that_cannot_be_read_says_so_and_raises_nothing(
    run: Run, fault: Callable[[Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    fault(run)
    assert repr(run).startswith("Run r1: cannot be read (")
    bundle = shown(run)
    assert bundle["text/plain"] == repr(run)
    assert "text/html" not in bundle
    run._ipython_display_()
    assert "cannot be read" in capsys.readouterr().out


def test_frames_of_a_run_that_is_gone_are_not_empty_but_an_error(run: Run) -> None:
    prune(run)
    with pytest.raises(StoreError, match="r1 is not in"):
        _ = run.summary
    with pytest.raises(StoreError, match="r1 is not in"):
        run.chart()


def test_a_run_is_shown_after_a_change_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    relatives = [Run.load("store/runs/run_id=r1"), Run(Store("store").find("r1"))]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for relative in relatives:
        assert repr(relative) == repr(run)
        assert "figlet" in repr(relative)
    assert "image/png" in shown(relatives[0])


def test_a_run_out_of_an_archive_keeps_its_files(tmp_path: Path, run: Run) -> None:
    loaded = Run.load(run.save(tmp_path / "r1.zip"))
    assert repr(loaded) == repr(run)


def test_a_manifest_without_targets_is_read(run: Run) -> None:
    manifest(run, targets=None)
    assert "figlet" in repr(run)
    assert run.metrics["target"].to_list() == ["mid", "mid"]  # as its folder is called


def test_no_control_character_reaches_the_terminal(run: Run) -> None:
    path = next(run.path.glob("iteration=1/*/summary.parquet"))
    evil = pl.read_parquet(path, hive_partitioning=False).with_columns(
        function=pl.lit("f\x1b[2J"), dropped=pl.lit(3, pl.Int64)
    )
    evil.write_parquet(path)
    manifest(run, label="l\x1b[2J")
    assert not run.verdict.valid
    assert "\x1b" not in repr(run) + str(run.verdict)
    assert "\x1b" not in shown(run)["text/html"]
