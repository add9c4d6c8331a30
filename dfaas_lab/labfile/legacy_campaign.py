"""Translates the campaign in the existing tools' configuration to our keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SECTIONS = ("rate_strategy", "rates", "combinations", "cooldown", "overload")
USED = (*SECTIONS, "duration", "iterations")
# Theirs by ours, of each kind of rates; their defaults are ours.
_RATES: Mapping[str, Mapping[str, str]] = {
    "linear": {"min": "min_rate", "max": "max_rate", "step": "step"},
    "random": {"min": "min_rate", "max": "max_rate", "count": "count", "seed": "seed"},
    "exponential": {key: key for key in ("base", "min_power", "max_power", "max_rate")},
    "custom": {"rates": "rates"},
}
_DEFAULT = {"min": 0, "max": 200, "step": 10}
_OVERLOAD = {
    "cpu_fraction": ("cpu_overload_pct_of_capacity", 100),
    "memory_fraction": ("ram_overload_pct", 100),
    "node_success_rate": ("success_rate_node_min", 1),
    "function_success_rate": ("success_rate_function_min", 1),
    "replicas": ("replicas_overload_threshold", 1),
}


def campaign_keys(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the campaign in our keys; each part that is given must be a mapping."""
    combinations = given.get("combinations") or {}
    low = _or(combinations.get("min_functions"), 1)
    # Theirs is exclusive.
    high = _or(combinations.get("max_functions"), 2) - 1
    keys = {
        "rates": _rates(given),
        "sizes": [low, high],
        "iterations": given.get("iterations"),
        "duration": given.get("duration"),
        "cooldown": _cooldown(given.get("cooldown") or {}),
        "overload": _overload(given.get("overload") or {}),
    }
    return {name: value for name, value in keys.items() if value is not None}


def unknown_parts(given: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The keys within these sections that mean nothing here."""
    known = {
        "rates": tuple(_RATES["linear"].values()),
        "combinations": ("min_functions", "max_functions"),
        "cooldown": ("max_wait_seconds", "sleep_step_seconds", "idle_threshold_pct"),
        "overload": tuple(theirs for theirs, _ in _OVERLOAD.values()),
    }
    return [
        (section, key) for section, keys in known.items() for key in (given.get(section) or {})
        if key not in keys
    ]  # fmt: skip


def _rates(given: Mapping[str, Any]) -> dict[str, Any]:
    """The strategy; the deprecated ``rates`` replace a linear one that is still the default."""
    strategy = given.get("rate_strategy") or {"type": "linear"}
    kind = str(strategy.get("type", "linear"))
    names = _RATES.get(kind, {})
    rates = {
        ours: strategy[theirs] for ours, theirs in names.items() if strategy.get(theirs) is not None
    }
    old = given.get("rates")
    if old and kind == "linear" and _DEFAULT | rates == _DEFAULT:
        linear = _RATES["linear"].items()
        rates = {ours: old[theirs] for ours, theirs in linear if old.get(theirs) is not None}
    return {"type": kind, **rates}


def _cooldown(given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for ours, theirs in (("max_wait", "max_wait_seconds"), ("step", "sleep_step_seconds")):
        if given.get(theirs) is not None:
            found[ours] = f"{given[theirs]}s"
    if given.get("idle_threshold_pct") is not None:
        found["threshold"] = given["idle_threshold_pct"] / 100
    return found


def _overload(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        ours: given[theirs] / divisor if divisor > 1 else given[theirs]
        for ours, (theirs, divisor) in _OVERLOAD.items()
        if given.get(theirs) is not None
    }


def _or(value: Any, default: int) -> int:
    return default if value is None else value
