"""What a user asks to be measured, checked before anything is connected to."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from dfaas_lab.certificates import Trust
from dfaas_lab.config import Limits
from dfaas_lab.errors import ConfigError
from dfaas_lab.k6.custom_script import CustomScript
from dfaas_lab.k6.plan import K6Plan
from dfaas_lab.k6.thresholds import Thresholds
from dfaas_lab.load import Function, Load, seconds
from dfaas_lab.load.duration import LONGEST_S

if TYPE_CHECKING:
    from dfaas_lab.spec.preview import Preview

DEFAULT_LOAD = 10
DEFAULT_DURATION = "30s"
_MOST_ITERATIONS = 100_000  # each has a workspace of its own, named in the manifest


class RunOptions(TypedDict, total=False):
    """The terms of a run by keyword; :meth:`dfaas_lab.Target.run_k6` says what they mean."""

    load: float | Mapping[str, float]
    duration: str | timedelta
    limits: Limits | None
    rest: str | timedelta
    warmup: str | timedelta
    script: str | Path | CustomScript | None
    env: Mapping[str, str] | None
    thresholds: Thresholds | None


@dataclass(frozen=True)
class RunSpec:
    """What is to be measured: a plan or a script, how often, and on what terms."""

    plan: K6Plan | CustomScript
    iterations: int = 1
    limits: Limits = field(default_factory=Limits)
    rest_s: float = 0.0
    warmup_s: float = 0.0
    detached: bool = False
    trust: Trust = field(default_factory=Trust)

    def __post_init__(self) -> None:
        if not isinstance(self.limits, Limits):
            raise ConfigError(
                f"limits={self.limits!r} is no Limits", hint="Give Limits(timeout=..., lease=...)."
            )
        object.__setattr__(self, "iterations", _count(self.iterations))
        if self.limit_s < 1:
            raise ConfigError("a time limit of 0 s ends k6 at once", hint="Give 1s or more.")
        if not self.detached and self.lease_s < 3:
            raise ConfigError(f"a lease of {self.lease_s} s is too short", hint="Give 3s or more.")
        if self.warmup_s:
            self.plan.lasting(self.warmup_s)  # a script of the user's own has none
        once_s = self.plan.duration_s + self.rest_s
        if self.warmup_s + self.iterations * once_s > LONGEST_S:
            raise ConfigError(
                f"{self.iterations} iterations take longer than ten years",
                hint="Give fewer iterations, a shorter duration or a shorter rest.",
            )

    @classmethod
    def of(
        cls,
        gateway: str,
        functions: Sequence[Function],
        iterations: int,
        *,
        load: float | Mapping[str, float] = DEFAULT_LOAD,
        duration: str | timedelta = DEFAULT_DURATION,
        limits: Limits | None = None,
        rest: str | timedelta = "0s",
        warmup: str | timedelta = "0s",
        script: str | Path | CustomScript | None = None,
        env: Mapping[str, str] | None = None,
        thresholds: Thresholds | None = None,
        served_by_header: str = "Dfaas-Node-Id",
        detached: bool = False,
        trust: Trust | None = None,
    ) -> RunSpec:
        """Check what is asked of a gateway's functions; nothing is connected to.

        Raises:
            ConfigError: It cannot be.
        """
        plan: K6Plan | CustomScript
        if script is None:
            if env:
                raise ConfigError("env is for a script of your own", hint="Give script=..., too.")
            # A body's file is read once: each iteration measures the same, whatever becomes of it.
            checked = Load.of(load, duration=duration, functions=functions).frozen()
            plan = K6Plan(checked, gateway, thresholds, served_by_header)
        else:
            if (load, duration, thresholds) != (DEFAULT_LOAD, DEFAULT_DURATION, None):
                raise ConfigError(
                    "a script of your own says its load, duration and thresholds itself",
                    hint="Leave load, duration and thresholds out, or pass them through env.",
                )
            plan = script if isinstance(script, CustomScript) else CustomScript.of(script, env)
        return cls(
            plan,
            iterations,
            limits or Limits(),
            seconds(rest, what="rest"),
            seconds(warmup, what="warmup"),
            detached,
            trust or Trust(),
        )

    @property
    def limit_s(self) -> int:
        """The time limit of one iteration on the generator, in seconds."""
        if self.limits.timeout is None:
            return math.ceil(self.plan.time_limit_s)
        return math.ceil(seconds(self.limits.timeout, what="limits.timeout"))

    def limit_of(self, turn: int) -> int:
        """The time limit of an iteration or of the warm-up, in seconds.

        A limit that was asked is an iteration's: the warm-up has what its own duration takes.
        """
        return self.limit_s if turn else max(self.limit_s, math.ceil(self.plan_of(0).time_limit_s))

    def rest_there_s(self, turn: int) -> int:
        """The rest before a turn that the generator keeps by itself, which counts whole seconds."""
        return math.ceil(self.rest_s) if self.detached and turn > self.turns[0] else 0

    @property
    def lease_s(self) -> int:
        """How long k6 may go on without its controller, in seconds; 0 where it needs none."""
        if self.detached:
            return 0
        return math.floor(seconds(self.limits.lease, what="limits.lease"))

    @property
    def thresholds(self) -> Thresholds | None:
        """The thresholds that were asked."""
        return self.plan.thresholds if isinstance(self.plan, K6Plan) else None

    def preview(self, *, memory_bytes: int | None, disk_bytes: int | None) -> Preview:
        """What it would cost a generator.

        Args:
            memory_bytes: All of its memory; None where that is not known.
            disk_bytes: What is free under its workspaces; None where that is not known.

        Raises:
            ConfigError: It has too little.
        """
        from dfaas_lab.spec.preview import Preview

        if not isinstance(self.plan, K6Plan):
            raise ConfigError("a script of your own has no preview", hint="Use k6 inspect.")
        preview = Preview.of(
            self.plan,
            now=datetime.now(UTC),
            iterations=self.iterations,
            rest_s=self.rest_s,
            warmup_s=self.warmup_s,
        )
        preview.refuse_impossible(
            memory_bytes=memory_bytes, disk_bytes=disk_bytes, together=self.detached
        )
        return preview

    @property
    def turns(self) -> range:
        """The numbers of the iterations; 0 is the warm-up."""
        return range(0 if self.warmup_s else 1, self.iterations + 1)

    def plan_of(self, turn: int) -> K6Plan | CustomScript:
        """The plan of an iteration, or of the warm-up."""
        return self.plan if turn else self.plan.lasting(self.warmup_s)


def _count(iterations: object) -> int:
    """A number of iterations, also one of NumPy's."""
    try:
        count = 0 if isinstance(iterations, bool) else operator.index(iterations)  # type: ignore[arg-type]
    except TypeError:
        count = 0
    if count < 1:
        raise ConfigError(
            f"iterations={iterations!r}: there must be at least one",
            hint="Give a whole number from 1.",
        )
    if count > _MOST_ITERATIONS:
        raise ConfigError(
            f"more than {_MOST_ITERATIONS} iterations are too many",
            hint="Give fewer, or a longer duration.",
        )
    return count
