"""The settings of a campaign: plan, iterations, targets, thresholds. Two can be compared."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from dfaas_lab.campaign.cooldown import Cooldown
from dfaas_lab.campaign.overload import Overload
from dfaas_lab.config import Limits
from dfaas_lab.errors import ConfigError
from dfaas_lab.load import seconds
from dfaas_lab.load.plan import Plan
from dfaas_lab.load.rates import whole_number
from dfaas_lab.names import near

if TYPE_CHECKING:
    from dfaas_lab.target import Target

Order = Literal["rising", "shuffled", "given"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that decides what a campaign measures, and what it makes of it.

    ``targets`` are names, ``seed`` is of the order ``"shuffled"``, ``requests`` has by target and
    function what is asked (:func:`requests_of`), ``options`` are as :func:`stored_options` gives.
    """

    plan: Plan
    iterations: int
    duration_s: float
    targets: tuple[str, ...]
    cooldown: Cooldown
    overload: Overload
    order: Order = "rising"
    seed: int | None = None
    requests: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.order not in get_args(Order):
            raise ConfigError(
                f"order={self.order!r} is unknown", hint=f"One of: {', '.join(get_args(Order))}."
            )
        for name, kind in (("cooldown", Cooldown), ("overload", Overload)):
            if not isinstance(given := getattr(self, name), kind):
                raise ConfigError(
                    f"{name}={given!r} cannot be", hint=f"Give {kind.__name__}(...); see its help."
                )
        if self.seed is not None:
            object.__setattr__(self, "seed", whole_number(self.seed, "seed=..."))

    def described(self) -> dict[str, Any]:
        """Return all of it as values for JSON."""
        return {
            "plan": self.plan.described(),
            "iterations": self.iterations,
            "duration_s": self.duration_s,
            "targets": list(self.targets),
            "cooldown": self.cooldown.described(),
            "overload": asdict(self.overload),
            "order": self.order,
            "seed": self.seed,
            "requests": {name: dict(own) for name, own in self.requests.items()},
            "options": dict(self.options),
        }

    @classmethod
    def from_described(cls, entries: Mapping[str, Any]) -> Settings:
        """Return the settings that ``described()`` gave."""
        given = dict(entries)
        return cls(
            plan=Plan.from_described(given.pop("plan")),
            targets=tuple(given.pop("targets")),
            cooldown=Cooldown.from_described(given.pop("cooldown")),
            overload=Overload(**given.pop("overload")),
            **given,
        )


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any], at: str = "") -> list[str]:
    """Return what is asked otherwise than it is stored, each with both values.

    >>> differences({"plan": {"sizes": [1, 1]}}, {"plan": {"sizes": [1, 2]}})
    ['plan.sizes: stored [1, 1], asked [1, 2]']
    """
    found = []
    for key in dict.fromkeys((*stored, *asked)):
        a, b, place = stored.get(key), asked.get(key), f"{at}{key}"
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{place}.")
        elif a != b:
            found.append(f"{place}: stored {_told(a)}, asked {_told(b)}")
    return found


def _told(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def stored_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of runs that decide what is measured, as values for JSON."""
    stored: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, Limits):
            stored[name] = {
                "timeout": None if value.timeout is None else f"{seconds(value.timeout)!r}s",
                "lease": f"{seconds(value.lease)!r}s",
            }
        elif name == "warmup":
            stored[name] = f"{seconds(value)!r}s"
        elif name == "thresholds":
            stored[name] = {function: _listed(rules) for function, rules in value.items()}
    return stored


def _listed(rules: Any) -> Any:
    """Expressions as lists, by metric where they are."""
    if isinstance(rules, Mapping):
        return {metric: _listed(some) for metric, some in rules.items()}
    return [rules] if isinstance(rules, str) else list(rules)


def options_for(options: Mapping[str, Any], load: Mapping[str, int]) -> dict[str, Any]:
    """The options of the run of one load: thresholds of the functions that take load in it."""
    given = dict(options)
    if isinstance(thresholds := given.get("thresholds"), Mapping):
        given["thresholds"] = {name: thresholds[name] for name in thresholds if load.get(name)}
    return given


def options_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that ``stored_options()`` gave."""
    return {name: Limits(**value) if name == "limits" else value for name, value in stored.items()}


def order_of(plan: Plan, order: Order, seed: int | None) -> Sequence[int]:
    """Return the indexes of a plan's loads in the order in which they are measured.

    ``"rising"`` goes by the sum of all rates, so that a load never comes before one that could rule
    it out; ties come in the plan's order. ``"given"`` is the plan's order. ``"shuffled"`` is
    ``random.Random(seed).shuffle`` of it.
    """
    if order == "given":
        return range(len(plan))
    if order == "shuffled":
        indexes = list(range(len(plan)))
        random.Random(seed).shuffle(indexes)  # noqa: S311 - an order, no secret
        return indexes
    rising: Sequence[int] = np.argsort(plan.totals(), kind="stable")  # type: ignore[assignment]
    return rising


def requests_of(target: Target, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what each function's load asks, nothing secret: of bodies and headers a digest.

    Raises:
        ConfigError: The target does not have one of the functions.
    """
    own = {function.name: function for function in target.functions}
    missing = [name for name in names if name not in own]
    if missing:
        raise ConfigError(
            f"{target.name} has no function {', '.join(missing)}, which the plan names"
            f"{near(missing[0], own)}",
            hint=f"Its functions are: {', '.join(own)}.",
        )
    return {name: _described(own[name]) for name in names}


def _described(function: Any) -> dict[str, Any]:
    """What decides about the requests of a function, by names that a difference can be told by."""
    return {
        "method": function.method,
        "path": function.path,
        "body": _digest(function.body_bytes()),
        "headers": _digest(repr(sorted(function.shown_headers().items())).encode()),
        "timeout_s": function.timeout_s,
        "max_rate": function.max_rate,
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
