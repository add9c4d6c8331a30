"""Kill -9 at ten moments of a run of 20 iterations: nothing that was finished is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.embedded.killed_runs import QUICK, kill_runs


@pytest.mark.slow
def test_kill_9_of_the_controller_loses_no_finished_iteration(tmp_path: Path) -> None:
    kill_runs(tmp_path, QUICK, rounds=10, seed=2)
