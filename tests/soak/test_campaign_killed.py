"""A campaign whose controller is killed at thirty random moments."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.embedded.killed_campaigns import kill_campaigns


@pytest.mark.timeout(1800)
def test_thirty_kills_change_nothing(tmp_path: Path) -> None:
    kill_campaigns(tmp_path, kills=30, seed=30)
