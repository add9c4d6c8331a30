"""Decides whether a node is overloaded: the thresholds and the rule. Pure.

The rules are those of the existing DFaaS tools, with CPU as a fraction of all cores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import polars as pl

from dfaas_lab.campaign.readings import Readings
from dfaas_lab.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Overload:
    """The thresholds of overload; None switches one off.

    Args:
        function_success_rate: A function is overloaded below this success rate, 0..1.
        replicas: A function is overloaded from this many replicas on.
        node_success_rate: A node is overloaded below this mean of its functions' success rates.
        cpu_fraction: A node is overloaded above this part of all its processors, 0..1.
        memory_fraction: A node is overloaded above this part of its memory, 0..1.

    >>> Overload(cpu_fraction=0.9, replicas=None).function_success_rate
    0.9
    """

    function_success_rate: float | None = 0.90
    replicas: int | None = 15
    node_success_rate: float | None = 0.95
    cpu_fraction: float | None = 0.80
    memory_fraction: float | None = 0.90

    def __post_init__(self) -> None:
        for one in fields(self):
            value, counts = getattr(self, one.name), one.name == "replicas"
            good = isinstance(value, int | float) and not isinstance(value, bool)
            good = good and (not counts or value % 1 == 0)
            if value is not None and not (good and counts <= value <= (1e6 if counts else 1)):
                raise ConfigError(
                    f"Overload({one.name}={value!r}) cannot be",
                    hint="Rates and fractions are from 0 to 1: cpu_fraction=0.8; replicas are a "
                    "whole number from 1; None is off.",
                )


@dataclass(frozen=True)
class Judgement:
    """Whether an iteration overloaded a node: by function, in all, and which thresholds fired."""

    functions: Mapping[str, bool]
    overloaded: bool
    reasons: tuple[str, ...]


def judge(success_rates: Mapping[str, float | None], node: Readings, limits: Overload) -> Judgement:
    """Judge one iteration.

    Args:
        success_rates: Of each function that took load; None where nothing was answered or refused.
        node: What was read of the node in the iteration's window.
        limits: The thresholds.
    """
    by_function = {
        name: _of_function(name, rate, node, limits) for name, rate in success_rates.items()
    }
    reasons = [reason for found in by_function.values() for reason in found]
    reasons += _of_node([rate for rate in success_rates.values() if rate is not None], node, limits)
    return Judgement(
        {name: bool(found) for name, found in by_function.items()}, bool(reasons), tuple(reasons)
    )


# Of the answers that blame the request these are signs of load: too slow, too early, too many at
# once, gone meanwhile.
_OF_LOAD = (408, 425, 429, 499)


def misdirected(requests: pl.DataFrame) -> tuple[dict[str, float | None], str]:
    """Find requests that failed for what they asked: no such function, no access, a redirect.

    However many these are, they say nothing of the node's load.

    Args:
        requests: Those of one iteration.

    Returns:
        The success rates of the other requests, of each function that has such ones (None where it
        has no others), and the answers in words.
    """
    status = pl.col("http_status")
    of_request = status.is_between(300, 499) & ~status.is_in(_OF_LOAD) & pl.col("failed")
    of_request = of_request.fill_null(value=False)  # no answer at all
    found = (
        requests.group_by("function", maintain_order=True)
        .agg(
            (~pl.col("failed")).filter(~of_request).mean().alias("rate"),
            status.filter(of_request).mode().min().alias("status"),
            of_request.sum().alias("count"),
            pl.len().alias("all"),
        )
        .filter(pl.col("count") > 0)
    )
    words = [
        f"{row['function']}: {row['count']} of {row['all']} requests were answered "
        f"{row['status']}, which is no sign of overload"
        for row in found.iter_rows(named=True)
    ]
    return dict(found.select("function", "rate").iter_rows()), "; ".join(words)


def _of_function(name: str, rate: float | None, node: Readings, limits: Overload) -> list[str]:
    reasons = []
    least, most = limits.function_success_rate, limits.replicas
    if least is not None and rate is not None and rate < least:
        reasons.append(f"{name}: success rate {_below(rate, least)} < {least:g}")
    replicas = node.replicas.get(name)
    if most is not None and replicas is not None and replicas >= most:
        reasons.append(f"{name}: {replicas} replicas >= {most}")
    return reasons


def _of_node(rates: Sequence[float], node: Readings, limits: Overload) -> list[str]:
    reasons = []
    least = limits.node_success_rate
    if least is not None and rates and (mean := sum(rates) / len(rates)) < least:
        reasons.append(f"node: mean success rate {_below(mean, least)} < {least:g}")
    for name, what in (("cpu_fraction", "CPU"), ("memory_fraction", "memory")):
        most, value = getattr(limits, name), getattr(node, name)
        if most is not None and value is not None and value > most:
            reasons.append(f"node: {what} {value:.3g} of its capacity > {most:g}")
    return reasons


def _below(value: float, limit: float) -> str:
    """A number with as many digits as tell it from the limit."""
    return next((text for d in (3, 6) if float(text := f"{value:.{d}g}") < limit), repr(value))
