"""Rules out the loads of a plan that are above an overloaded load."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from dfaas_lab.load.plan import Plan, PlannedLoad

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Dominance:
    """The overloaded loads of a plan, and which of its other loads they rule out.

    A load is ruled out by one that is not above it in any rate (a function that is absent has rate
    0) and below it in one.

    Four bytes per load of the plan hold the answer, so that asking takes the same time whatever
    the number of overloaded loads; adding one writes one box of the grid of rates.
    """

    def __init__(self, plan: Plan, overloaded: Iterable[PlannedLoad] = ()) -> None:
        self._plan = plan
        self._overloaded: list[PlannedLoad] = []
        # For each load the number of the first overloaded one below it, from 1; 0 for none.
        self._below = np.zeros(len(plan), np.uint32)
        for load in overloaded:
            self.add(load)

    def add(self, load: Mapping[str, int]) -> None:
        """Take down that a load is overloaded; one that is ruled out already adds nothing."""
        added = PlannedLoad(load)
        own = self._plan.position(added)
        if own is not None and self._below[own]:
            return
        self._overloaded.append(added)
        for which, names in enumerate(self._plan.combinations):
            self._mark(which, names, added)

    def below(self, index: int) -> PlannedLoad | None:
        """The overloaded load that rules out the load at this index; None where none does."""
        number = int(self._below[index])
        return self._overloaded[number - 1] if number else None

    def ruled_out(self) -> NDArray[np.bool_]:
        """Whether each load of the plan is ruled out, in the plan's order."""
        ruled: NDArray[np.bool_] = self._below > 0
        return ruled

    def _mark(self, which: int, names: tuple[str, ...], added: PlannedLoad) -> None:
        if any(rate and name not in names for name, rate in added.items()):
            return
        box = tuple(
            slice(bisect.bisect_left(self._plan.rates_of(name), added.get(name, 0)), None)
            for name in names
        )
        block = self._below[self._plan.starts[which] : self._plan.starts[which + 1]]
        grid = block.reshape(self._plan.shape(names))
        view = grid[box]
        same = self._plan.position({name: added.get(name, 0) for name in names})
        before = None if same is None else self._below[same]
        view[view == 0] = len(self._overloaded)
        if before is not None:  # the same rates (absent is 0): nothing is higher
            self._below[same] = before
