"""The full number of controllers killed and interrupted at random moments; each seed is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.embedded.fault_lab import FaultLab, all_well, new_seed
from tests.embedded.test_faults_controller import MOMENTS, Work, interrupts, kills

COUNT = 50


@pytest.mark.timeout(1800)
def test_controllers_killed_at_50_random_moments(tmp_path: Path) -> None:
    endure(tmp_path, kills(COUNT, new_seed()))


@pytest.mark.timeout(1800)
def test_interrupts_at_50_random_moments(tmp_path: Path) -> None:
    endure(tmp_path, interrupts(MOMENTS, COUNT - len(MOMENTS), new_seed()))


def endure(folder: Path, work: Work) -> None:
    with FaultLab(folder) as faults, faults.at_once(work) as ends:
        all_well(ends)
