"""Why two runs cannot be compared, or only with care: the notes of a comparison. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import polars as pl

from dfaas_lab.analysis.statistics import remarks_on, values_of

Key = tuple[str | None, str]
_SAME_SUCCESS = 0.01
_TERMS = {"rate_rps": ("rate", "requests/s"), "duration_s": ("duration", "s")}


def remarks(
    a: pl.DataFrame, b: pl.DataFrame, names: tuple[str, str], *, trends: bool = True
) -> tuple[str, ...]:
    """Return a sentence for each thing that makes two runs differ in what was asked or measured.

    ``a`` and ``b`` are their complete iterations, as in ``summary``; with ``trends``, a trend over
    the iterations of one run spoils the comparison.
    """
    runs = _by_function(a), _by_function(b)
    both = [key for key in runs[0] if key in runs[1]]
    found = [text for key in both for text in _of_function(key, runs[0][key], runs[1][key], names)]
    if trends:
        for run, name in zip(runs, names, strict=True):
            found += [
                f"p50 of {called(key)} in {name}: {remark}, so the time of measuring may differ too"
                for key in both
                for remark in remarks_on(values_of(run[key], "latency_ms_p50"))
            ]
    for mine, other, name in ((runs[0], runs[1], names[0]), (runs[1], runs[0], names[1])):
        found += [f"{called(key)} was measured in {name} only" for key in mine if key not in other]
    if not both:
        found.insert(0, "nothing can be compared: no function was measured to the end in both runs")
    return tuple(found)


def called(key: Key) -> str:
    """Return the name of a function, with its target where that matters."""
    target, function = key
    return f"{function} on {target}" if target else function


def _by_function(summary: pl.DataFrame) -> Mapping[Key, pl.DataFrame]:
    groups = summary.group_by("target", "function", maintain_order=True)
    return {(target, str(function)): group for (target, function), group in groups}


def _of_function(
    key: Key, a: pl.DataFrame, b: pl.DataFrame, names: tuple[str, str]
) -> Iterator[str]:
    for column, (name, unit) in _TERMS.items():
        asked = tuple(_values(group, column) for group in (a, b))
        if asked[0] != asked[1]:
            yield (
                f"the {name} of {called(key)} differs, and so may all else: "
                f"{asked[0]} {unit} in {names[0]}, {asked[1]} {unit} in {names[1]}"
            )
    for group, name in zip((a, b), names, strict=True):
        if not group["latency_ms_mean"].count():
            yield f"no latency of {called(key)} was measured in {name}"

    rates = [_mean(group, "success_rate") for group in (a, b)]
    if abs(rates[0] - rates[1]) > _SAME_SUCCESS:
        yield (
            f"{called(key)} succeeded in {rates[0]:.1%} of requests in {names[0]} and in "
            f"{rates[1]:.1%} in {names[1]}: its times are those of successful requests only, so of "
            "different populations"
        )


def _mean(group: pl.DataFrame, column: str) -> float:
    values = values_of(group, column)
    return float(values.mean()) if len(values) else math.nan


def _values(group: pl.DataFrame, column: str) -> str:
    values = group[column].unique().sort().to_list()
    return " and ".join("unknown" if value is None else f"{value:g}" for value in values)
