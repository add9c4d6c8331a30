"""The commands that measure or serve, called as a user calls them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

COMMAND = [sys.executable, "-m", "dfaas_lab.cli"]


@pytest.mark.slow
def test_the_demonstration_writes_a_report(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*COMMAND, "demo"], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    # A busy machine may make it doubtful: the verdict says so, and it was measured all the same.
    assert "Verdict: " in ended.stdout, ended.stderr
    assert ended.returncode == 0, ended.stdout
    report = tmp_path / "report"
    assert str(report / "report.html") in ended.stdout
    assert {path.suffix for path in report.iterdir()} == {".html", ".png", ".parquet"}
    rates = pl.read_parquet(report / "rates.parquet")
    assert rates["function"].n_unique() == 2
    assert rates["rate_rps"].n_unique() >= 3
    assert rates["iteration"].max() == 3
    requests = pl.read_parquet(report / "requests.parquet")
    assert requests.height == rates["requests"].sum()
    assert (tmp_path / "results" / "runs").is_dir()


def test_ctrl_c_ends_the_demonstration_without_a_traceback(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "demo"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        assert "Starting" in demo.stdout.readline()
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_served_lab_can_be_checked_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "lab.yml"
    with subprocess.Popen(
        [*COMMAND, "serve", "--write", str(file)], stdout=subprocess.PIPE, text=True
    ) as serving:
        try:
            _wait_for(file, serving)
            assert file.stat().st_mode & 0o077 == 0  # it holds a password
            assert json.loads(file.read_text())["targets"]
            ended = subprocess.run(
                [*COMMAND, "check", str(file)],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        finally:
            serving.send_signal(signal.SIGTERM)
    assert serving.returncode == 0
    assert not file.exists()
    assert "LACKS" not in ended.stdout.split("this machine")[0]
    assert "Traceback" not in ended.stderr


def _wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    while not file.exists():
        assert process.poll() is None
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
