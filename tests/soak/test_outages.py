"""The full number of outages at random moments; the seed is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.embedded.fault_lab import FaultLab, all_well, new_seed
from tests.embedded.test_faults_connection import outages

COUNT = 50


@pytest.mark.timeout(1800)
def test_outages_at_50_random_moments(tmp_path: Path) -> None:
    with FaultLab(tmp_path) as faults, faults.at_once(outages(COUNT, new_seed())) as ends:
        all_well(ends)
