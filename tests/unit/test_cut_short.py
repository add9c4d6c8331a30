"""An iteration that a threshold ended is told with the time that it measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfaas_lab.analysis.cut_short import cut_short_doubt

ABORT = (
    'time="2026-11-25T14:22:25Z" level=error msg="thresholds on metrics \'http_req_failed\' were '
    'crossed; at least one has abortOnFail enabled, stopping test prematurely"\n'
)
BARS = """running (0m02.1s), 0/2 VUs, 12 complete and 2 interrupted iterations
a    ✗ [  10% ] 1 VUs  01.9s/20s
b    ✗ [   6% ] 1 VUs  0m01.8s/0m10s  006/100 shared iters
"""


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (BARS + ABORT, "iteration 1: ended by a threshold: measured 1.9 s of 20 s (expected 20 s)"),
        ("x" * 10**6 + "\n" + BARS.replace("20s", "1h2m0s") + ABORT, "measured 1.9 s of 3720 s"),
        (ABORT, "iteration 1: ended by a threshold: a part (expected all of its time)"),
    ],
)
def test_a_run_that_was_aborted_is_doubtful(tmp_path: Path, log: str, told: str) -> None:
    (tmp_path / "k6.log").write_text(log)
    (doubt,) = cut_short_doubt("iteration 1", tmp_path / "k6.log")
    assert told in str(doubt)


@pytest.mark.parametrize("log", ["", BARS, ABORT.replace('"\n', '" source=console\n')])
def test_others_are_not(tmp_path: Path, log: str) -> None:
    (tmp_path / "k6.log").write_text(log)
    assert cut_short_doubt("iteration 1", tmp_path / "k6.log") == []
    assert cut_short_doubt("iteration 1", tmp_path / "nowhere") == []
