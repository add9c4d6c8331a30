"""The record of one load on one target: its attempts by iteration. Values, no I/O.

An attempt is one iteration of a run that measured this load. An iteration is attempted again where
the generator was at fault, where the gateway was away, or where the attempt was cut short.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from pydantic import TypeAdapter

from dfaas_lab.campaign.readings import Readings
from dfaas_lab.load.plan import PlannedLoad

State = Literal["begun", "measured", "doubtful", "outage", "failed"]
MOST_DOUBTFUL = 2
MOST_OUTAGES = 3


@dataclass(frozen=True)
class Attempt:
    """One attempt at an iteration.

    Args:
        iteration: The load's iteration, from 1.
        state: ``begun``; then ``measured``; ``doubtful``, where the generator was at fault;
            ``outage``, where the gateway was away; ``failed``.
        run_id: The run that measured it; None for a load of rate 0, which needs no k6.
        run_iteration: Its iteration there.
        started_at: When it began, ISO 8601.
        rest_s: How long the cooldown before it was.
        idle: The node before it.
        node: The node while it ran.
        overloaded: Whether it overloaded the node.
        functions: The same by function.
        reasons: Which thresholds fired, or why it failed.
        doubts: What the generator did that speaks against it.
    """

    iteration: int
    state: State = "begun"
    run_id: str | None = None
    run_iteration: int = 1
    started_at: str | None = None
    rest_s: float = 0.0
    idle: Readings = field(default_factory=Readings)
    node: Readings = field(default_factory=Readings)
    overloaded: bool = False
    functions: Mapping[str, bool] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


_ATTEMPTS = TypeAdapter(tuple[Attempt, ...])


@dataclass(frozen=True)
class LoadRecord:
    """One load on one target: the iterations that it shall have, and all attempts in order."""

    load: PlannedLoad
    asked: int
    attempts: tuple[Attempt, ...] = ()

    def of(self, iteration: int) -> list[Attempt]:
        """The attempts at one iteration."""
        return [one for one in self.attempts if one.iteration == iteration]

    def kept(self, iteration: int) -> Attempt | None:
        """The attempt that counts: the last that has ended, unless another is due."""
        ended = [one for one in self.of(iteration) if one.state != "begun"]
        return ended[-1] if ended and not _due_again(ended) else None

    @property
    def kept_attempts(self) -> list[Attempt]:
        """The attempts that count, by iteration."""
        found = (self.kept(number) for number in range(1, self.asked + 1))
        return [one for one in found if one is not None]

    @property
    def missing(self) -> list[int]:
        """The iterations that are still to be measured."""
        return [number for number in range(1, self.asked + 1) if self.kept(number) is None]

    @property
    def begun(self) -> list[Attempt]:
        """The attempts that have begun and of which no end is known."""
        return [one for one in self.attempts if one.state == "begun"]

    @property
    def overloaded(self) -> bool:
        """Whether more than half of the iterations overloaded the node."""
        return sum(one.overloaded for one in self.kept_attempts) > self.asked / 2

    def with_attempt(self, attempt: Attempt) -> LoadRecord:
        """Return the record with an attempt added, or changed where its run has it already."""
        key = _key(attempt)
        others = [one for one in self.attempts if _key(one) != key]
        if len(others) == len(self.attempts):
            return replace(self, attempts=(*self.attempts, attempt))
        changed = tuple(attempt if _key(one) == key else one for one in self.attempts)
        return replace(self, attempts=changed)

    def without(self, dropped: Iterable[Attempt]) -> LoadRecord:
        """Return the record without attempts of which nothing was measured."""
        keys = {_key(one) for one in dropped}
        return replace(self, attempts=tuple(one for one in self.attempts if _key(one) not in keys))

    def stored(self) -> dict[str, Any]:
        """Return all of it as values for JSON."""
        return {
            "load_id": self.load.load_id,
            "load": dict(self.load),
            "asked": self.asked,
            "attempts": [asdict(one) for one in self.attempts],
        }

    @classmethod
    def from_stored(cls, entries: Mapping[str, Any]) -> LoadRecord:
        """Return the record that ``stored()`` gave; anything else is a ValueError or KeyError."""
        attempts = _ATTEMPTS.validate_python(entries["attempts"])
        return cls(PlannedLoad(entries["load"]), int(entries["asked"]), attempts)


def overloaded_loads(records: Iterable[LoadRecord]) -> list[PlannedLoad]:
    """The loads that are measured, and overloaded the node."""
    return [one.load for one in records if not one.missing and one.overloaded]


def _due_again(ended: list[Attempt]) -> bool:
    last = ended[-1].state
    count = sum(one.state == last for one in ended)
    return (last == "doubtful" and count < MOST_DOUBTFUL) or (
        last == "outage" and count < MOST_OUTAGES
    )


def _key(attempt: Attempt) -> tuple[str | None, int, int]:
    # A load of rate 0 has no run: its attempts are told apart by their iteration.
    return attempt.run_id, attempt.run_iteration, attempt.iteration
