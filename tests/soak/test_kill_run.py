"""The full number of kills of a controller that measures (`make test` has ten of them)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.embedded.killed_runs import LOAD, kill_runs


@pytest.mark.timeout(3600)
def test_kill_9_of_the_controller_at_100_random_moments(tmp_path: Path) -> None:
    kill_runs(tmp_path, LOAD, rounds=100, seed=100)
