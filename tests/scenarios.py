"""Scenarios as a test's parameters: some are quick to show, all are gone through with time."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def scenarios(every: Iterable[Any], quick: Collection[Any]) -> list[Any]:
    """The parameters of a test that has a case for each scenario; all but the quick are slow."""
    chosen = list(every)
    assert all(one in chosen for one in quick), "there is no such scenario"
    return [one if one in quick else pytest.param(one, marks=pytest.mark.slow) for one in chosen]
