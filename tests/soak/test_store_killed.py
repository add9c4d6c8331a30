"""The full number of kills of a process that stores a run (`make test` has ten of them)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.test_store_killed import kill_writers


@pytest.mark.timeout(900)
def test_kill_9_at_100_random_moments(tmp_path: Path) -> None:
    kill_writers(tmp_path, rounds=100, seed=100)
