"""A campaign whose controller is killed at thirty random moments."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.embedded.killed_campaigns import kill_campaigns


@pytest.mark.timeout(1800)
def test_thirty_kills_change_nothing(tmp_path: Path) -> None:
    hits = kill_campaigns(tmp_path, kills=30, seed=30)
    print(hits)
    assert any(hit.loads for hit in hits)
    # What was overloaded before a kill ruled out loads after it.
    assert any(hit.overloaded and not hit.skipped for hit in hits)
