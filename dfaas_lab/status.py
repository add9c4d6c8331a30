"""The statuses of iterations and runs, and which of them is the worst. Pure."""

from __future__ import annotations

from collections.abc import Iterable

COMPLETE = ("ok", "slo_failed")
"""The load was put on as long as it was asked; with ``slo_failed``, a threshold was crossed."""

FINAL = ("failed", "timed_out", "interrupted", *reversed(COMPLETE))
"""The statuses of a run that has ended, the worst first."""

OPEN = ("lost", "running")
"""The statuses of a run that ``lab.attach()`` can end, the worse first."""


def worst(statuses: Iterable[str]) -> str:
    """Return the worst of some statuses: ``lost`` before those of runs that have ended."""
    found = set(statuses)
    return next((status for status in ("lost", *FINAL) if status in found), "ok")
