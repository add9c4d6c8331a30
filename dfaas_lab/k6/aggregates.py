"""Aggregates of requests: the summary, the timeline, and a script's own metrics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from dfaas_lab import schemas
from dfaas_lab.k6.requests import named, time_of
from dfaas_lab.k6.schedule import Schedule
from dfaas_lab.load import Load

_LONGEST_S = 1_000_000
_NS_PER_S = 1_000_000_000
# A request that is this little late still counts in the second that it was planned for.
_IN_TIME_NS = 10_000_000
_QUANTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Counted:
    """An iteration's requests, starts and drops, to be counted.

    Args:
        requests: With ``second``.
        attempts: All starts and drops, with ``second`` and ``begin_ns``.
        begin_ns: When the load began; None where that is not known.
        load: What was asked; None for a custom script.
        cut_short: Whether the load may have ended before its time.
    """

    requests: pl.DataFrame
    attempts: pl.DataFrame
    begin_ns: int | None
    load: Load | None
    cut_short: bool

    @classmethod
    def of(
        cls, schedule: Schedule, load: Load | None, otherwise: datetime | None, *, cut_short: bool
    ) -> Counted:
        """Count from the load's begin, which is ``otherwise`` where nothing was attempted."""
        begin_ns = schedule.begin_ns
        if begin_ns is None and otherwise is not None:
            begin_ns = round(otherwise.timestamp() * 1e6) * 1000
        return cls(
            schedule.requests.with_columns(second=_second("sent_ns")),
            schedule.attempts.with_columns(second=_second("at_ns")),
            begin_ns,
            load,
            cut_short,
        )

    @property
    def functions(self) -> list[str]:
        """The functions of the load in its order; of a script all that left a mark, by name."""
        if self.load:
            return [share.function.name for share in self.load]
        return sorted({*self.requests["function"], *self.attempts["function"]})

    def summary(self) -> pl.DataFrame:
        """One row per function."""
        asked = self._asked()
        measured = self.requests.group_by("function").agg(
            requests=pl.len(),
            failed=pl.col("failed").sum(),
            **_of_successful("latency_ms"),
            **_of_successful("response_ms"),
            failed_latency_ms_p50=_quantile(pl.col("latency_ms").filter(pl.col("failed")), 50),
            late_ms_p99=_quantile(pl.col("late_ms"), 99),
            late_ms_max=pl.col("late_ms").max(),
        )
        books = self.attempts.group_by("function").agg(
            dropped=pl.col("is_drop").sum(),
            started=pl.col("is_drop").not_().sum(),
            began_at=time_of(pl.col("begin_ns").first()),
        )
        counts = ("requests", "failed", "dropped", "started")
        frame = (
            asked.join(measured, on="function", how="left", maintain_order="left")
            .join(books, on="function", how="left", maintain_order="left")
            .with_columns(
                pl.col(counts).fill_null(0).cast(pl.Int64),
                started_at=pl.coalesce("began_at", "started_at"),
            )
        )
        return self._balanced(frame)

    def _asked(self) -> pl.DataFrame:
        load = self.load
        shares = list(load) if load else []
        planned = {s.function.name: s.planned(load.duration_s) for s in shares} if load else {}
        rates = load.rates if load else {}
        names = self.functions
        began_at = None if self.begin_ns is None else _time(self.begin_ns)
        return pl.DataFrame(
            {
                "function": pl.Series(names, dtype=pl.String),
                "rate_rps": pl.Series([rates.get(name) for name in names], dtype=pl.Float64),
                "planned": pl.Series([planned.get(name) for name in names], dtype=pl.Int64),
            }
        ).with_columns(
            duration_s=pl.lit(load.duration_s if load else None, pl.Float64),
            started_at=pl.lit(began_at, schemas.TIME),
        )

    def _balanced(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add what follows from the counts; a script's starts are not known."""
        count, is_planned = pl.col("requests"), pl.col("planned").is_not_null()
        started = pl.when(is_planned).then(pl.col("started"))
        missing = pl.col("planned") - pl.col("started") - pl.col("dropped")
        return frame.with_columns(
            started=started,
            unfinished=pl.when(is_planned).then(pl.max_horizontal(pl.col("started") - count, 0)),
            not_attempted=pl.max_horizontal(missing, pl.when(is_planned).then(0)),
            succeeded=count - pl.col("failed"),
            success_rate=pl.when(count > 0).then(1 - pl.col("failed") / count),
        ).with_columns(achieved_rps=pl.col("started") / self._ran_s(frame))

    def _ran_s(self, frame: pl.DataFrame) -> pl.Series:
        """How long each function's load really ran, in seconds; null where not at all.

        A load that was cut short ran until its last sign of life, and for all that it attempted.
        """
        if not self.cut_short:
            return frame["duration_s"]
        attempted_s = (pl.col("started") + pl.col("dropped")) / pl.col("rate_rps")
        ran_s = pl.max_horizontal(attempted_s.fill_nan(None), self._lasted_s())
        ran_s = pl.min_horizontal(ran_s, "duration_s")
        return frame.select(pl.when(ran_s > 0).then(ran_s)).to_series()

    def _lasted_s(self) -> pl.Expr:
        """From the begin of each function's load to the last sign of life, in seconds."""
        last_ns = pl.concat([self.requests["timestamp"], self.attempts["at_ns"]]).max()
        if not isinstance(last_ns, int):
            return pl.lit(0.0)
        return (pl.lit(_time(last_ns)) - pl.col("started_at")).dt.total_microseconds() / 1e6

    def timeline(self) -> pl.DataFrame:
        """One row per function and second of the load, also without any request."""
        latency = pl.col("latency_ms").filter(~pl.col("failed"))
        measured = self.requests.group_by("function", "second").agg(
            requests=pl.len(),
            failed=pl.col("failed").sum(),
            latency_ms_p50=_quantile(latency, 50),
            latency_ms_p95=_quantile(latency, 95),
            latency_ms_max=latency.max(),
            late_ms_max=pl.col("late_ms").max(),
        )
        others = self.attempts.filter(~pl.col("has_request"))
        marks = others.group_by("function", "second").agg(
            dropped=pl.col("is_drop").sum(), unfinished=pl.col("is_drop").not_().sum()
        )
        keys = ["function", "second"]
        grid = pl.DataFrame({"function": pl.Series(self.functions, dtype=pl.String)}).join(
            pl.DataFrame({"second": pl.Series(self._seconds(), dtype=pl.Int64)}), how="cross"
        )
        counts = ["requests", "failed", "dropped", "unfinished"]
        return (
            grid.join(measured, on=keys, how="left", maintain_order="left")
            .join(marks, on=keys, how="left", maintain_order="left")
            .with_columns(pl.col(counts).fill_null(0).cast(pl.Int64))
            .with_columns(
                unfinished=pl.when(pl.lit(self.load is not None)).then(pl.col("unfinished"))
            )
        )

    def _seconds(self) -> list[int]:
        """All seconds: as long as planned, or until the last mark where it was cut short."""
        seen = {*self.requests["second"], *self.attempts["second"]}
        planned_s = self.load.duration_s if self.load and not self.cut_short else 0.0
        last = max([*seen, math.ceil(planned_s) - 1])
        # A clock that was set during the run must not become a frame of a billion rows.
        return list(range(last + 1)) if last < _LONGEST_S else sorted(seen)


def _second(at: str) -> pl.Expr:
    """The second that a request counts in: its planned one, or if it is late that of ``at``."""
    planned = pl.col("planned_ns")
    in_time = pl.col(at) - planned <= _IN_TIME_NS
    moment = pl.when(in_time).then(planned).otherwise(pl.col(at))
    return (moment - pl.col("begin_ns")) // _NS_PER_S


def _of_successful(name: str) -> dict[str, pl.Expr]:
    value = pl.col(name).filter(~pl.col("failed"))
    return {
        f"{name}_mean": value.mean(),
        f"{name}_min": value.min(),
        **{f"{name}_p{q}": _quantile(value, q) for q in _QUANTILES},
        f"{name}_max": value.max(),
    }


def _quantile(value: pl.Expr, percent: int) -> pl.Expr:
    return value.quantile(percent / 100, "linear")


def _time(nanoseconds: int) -> datetime:
    seconds, rest = divmod(nanoseconds, _NS_PER_S)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


def metrics_of(others: pl.DataFrame, scenarios: dict[str, str]) -> pl.DataFrame:
    """One row per scenario, function, metric, check, group and tags of a script's own metrics.

    An infinite value, which k6 takes from scripts, is counted and no more: no frame holds one.
    """
    if others.is_empty():
        return pl.DataFrame(schema=schemas.K6_METRICS)
    value = _finite(pl.col("metric_value"))
    return (
        named(others, scenarios)
        .group_by(
            "scenario",
            "function",
            pl.col("metric_name").alias("metric"),
            "check",
            "group",
            "tags",
            maintain_order=True,
        )
        .agg(
            samples=pl.len(),
            sum=pl.when(value.count() > 0).then(value.sum()),
            mean=value.mean(),
            min=value.min(),
            max=value.max(),
            p50=value.quantile(0.5, "linear"),
            p95=value.quantile(0.95, "linear"),
            last=value.last(),
        )
        .with_columns(_finite(pl.col(pl.Float64)))
    )


def _finite(value: pl.Expr) -> pl.Expr:
    return pl.when(value.is_finite()).then(value)
