"""Progress as state: what is under way and how far. Views draw it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

FRAME_S = 0.12
"""Seconds between two drawings: more than ten a second are wasted on an eye."""

StepState = Literal["running", "ok", "failed", "interrupted"]


@dataclass(frozen=True)
class Step:
    """One bar: ``done`` of ``total`` (any unit; 0 means not known yet), and a text for people.

    ``run_id`` is the run that it belongs to, if any: who loses this process can attach to it.
    """

    label: str
    done: float = 0.0
    total: float = 0.0
    text: str = ""
    state: StepState = "running"
    run_id: str = ""

    @property
    def fraction(self) -> float:
        """How far it is, from 0 to 1."""
        if self.state == "ok":
            return 1.0
        return min(max(self.done / self.total, 0.0), 1.0) if self.total else 0.0


@dataclass(frozen=True)
class Shown:
    """How a run is shown while it goes on.

    Args:
        progress: None chooses how; False shows nothing.
        chart: Whether a notebook shows a live chart; None means where it shows progress.
        elsewhere: Whether somebody else than who waits for it draws its progress, as a campaign.
    """

    progress: bool | None = None
    chart: bool | None = None
    elsewhere: bool = False


ELSEWHERE = Shown(progress=False, elsewhere=True)


class Progress:
    """The bars of one job, in the order in which they began. Safe to use from threads."""

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        self._lock = threading.Lock()

    def update(
        self,
        label: str,
        *,
        done: float | None = None,
        total: float | None = None,
        text: str | None = None,
        run_id: str | None = None,
    ) -> None:
        """Change the bar of that label; None leaves a value as it is."""
        self._change(label, done=done, total=total, text=text, run_id=run_id)

    def finish(self, label: str, state: StepState = "ok", text: str | None = None) -> None:
        """End the bar of that label."""
        self._change(label, state=state, text=text)

    def _change(self, label: str, **values: Any) -> None:
        known = {name: value for name, value in values.items() if value is not None}
        with self._lock:
            self._steps[label] = replace(self._steps.get(label, Step(label)), **known)

    def snapshot(self) -> tuple[Step, ...]:
        """All bars as they are now."""
        with self._lock:
            return tuple(self._steps.values())


class ProgressView(Protocol):
    """What draws progress: a notebook's bars, a terminal's line, or nothing."""

    def draw(self, steps: tuple[Step, ...]) -> None:
        """Show these bars; called some times a second, from the thread that waits."""

    def close(self, steps: tuple[Step, ...]) -> None:
        """Show the end of these bars, and leave something that can be read later."""


def draw_until(
    ended: Callable[[float], bool],
    view: ProgressView | None,
    steps: Callable[[], tuple[Step, ...]],
) -> None:
    """Wait for an end and draw meanwhile, eight times a second: whoever waits, waits here.

    ``ended`` waits for so many seconds at most and tells whether it has ended, as ``Event.wait``.
    """
    while not ended(FRAME_S):
        if view is not None:
            view.draw(steps())
