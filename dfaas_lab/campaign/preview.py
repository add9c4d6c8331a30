"""Estimates what a campaign costs: loads, time and data, from what it took so far. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dfaas_lab.campaign.record import LoadRecord
from dfaas_lab.campaign.settings import Settings
from dfaas_lab.display import words
from dfaas_lab.load.plan import Plan

# Beside load and cooldown: k6's start, transfer, parsing, storing, judging.
_OVERHEAD_S = 1.0
# What the store takes (measured): Parquet and k6's own compressed samples.
_REQUEST_BYTES = 130
_ITERATION_BYTES = 60_000


@dataclass(frozen=True)
class CampaignPreview:
    """The cost of a campaign.

    Args:
        loads: How many loads each target has, by name.
        left: How many of them are not measured yet, by target; some may be ruled out on the way.
        iterations: How often each load is repeated.
        cooldown_s: The mean rest before an iteration so far; None where there was none yet.
        left_s: How long what is left takes at most; targets run side by side.
        data_bytes: What all loads take in the store, at most.
        notices: What else there is to know, such as functions that no load contains.
    """

    loads: Mapping[str, int]
    left: Mapping[str, int]
    iterations: int
    cooldown_s: float | None
    left_s: float
    data_bytes: int
    notices: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = sorted(set(self.loads.values()))
        loads = f"{counts[-1]:,} load{'s' if counts[-1] != 1 else ''}"
        if len(self.loads) > 1:
            loads += f" on each of {len(self.loads)} targets"
        left = max(self.left.values())
        if left != counts[-1]:
            loads += f" ({left:,} left)"
        cooldowns = (
            "without cooldowns (none was needed yet)"
            if self.cooldown_s is None
            else f"with what cooldowns took so far ({self.cooldown_s:.3g} s)"
        )
        text = f"{loads}, about {told_time(self.left_s)} {cooldowns}, {words.size(self.data_bytes)}"
        return "\n".join((text, *self.notices))

    __repr__ = __str__


def preview_of(
    settings: Settings,
    plans: Mapping[str, Plan],
    known: Mapping[str, Mapping[str, LoadRecord]],
) -> CampaignPreview:
    """Reckon what a campaign costs; plans and what is known of their loads are by target."""
    rested = [
        attempt.rest_s
        for records in known.values()
        for record in records.values()
        for attempt in record.attempts
    ]
    fixed = settings.cooldown.fixed_s
    cooldown_s = fixed if fixed is not None else (sum(rested) / len(rested) if rested else None)
    iteration_s = settings.duration_s + (cooldown_s or 0.0) + _OVERHEAD_S
    loads = {name: len(plan) for name, plan in plans.items()}
    left = {
        name: loads[name] - sum(not record.missing for record in known.get(name, {}).values())
        for name in plans
    }
    requests = sum(int(plan.totals().sum()) for plan in plans.values()) * settings.duration_s
    once_bytes = requests * _REQUEST_BYTES + sum(loads.values()) * _ITERATION_BYTES
    return CampaignPreview(
        loads=loads,
        left=left,
        iterations=settings.iterations,
        cooldown_s=cooldown_s,
        left_s=max(left.values()) * settings.iterations * iteration_s,
        data_bytes=round(settings.iterations * once_bytes),
        notices=tuple(dict.fromkeys(plan.notice for plan in plans.values() if plan.notice)),
    )


def told_time(seconds: float) -> str:
    """A time for people, of a minute and more in whole minutes.

    >>> told_time(15000), told_time(130), told_time(12.3)
    ('4 h 10 min', '2 min', '12 s')
    """
    return words.span(round(seconds) if seconds < 60 else 60 * round(seconds / 60))
