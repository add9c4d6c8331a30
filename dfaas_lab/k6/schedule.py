"""When each request was planned: joins k6's starts and drops with the plan. Pure.

k6 attempts every planned request in order: it starts it, or drops it. So the n-th of all starts and
drops of a scenario, by time, is the n-th planned request. k6 counts each scenario's moments from a
start of its own, when that scenario's VUs are ready: some ms apart, on a busy host 0.1 s. That is
no lateness: nobody waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from dfaas_lab.k6.samples import with_vu
from dfaas_lab.load import Load, Share

_KEY = ("scenario", "vu", "iter")
_NS_PER_MS = 1e6
_PLANNED = {"planned_ns": pl.Int64, "late_ms": pl.Float64, "response_ms": pl.Float64}
_ATTEMPT = ("function", "is_drop", "at_ns", "planned_ns", "begin_ns")
# A start that is counted back from its end may come so much before its mark.
_ROUNDED_NS = 1000
# One of so few may be late all together: then the load's begin is theirs.
_TELL_A_BEGIN = 5


@dataclass(frozen=True)
class Schedule:
    """What was planned, and what became of it; times in nanoseconds, on the generator's clock.

    Args:
        begin_ns: When the load began: the first begin of a function. None where nothing was
            attempted.
        requests: The requests, with ``planned_ns``, ``late_ms``, ``response_ms`` and ``begin_ns``.
        attempts: All starts and drops: ``function, is_drop, at_ns, planned_ns, begin_ns,
            has_request``. ``begin_ns``: when the function's load began, the latest moment for which
            none of its starts or drops comes before its planned moment.
    """

    begin_ns: int | None
    requests: pl.DataFrame
    attempts: pl.DataFrame

    @classmethod
    def none(cls, requests: pl.DataFrame, events: pl.DataFrame) -> Schedule:
        """What a script did that plans by itself: its moments are not known, its drops are."""
        unplanned = {name: pl.lit(None, dtype) for name, dtype in _PLANNED.items()}
        begins = (requests["sent_ns"].min(), events["timestamp"].min())
        begin_ns = min((int(begin) for begin in begins if begin is not None), default=None)  # type: ignore[arg-type]
        begin = pl.lit(begin_ns, pl.Int64)
        attempts = _attempts(requests, events).with_columns(
            planned_ns=pl.lit(None, pl.Int64), begin_ns=begin
        )
        return cls(
            begin_ns,
            requests.with_columns(begin_ns=begin, **unplanned),
            attempts.select(*_ATTEMPT, has_request=~pl.col("is_drop")),
        )

    @classmethod
    def of(cls, requests: pl.DataFrame, events: pl.DataFrame, load: Load) -> Schedule:
        """Join what k6 noted with what was planned.

        Args:
            requests: With ``row, function, scenario, vu, iter, sent_ns`` and ``timestamp``, the
                end.
            events: The rows of ``dfaas_started`` and ``dropped_iterations``, with ``function``.
            load: What was asked.
        """
        parts = [_Part.of(share, requests, events) for share in load if share.rate_rps]
        begins = [part.begin_ns for part in parts if part.begin_ns is not None]
        begin_ns = min(begins, default=None)
        planned = [part.planned(begin_ns or 0) for part in parts]
        return cls(
            begin_ns,
            pl.concat([requests for requests, _ in planned]),
            pl.concat([attempts for _, attempts in planned]),
        )


@dataclass(frozen=True)
class _Part:
    """One function's requests and attempts; ``due_ns`` is counted from the begin of its load."""

    requests: pl.DataFrame
    attempts: pl.DataFrame

    @classmethod
    def of(cls, share: Share, requests: pl.DataFrame, events: pl.DataFrame) -> _Part:
        name = share.function.name
        mine = requests.filter(pl.col("function") == name)
        attempts = _attempts(mine, events.filter(pl.col("function") == name))
        due_ns = (pl.int_range(pl.len()) * share.interval_ns).round().cast(pl.Int64)
        return cls(mine, attempts.sort("at_ns", maintain_order=True).with_columns(due_ns=due_ns))

    @property
    def begin_ns(self) -> int | None:
        begin = self.attempts.select((pl.col("at_ns") - pl.col("due_ns")).min()).item()
        return None if begin is None else int(begin)

    def planned(self, begin_ns: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The requests and attempts, planned from its own begin or, of a few, from this one."""
        if self.begin_ns is not None and self.attempts.height >= _TELL_A_BEGIN:
            begin_ns = self.begin_ns
        begin = pl.lit(begin_ns, pl.Int64)
        attempts = self.attempts.with_columns(planned_ns=pl.col("due_ns") + begin, begin_ns=begin)
        requests, has_request = self._joined(attempts)
        planned = pl.col("planned_ns")
        # Of a request that made its connection, k6 counts the time from there to its use twice: as
        # blocked and as sending. Its start, counted back from its end, would come before its mark.
        requests = requests.with_columns(sent_ns=pl.max_horizontal("sent_ns", "at_ns"))
        requests = requests.with_columns(
            begin_ns=begin,
            late_ms=(pl.col("sent_ns") - planned) / _NS_PER_MS,
            response_ms=(pl.col("timestamp") - planned) / _NS_PER_MS,
        )
        return requests, attempts.select(*_ATTEMPT, has_request)

    def _joined(self, attempts: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
        """Give each request its planned moment; tell which attempts have a request."""
        starts = attempts.filter(~pl.col("is_drop"))
        if starts.height == self.requests.height:
            return _in_order(self.requests, starts), (~attempts["is_drop"]).alias("has_request")
        keyed = with_vu(attempts)
        requests = self.requests.join(
            keyed.filter(~pl.col("is_drop")).unique(_KEY).select(*_KEY, "at_ns", "planned_ns"),
            on=_KEY, how="left", nulls_equal=True,
        )  # fmt: skip
        found = keyed.join(
            self.requests.select(*_KEY, has_request=True).unique(_KEY),
            on=_KEY, how="left", nulls_equal=True, maintain_order="left",
        )["has_request"]  # fmt: skip
        return requests, found.fill_null(value=False) & ~attempts["is_drop"]


def _in_order(requests: pl.DataFrame, starts: pl.DataFrame) -> pl.DataFrame:
    """Give each request its start where there is one for each: mostly the order tells which.

    To read and join a key takes longer than all the rest. It is done where the order may be
    another: a request was sent after the next start, as one that waits for a processor, or it made
    its connection, so that its start is counted back too far.
    """
    ordered = requests.sort("sent_ns").with_columns(starts["at_ns", "planned_ns"])
    sent, at = pl.col("sent_ns"), pl.col("at_ns")
    connects = (pl.col("connecting_ms") > 0).fill_null(value=False)
    begins = (sent >= at - _ROUNDED_NS) & (sent.shift(1) < at).fill_null(value=True)
    begins &= ~connects & ~connects.shift(1, fill_value=False)
    is_alone = ordered.select(begins & begins.shift(-1, fill_value=True)).to_series()
    if is_alone.all():
        return ordered
    unsure = ordered.filter(~is_alone).rename({"at_ns": "at", "planned_ns": "planned"})
    keyed = with_vu(starts.filter(~is_alone)).unique(_KEY).select(*_KEY, "at_ns", "planned_ns")
    told = unsure.join(keyed, on=_KEY, how="left", nulls_equal=True).with_columns(
        at_ns=pl.coalesce("at_ns", "at"), planned_ns=pl.coalesce("planned_ns", "planned")
    )
    return pl.concat([ordered.filter(is_alone), told.select(ordered.columns)])


def _attempts(requests: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """One row per start and drop; a request whose mark is not there is its own mark."""
    is_drop = pl.col("metric_name") == "dropped_iterations"
    columns = [*_KEY, "function", "metadata"]
    marks = events.filter(is_drop | (pl.col("metric_name") == "dfaas_started")).select(
        *columns, "metric_value", at_ns="timestamp", is_drop=is_drop
    )
    if not (marks["metric_value"] == 1).all():
        marks = marks.select(pl.all().repeat_by(pl.col("metric_value").cast(pl.UInt32)).explode())
    marks = marks.drop("metric_value")
    if requests.height > marks.height - marks["is_drop"].sum():
        own = requests.join(with_vu(marks), on=_KEY, how="anti", nulls_equal=True)
        own = own.select(
            pl.lit(None, pl.String).alias(name) if name == "metadata" else name for name in columns
        ).with_columns(at_ns=own["sent_ns"], is_drop=pl.lit(value=False))
        marks = pl.concat([marks, own])
    return marks
