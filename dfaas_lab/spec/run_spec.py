"""One description of a run: all that a user asks for, checked before anything is connected to.

A new run option is a line of :class:`RunOptions`, an argument of :meth:`RunSpec.of` and, where it
is no part of k6's plan, a field of :class:`RunSpec`. The signatures of ``run_k6`` and ``start_k6``
and the manifest follow from these three.
"""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from dfaas_lab.certificates import Trust
from dfaas_lab.config import Limits
from dfaas_lab.errors import ConfigError
from dfaas_lab.k6.custom_script import CustomScript
from dfaas_lab.k6.plan import K6Plan
from dfaas_lab.k6.thresholds import Thresholds
from dfaas_lab.load import Function, Load, seconds
from dfaas_lab.load.duration import LONGEST_S
from dfaas_lab.spec.preview import Preview

DEFAULT_LOAD = 10
DEFAULT_DURATION = "30s"
_MOST_ITERATIONS = 100_000  # each has a workspace of its own, named in the manifest
_LEAST_LEASE_S = 3

_Method = TypeVar("_Method", bound=Callable[..., Any])


class RunOptions(TypedDict, total=False):
    """The terms of a run by keyword; :meth:`dfaas_lab.Target.run_k6` says what they mean."""

    load: float | Mapping[str, float]
    duration: str | timedelta
    limits: Limits | None
    rest: str | timedelta
    warmup: str | timedelta
    script: str | Path | CustomScript | None
    env: Mapping[str, str] | None
    files: Sequence[str | Path]
    thresholds: Thresholds | None


@dataclass(frozen=True)
class RunSpec:
    """What is to be measured: a plan or a script, how often, and on what terms.

    All fields but ``plan`` are plain values: a manifest holds them under their own names.

    Args:
        plan: What k6 is asked to do in each iteration.
        iterations: How often.
        timeout_s: The time limit of an iteration that was asked, in whole seconds; None means what
            follows from the plan.
        lease_s: How long k6 may go on without its controller, in whole seconds; 0 where the run is
            detached and needs none.
        rest_s: The pause between iterations, in seconds.
        warmup_s: How long the warm-up lasts, in seconds; 0 means none.
        detached: Whether the generator runs all iterations alone.
        ca: The path of a file with an authority that k6 trusts, too.
        insecure: Whether k6 takes any certificate.
    """

    plan: K6Plan | CustomScript
    iterations: int = 1
    timeout_s: int | None = None
    lease_s: int = 60
    rest_s: float = 0.0
    warmup_s: float = 0.0
    detached: bool = False
    ca: str | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "iterations", _count(self.iterations))
        if self.limit_s < 1:
            raise ConfigError("a time limit of 0 s ends k6 at once", hint="Give 1s or more.")
        if not self.detached and self.lease_s < _LEAST_LEASE_S:
            raise ConfigError(f"a lease of {self.lease_s} s is too short", hint="Give 3s or more.")
        if self.rest_s < 0 or self.warmup_s < 0:
            raise ConfigError("a rest or a warm-up is negative", hint="Give 0s or more.")
        if self.warmup_s:
            self.plan.lasting(self.warmup_s)  # a script of the user's own has none
        once_s = self.plan.duration_s + self.rest_s
        whole_s = self.warmup_s + self.iterations * once_s
        if max(whole_s, self.limit_s, self.lease_s) > LONGEST_S:
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
        files: Sequence[str | Path] = (),
        thresholds: Thresholds | None = None,
        served_by_header: str = "Dfaas-Node-Id",
        detached: bool = False,
        ca: str | None = None,
        insecure: bool = False,
    ) -> RunSpec:
        """Check what is asked of a gateway's functions; nothing is connected to.

        Raises:
            ConfigError: It cannot be.
        """
        plan: K6Plan | CustomScript
        if script is None:
            if env or files:
                what = "env is" if env else "files are"
                raise ConfigError(f"{what} for a script of your own", hint="Give script=..., too.")
            # A body's file is read once: each iteration measures the same, whatever becomes of it.
            checked = Load.of(load, duration=duration, functions=functions).frozen()
            plan = K6Plan(checked, gateway, _plain(thresholds), served_by_header)
        else:
            if (load, duration, thresholds) != (DEFAULT_LOAD, DEFAULT_DURATION, None):
                raise ConfigError(
                    "a script of your own says its load, duration and thresholds itself",
                    hint="Leave load, duration and thresholds out, or pass them through env.",
                )
            if not isinstance(script, CustomScript):
                script = CustomScript.of(script, env, _listed(files))
            plan = script.on(gateway, (function.name for function in functions))
        timeout_s, lease_s = _limits(limits or Limits())
        return cls(
            plan=plan,
            iterations=iterations,
            timeout_s=timeout_s,
            lease_s=0 if detached else lease_s,
            rest_s=seconds(rest, what="rest"),
            warmup_s=seconds(warmup, what="warmup"),
            detached=detached,
            ca=ca,
            insecure=insecure,
        )

    @property
    def trust(self) -> Trust:
        """Whose certificates k6 trusts."""
        return Trust(self.ca, self.insecure)

    def attended(self) -> RunSpec:
        """The same, followed by its controller: one that was detached gets the default lease."""
        return replace(self, detached=False, lease_s=self.lease_s or RunSpec.lease_s)

    def on(self, gateway: str, served_by_header: str) -> RunSpec:
        """The same load on another gateway; a script names its gateway itself."""
        if not isinstance(self.plan, K6Plan):
            return replace(self, plan=self.plan.on(gateway, ()))
        plan = replace(self.plan, gateway=gateway, served_by_header=served_by_header)
        return replace(self, plan=plan)

    @property
    def functions(self) -> list[Function]:
        """The functions that are loaded; none that are known where a script says so itself."""
        return [share.function for share in self.plan.load or ()]

    @property
    def limit_s(self) -> int:
        """The time limit of one iteration on the generator, in seconds."""
        return math.ceil(self.plan.time_limit_s) if self.timeout_s is None else self.timeout_s

    def limit_of(self, iteration: int) -> int:
        """The time limit of an iteration or of the warm-up, in seconds.

        A limit that was asked is an iteration's: the warm-up has what its own duration takes.
        """
        if iteration:
            return self.limit_s
        return max(self.limit_s, math.ceil(self.plan_of(0).time_limit_s))

    def rest_there_s(self, iteration: int) -> int:
        """Seconds the generator itself waits before this iteration (detached runs only)."""
        first = iteration == self.numbers[0]
        return math.ceil(self.rest_s) if self.detached and not first else 0

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
        if not isinstance(self.plan, K6Plan):
            raise ConfigError("a script of your own has no preview", hint="Use k6 inspect.")
        preview = Preview.of(self, self.plan, now=datetime.now(UTC))
        preview.refuse_impossible(
            memory_bytes=memory_bytes, disk_bytes=disk_bytes, together=self.detached
        )
        return preview

    @property
    def numbers(self) -> range:
        """The numbers of the iterations; 0 is the warm-up."""
        return range(0 if self.warmup_s else 1, self.iterations + 1)

    def plan_of(self, iteration: int) -> K6Plan | CustomScript:
        """The plan of an iteration, or of the warm-up."""
        return self.plan if iteration else self.plan.lasting(self.warmup_s)


def _listed(files: Sequence[str | Path]) -> list[str | Path]:
    if isinstance(files, str | Path) or not all(isinstance(one, str | Path) for one in files):
        raise ConfigError(f"files={files!r} is no list of paths", hint="Give files=['data.csv'].")
    return list(files)


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


def _plain(thresholds: Any) -> Any:
    """The same with dicts and lists, as a manifest gives them back; what is none stays as it is."""
    if isinstance(thresholds, Mapping):
        return {name: _plain(rules) for name, rules in thresholds.items()}
    return [*thresholds] if isinstance(thresholds, tuple) else thresholds


def _limits(limits: object) -> tuple[int | None, int]:
    """The time limit (None: what follows from the plan) and the lease, in whole seconds."""
    if not isinstance(limits, Limits):
        raise ConfigError(
            f"limits={limits!r} is no Limits", hint="Give Limits(timeout=..., lease=...)."
        )
    asked = limits.timeout
    timeout_s = None if asked is None else math.ceil(seconds(asked, what="limits.timeout"))
    return timeout_s, math.floor(seconds(limits.lease, what="limits.lease"))


def takes_run_options(method: _Method) -> _Method:
    """Show the run options by name and default in the signature of a method that takes them."""
    own = inspect.signature(method)
    asked = inspect.signature(RunSpec.of).parameters
    options = [asked[name] for name in RunOptions.__annotations__]
    kept = [one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD]
    places = [one for one in kept if one.kind is not one.KEYWORD_ONLY]
    named = [one for one in kept if one.kind is one.KEYWORD_ONLY]
    method.__signature__ = own.replace(parameters=[*places, *options, *named])  # type: ignore[attr-defined]
    return method
