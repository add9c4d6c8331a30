"""``compare()`` and its result: how two or more sides differ, with intervals and in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from dfaas_lab import charts
from dfaas_lab.analysis.comparability import called, remarks
from dfaas_lab.analysis.difference import POWER_SCHEMA, Pair, paired, unpaired
from dfaas_lab.analysis.statistics import check_confidence, complete_iterations
from dfaas_lab.display.cards import card
from dfaas_lab.printable import printable, safe_html, safe_repr

if TYPE_CHECKING:
    import altair as alt

_SAME = 0.2  # a wider interval says nothing of sameness
_SHOWN = 2  # of one function, where more differ
_WIDE = 10  # a change of more than tenfold is told as that
_WORDS = {
    "latency_ms_mean": "mean latency",
    "response_ms_mean": "mean response time",
    "success_rate": "success rate",
}


Row = Mapping[str, Any]


class Measured(Protocol):
    """What can be compared: a run, or anything with an id and a summary."""

    @property
    def id(self) -> str:
        """What it is called."""

    @property
    def summary(self) -> pl.DataFrame:
        """One row per iteration and function."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """How sides differ; ``str()`` says it in sentences.

    Of each function the clearest differences have a sentence each, all others one together, and
    what does not differ one. ``sentences`` has one for every row of ``frame``.

    Args:
        sides: What the sides are called; all are compared with the first.
        frame: One row per side, function and measure: ``side_a, side_b, target, function, measure,
            a, b`` (means over iterations), ``change`` with its limits ``low`` and ``high``, which
            hold for all rows together, ``alone_low`` and ``alone_high``, which hold for one row by
            itself, ``differs`` and the ``method``. The change of a time is relative (0.12: 12 %
            higher), that of the success rate is ``b - a``. ``target`` is null where the sides are
            of one target each.
        confidence: Of the intervals.
        remarks: What cannot be compared, or only with care, in words.
        power: Of sides that were measured in turn, one row per row of ``frame``: ``blocks``,
            ``detectable`` (the smallest change that these blocks show in 8 of 10 cases),
            ``same_within`` (the largest change that the interval allows) and ``blocks_to_halve``
            (so many more blocks halve ``detectable``). Empty for two runs of different times.

    >>> compare(before, after).frame.select("function", "measure").row(0)
    ('env', 'latency_ms_mean')
    """

    sides: tuple[str, ...]
    frame: pl.DataFrame
    confidence: float
    remarks: tuple[str, ...] = ()
    power: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=POWER_SCHEMA))

    @property
    def interleaved(self) -> bool:
        """Whether the sides were measured in turn, so that a difference has the side as cause.

        >>> compare(before, after).interleaved
        False
        """
        return not self.power.is_empty()

    @property
    def sentences(self) -> tuple[str, ...]:
        """One sentence per row of ``frame``.

        >>> compare(before, after).sentences[0]
        'mean latency of env is ...'
        """
        return tuple(self._sentence(*both) for both in self._rows)

    def chart(self) -> alt.TopLevelMixin:
        """The changes with their intervals, one line per function and measure.

        >>> save_figure(compare(before, after).chart(), "changes.svg").name
        'changes.svg'
        """
        return charts.comparison_chart(self.frame)

    @safe_repr
    def __str__(self) -> str:
        return "\n".join(printable(line) for line in (self._head, *self._told, *self._notes))

    __repr__ = __str__

    @safe_html
    def _repr_html_(self) -> str:
        return card(self._head, {}, troubles=(*self._told, *self._notes))

    @property
    def _rows(self) -> list[tuple[Row, Row]]:
        """Each row of ``frame``, with its row of ``power``; that is empty for two runs."""
        powers = self.power.rows(named=True) or [{}] * self.frame.height
        return list(zip(self.frame.rows(named=True), powers, strict=True))

    @property
    def _told(self) -> Iterator[str]:
        """Of each side and function: the clearest differences, the others, and what is left."""
        groups: dict[tuple[object, ...], list[tuple[Row, Row]]] = {}
        for row, power in self._rows:
            key = row["side_b"], row["target"], row["function"]
            groups.setdefault(key, []).append((row, power))
        for group in groups.values():
            differ = [both for both in group if both[0]["differs"]]
            differ.sort(key=lambda both: -_clear(both[0]))
            shown = differ if len(differ) <= _SHOWN + 1 else differ[:_SHOWN]
            yield from (self._sentence(*both) for both in shown)
            if more := [row for row, _ in differ[len(shown) :]]:
                yield self._more(more)
            yield from self._undecided([both for both in group if not both[0]["differs"]])

    def _undecided(self, group: Sequence[tuple[Row, Row]]) -> Iterator[str]:
        """What does not differ in one sentence, and one for each reason why others have no limits.

        "Can be chance" is a result: of numbers without an interval nothing is known.
        """
        reasons: dict[str | None, list[tuple[Row, Row]]] = {}
        for row, power in group:
            reason = None if row["differs"] is not None else row["method"]
            reasons.setdefault(reason, []).append((row, power))
        for reason, alike in reasons.items():
            if len(alike) == 1:
                yield self._sentence(*alike[0])
            elif reason is None:
                yield self._without_difference(alike)
            else:
                yield self._without_interval([row for row, _ in alike], reason)

    def _without_interval(self, rows: Sequence[Row], reason: str) -> str:
        """What several rows of one function without limits say, for one reason."""
        of = f"{len(rows)} numbers of {_function(rows[0])}{self._on(rows[0])}"
        why = reason.removeprefix("none: ")
        changes = [(row, row) for row in rows if row["change"] is not None]
        if not changes:
            return f"{of} cannot be compared ({why})"
        if not any(row["change"] for row, _ in changes):
            return f"{of} are the same (no interval: {why})"
        return f"{of} differ {_range(changes, 'change', 'by')} (no interval: {why})"

    def _on(self, row: Row) -> str:
        return f" on {row['side_b']}" if len(self.sides) > 2 else ""

    def _more(self, rows: Sequence[Row]) -> str:
        higher = sum(row["change"] > 0 for row in rows)
        way = {len(rows): "all higher", 0: "all lower"}.get(higher, f"{higher} of them higher")
        numbers = f"{len(rows)} more numbers of {_function(rows[0])}"
        return f"{numbers} differ{self._on(rows[0])}, {way} (see frame)"

    def _sentence(self, row: Row, power: Row) -> str:
        change, low, high = row["change"], row["low"], row["high"]
        of = f"{_measure(row)} of {_function(row)}"
        if change is None:
            return f"{of} cannot be compared ({row['method']})" + _could_show(row, power)
        way = "higher" if change >= 0 else "lower"
        told = f"{of} is {_share(abs(change), row)} {way}" if change else f"{of} is the same"
        told += self._on(row)
        if low is None or high is None:
            told += f" (no interval: {row['method'].removeprefix('none: ')})"
        elif max(abs(low), abs(high)) > _WIDE:
            told += ", which can be chance (so few measurements give no limits within tenfold)"
        else:
            # Of what is lower, the limits are told as how much lower: 12 % lower [8 %, 16 %].
            limits = (low, high) if change >= 0 else (-high, -low)
            told += f" [{_share(limits[0], row)}, {_share(limits[1], row)}]"
            told += ", which can be chance" if change and not row["differs"] else ""
        return told + _could_show(row, power)

    def _without_difference(self, rows: Sequence[tuple[Row, Row]]) -> str:
        """What several rows of one function without a difference say."""
        first, power = rows[0]
        times = [both for both in rows if both[0]["measure"] != "success_rate"]
        changes = [(row, row) for row, _ in times if row["change"] is not None]
        by = f" {_range(changes, 'change', 'by')}" if changes else ""
        told = f"{len(rows)} numbers of {_function(first)}{self._on(first)} differ{by}, "
        told += "which can be chance"
        same = [
            (row, own)
            for row, own in times
            if (within := own.get("same_within")) is not None and within <= _SAME
        ]
        shown = [both for both in times if both[1].get("detectable") is not None]
        if same:
            told += f": {_range(same, 'same_within', 'the same within')}"
        if shown:
            told += f"{';' if same else ':'} these {power['blocks']} blocks "
            told += _range(shown, "detectable", "could have shown a change of")
            told += f", {max(row['blocks_to_halve'] for _, row in shown)} more halve it"
        return told

    @property
    def _head(self) -> str:
        first, *others = self.sides
        judged = self.frame["differs"].drop_nulls()
        found, of = int(judged.sum()), len(judged)
        chance = (1 - self.confidence) * of
        made = "measured in turn" if self.interleaved else "two runs"
        compared = f"{', '.join(others)} compared with {first} ({made}): "
        if not of:
            return f"{compared}no number can be judged."
        return (
            f"{compared}{found} of {of} numbers differ. "
            f"The {self.confidence:.0%} intervals hold for all of them together; judged one by "
            f"one, chance alone would give about {chance:.1f} differences."
        )

    @property
    def _notes(self) -> tuple[str, ...]:
        notes = list(self.remarks)
        if self.frame["differs"].any() and not self.interleaved:
            notes.append(
                "two runs were made at two times, and what changed in between differs too: "
                "lab.run_interleaved() measures sides in turn and can tell a cause"
            )
        return tuple(f"Note: {remark}." for remark in notes)


def compare(
    run_a: Measured, run_b: Measured, *, confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """Return how ``run_b`` differs from ``run_a``, function by function.

    Iterations are compared, not requests; iterations that were cut short are left out. All
    intervals of one comparison hold together (:mod:`dfaas_lab.analysis.difference`). Two runs are
    made at two times: a difference says that these two runs differ, and not why. What drifts from
    iteration to iteration is named in ``remarks``.

    Args:
        run_a: What is compared with.
        run_b: What is compared.
        confidence: Of the intervals, between 0 and 1.
        seed: Of the resampling.

    Raises:
        ConfigError: A confidence that is none.

    >>> print(compare(before, after))
    20... compared with 20... (two runs): ... numbers differ. ...
    """
    check_confidence(confidence)
    a, b = complete_iterations(run_a.summary), complete_iterations(run_b.summary)
    single = max(a["target"].n_unique(), b["target"].n_unique()) <= 1
    if single:
        # Two nodes, one each: they are compared although their names differ.
        a, b = (x.with_columns(target=pl.lit(None, pl.String)) for x in (a, b))
    names = (run_a.id, run_b.id)
    pairs = list(_pairs(a, b, names))
    frame = unpaired(pairs, confidence=confidence, seed=seed)
    return Comparison(names, frame, confidence, remarks(a, b, names))


def compare_blocks(
    blocks: Mapping[str, pl.DataFrame], *, confidence: float = 0.95, notes: Sequence[str] = ()
) -> Comparison:
    """Return how sides differ that were measured in turn, each compared with the first.

    ``blocks`` are summaries by side, with the block's number in the column ``iteration``.

    Raises:
        ConfigError: A confidence that is none.
    """
    check_confidence(confidence)
    sides = {
        name: complete_iterations(summary).with_columns(target=pl.lit(None, pl.String))
        for name, summary in blocks.items()
    }
    first, *others = sides
    pairs = [
        _in_turn(pair)
        for name in others
        for pair in _pairs(sides[first], sides[name], (first, name))
    ]
    frame, power = paired(pairs, confidence=confidence)
    told = [
        remark
        for name in others
        for remark in remarks(sides[first], sides[name], (first, name), trends=False)
    ]
    return Comparison(tuple(sides), frame, confidence, (*notes, *told), power)


def _in_turn(pair: Pair) -> Pair:
    """The pair with the blocks that both sides have, in the same order."""
    a, b = (
        one.join(other, on="iteration", how="semi").sort("iteration")
        for one, other in ((pair.a, pair.b), (pair.b, pair.a))
    )
    return replace(pair, a=a, b=b)


def _pairs(a: pl.DataFrame, b: pl.DataFrame, sides: tuple[str, str]) -> Iterator[Pair]:
    others = dict(b.group_by("target", "function", maintain_order=True))
    for key, group in a.group_by("target", "function", maintain_order=True):
        if key in others:
            yield Pair(sides, (key[0], key[1]), group, others[key])


def _clear(row: Row) -> float:
    """How clearly a row differs: how far its limits are from 0, by how far they are apart."""
    low, high = row["low"], row["high"]
    return float(min(abs(low), abs(high)) / max(high - low, 1e-12))


def _measure(row: Row) -> str:
    """What a reader calls the measure: p95, p95 response time, mean latency, success rate."""
    measure = row["measure"]
    if measure in _WORDS:
        return _WORDS[measure]
    time, _, of = measure.rpartition("_")
    return f"{of} response time" if time == "response_ms" else str(of)


def _function(row: Row) -> str:
    return called((row["target"], row["function"]))


def _could_show(row: Row, power: Row) -> str:
    """What a row without a difference proves: the same within so much, and what it could show."""
    detectable, within = power.get("detectable"), power.get("same_within")
    if row["differs"] or detectable is None or within is None:
        return ""
    same = f"the same within {_share(within, row)}; " if within <= _SAME else ""
    return (
        f": {same}these {power['blocks']} blocks could have shown a change of "
        f"{_share(detectable, row)}, {power['blocks_to_halve']} more halve it"
    )


def _range(rows: Sequence[tuple[Row, Row]], column: str, words: str) -> str:
    """The smallest and the largest share of a column, each with the measure that has it."""
    values = sorted(((abs(from_[column]), row) for row, from_ in rows), key=lambda both: both[0])
    (low, least), (high, most) = values[0], values[-1]
    told = f"{words} {_share(low, least)} ({_measure(least)})"
    return told if len(values) == 1 else f"{told} to {_share(high, most)} ({_measure(most)})"


def _share(share: float, row: Row) -> str:
    """A share with two digits that mean something: in points of the success rate, else percent."""
    unit = "points" if row["measure"] == "success_rate" else "%"
    percent = share * 100
    if abs(share) > _WIDE:
        return f"over {_WIDE * 100} {unit}"
    return f"{percent:.0f} {unit}" if abs(percent) >= 10 else f"{percent:.2g} {unit}"
