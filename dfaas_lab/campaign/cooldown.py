"""Cooldown: the wait before an iteration, until the node is idle or for a fixed time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dfaas_lab.campaign.readings import Readings
from dfaas_lab.errors import ConfigError, CooldownTimeout
from dfaas_lab.load import seconds

# What is compared, with the field of its absolute band and how it is told.
_COMPARED = (
    ("cpu_cores", "CPU", "cores"),
    ("memory_bytes", "memory", "bytes"),
    ("power_watts", "power", "W"),
)


@dataclass(frozen=True, kw_only=True)
class Cooldown:
    """How long to rest before each iteration.

    A node is idle when its CPU, memory and power are at most ``threshold`` above the idle baseline
    (or at most the absolute band above it, since a part of nearly nothing is noise), and every
    function has fewer than ``replicas`` replicas. What is not measured is not idle; without a
    baseline only replicas are looked at, and the campaign says so.

    Args:
        max_wait: The longest rest; then ``CooldownTimeout``.
        step: The pause between two looks; the last is cut to what is left.
        threshold: How far above the baseline is idle still, as a part of it.
        cpu_cores: The absolute band of CPU, in cores.
        memory_bytes: The absolute band of memory.
        power_watts: The absolute band of power.
        replicas: From so many replicas on, a function is not idle.
        fixed_wait: Rest exactly this long and look at nothing; see :meth:`fixed`.

    >>> Cooldown(max_wait="60s", threshold=0.1).max_wait_s
    60.0
    """

    max_wait: str | timedelta = "180s"
    step: str | timedelta = "5s"
    threshold: float = 0.15
    cpu_cores: float = 0.1
    memory_bytes: float = 50e6
    power_watts: float = 2.0
    replicas: int = 2
    fixed_wait: str | timedelta | None = None

    def __post_init__(self) -> None:
        if self.step_s <= 0:
            raise ConfigError("Cooldown(step=...) of 0 s never rests", hint="Give step='5s'.")
        _ = self.max_wait_s, self.fixed_s
        for name in ("threshold", "cpu_cores", "memory_bytes", "power_watts", "replicas"):
            value = getattr(self, name)
            counts = name == "replicas"
            good = isinstance(value, int | float) and not isinstance(value, bool)
            good = good and (not counts or value % 1 == 0)
            if not (good and counts <= value < math.inf):
                hint = "Give a whole number, 1 or more." if counts else "Give 0 or more."
                raise ConfigError(f"Cooldown({name}={value!r}) cannot be", hint=hint)

    @classmethod
    def fixed(cls, wait: str | timedelta) -> Cooldown:
        """Rest exactly so long, whatever the node does: ``Cooldown.fixed("10s")``.

        Args:
            wait: How long.

        >>> Cooldown.fixed("10s").fixed_s
        10.0
        """
        seconds(wait, what="Cooldown.fixed(...)")
        return cls(fixed_wait=wait)

    @property
    def max_wait_s(self) -> float:
        """The longest rest, in seconds.

        >>> Cooldown().max_wait_s
        180.0
        """
        return seconds(self.max_wait, what="Cooldown(max_wait=...)")

    @property
    def step_s(self) -> float:
        """The pause between two looks, in seconds.

        >>> Cooldown(step="500ms").step_s
        0.5
        """
        return seconds(self.step, what="Cooldown(step=...)")

    @property
    def fixed_s(self) -> float | None:
        """The fixed rest, in seconds.

        >>> Cooldown().fixed_s is None, Cooldown.fixed("1m").fixed_s
        (True, 60.0)
        """
        if self.fixed_wait is None:
            return None
        return seconds(self.fixed_wait, what="Cooldown.fixed(...)")

    def described(self) -> dict[str, Any]:
        """Return the settings as values for JSON, durations in seconds.

        >>> Cooldown.fixed("10s").described()["fixed_s"]
        10.0
        """
        if self.fixed_s is not None:
            return {"fixed_s": self.fixed_s}
        return {
            "max_wait_s": self.max_wait_s,
            "step_s": self.step_s,
            **{
                name: getattr(self, name)
                for name in ("threshold", "cpu_cores", "memory_bytes", "power_watts", "replicas")
            },
        }

    @classmethod
    def from_described(cls, entries: dict[str, Any]) -> Cooldown:
        """Return the settings that ``described()`` gave.

        >>> Cooldown.from_described(Cooldown(max_wait="60s").described()).max_wait_s
        60.0
        """
        given = dict(entries)
        if "fixed_s" in given:
            return cls.fixed(timedelta(seconds=given["fixed_s"]))
        max_wait = timedelta(seconds=given.pop("max_wait_s"))
        return cls(max_wait=max_wait, step=timedelta(seconds=given.pop("step_s")), **given)


@dataclass(frozen=True)
class Rest:
    """A rest that has ended: how long it was, what the node was like, and what to say of it."""

    rest_s: float
    readings: Readings
    note: str = ""


def not_idle(now: Readings, baseline: Readings, settings: Cooldown) -> list[str]:
    """Return what keeps a node from being idle, in words; empty where nothing does."""
    found = []
    for name, what, unit in _COMPARED:
        value, base = getattr(now, name), getattr(baseline, name)
        if base is None:
            continue
        if value is None:
            found.append(f"{what} is not measured")
            continue
        most = base + max(base * settings.threshold, getattr(settings, name))
        if value > most:
            found.append(f"{what} {value:.4g} {unit} > {most:.4g} {unit}")
    for function in {**baseline.replicas, **now.replicas}:
        count = now.replicas.get(function)
        if count is None:
            found.append(f"replicas of {function} are not measured")
        elif count >= settings.replicas:
            found.append(f"{function} has {count} replicas")
    return found


def rest(
    settings: Cooldown,
    read: Callable[[], Readings],
    baseline: Readings,
    *,
    stop: threading.Event,
    clock: Callable[[], float] = time.monotonic,
    tell: Callable[[str], None] = lambda _: None,
) -> Rest:
    """Rest until the node is idle, or the fixed time; ``stop`` ends it early.

    Where the node cannot be read at all until the longest rest is over, the rest ends with a note:
    nothing speaks against going on, and nothing for it.

    Raises:
        CooldownTimeout: The node is measured, and is not idle.
    """
    began = clock()
    if settings.fixed_s is not None:
        tell(f"resting {settings.fixed_s:g} s" if settings.fixed_s else "")
        stop.wait(settings.fixed_s)
        return Rest(clock() - began, read())
    while True:
        now = read()
        busy = not_idle(now, baseline, settings)
        waited = clock() - began
        if not busy or stop.is_set():
            return Rest(waited, now)
        left = settings.max_wait_s - waited
        if left <= 0:
            return _over(waited, now, baseline, busy)
        tell(f"cooling down for {waited:.0f} s: {busy[0]}")
        stop.wait(min(settings.step_s, left))


def _over(waited: float, now: Readings, baseline: Readings, busy: list[str]) -> Rest:
    if all(reason.endswith("not measured") for reason in busy):
        return Rest(waited, now, f"idle or not was not measured for {waited:.0f} s: {now.reason}")
    raise CooldownTimeout(
        f"not idle after {waited:.0f} s: {'; '.join(busy)}. Last readings: {now}. Idle: {baseline}",
        hint="Look for what keeps the node busy, or give Cooldown(max_wait=..., threshold=...) "
        "or Cooldown.fixed('10s'); run() goes on from here.",
        readings=now,
    )
