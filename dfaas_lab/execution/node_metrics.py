"""Collects what the target's Prometheus measured of an iteration, and stores it beside it.

It never ends a run: what could not be asked is null, with the reason.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from dfaas_lab.errors import DfaasLabError
from dfaas_lab.schemas import NODE_METRICS
from dfaas_lab.services.queries import queries
from dfaas_lab.services.target_metrics import target_metrics
from dfaas_lab.status import COMPLETE
from dfaas_lab.store.files import replace_file
from dfaas_lab.store.parquet import packed

if TYPE_CHECKING:
    from dfaas_lab.clock import Skew
    from dfaas_lab.execution.part import TargetSession
    from dfaas_lab.services.prometheus import Prometheus
    from dfaas_lab.services.queries import Queries

log = logging.getLogger("dfaas_lab")

_TIMEOUT_S = 5.0
_SCRAPE_S = 0.2
_SAME_CLOCK_S = 0.1
_LONGEST_WAIT_S = 0.5


@dataclass(frozen=True)
class NodeMetrics:
    """Where the metrics of a target come from.

    Args:
        target: The target's name.
        prometheus: Its Prometheus.
        queries: What is asked, by metric.
        functions: The names of its functions.
        generator_skew: How far the generator's clock, which times the load, is ahead of ours; None
            where that is not known.
    """

    target: str
    prometheus: Prometheus
    queries: Queries
    functions: Sequence[str]
    generator_skew: Callable[[], Skew | None] = lambda: None

    def collect(self, part: Path, iteration: int) -> None:
        """Store the metrics of a stored iteration in its folder; it has them once.

        Args:
            part: The iteration's folder (of this target).
            iteration: Its number.
        """
        path = part / "node_metrics.parquet"
        try:
            if part.is_dir() and not path.exists():
                replace_file(path, packed(self._measured(part, iteration)))
        except Exception as error:  # evidence on the side never ends a run, whatever it is
            log.warning("%s: the metrics of iteration %d: %s", self.target, iteration, error)

    def between(self, start: datetime, end: datetime) -> pl.DataFrame:
        """Ask for a window: ``time, metric, function, instance, value, reason``.

        Raises:
            MetricsError: Prometheus does not answer, or refuses a question.
        """
        with self.prometheus.kept_open(timeout_s=_TIMEOUT_S):
            return target_metrics(
                self.prometheus, start, end, queries=self.queries, functions=self.functions
            )

    def of_load(self, start: datetime, end: datetime) -> pl.DataFrame:
        """Ask for a window by the generator's clock; the times in the frame are that clock's, too.

        Raises:
            MetricsError: Prometheus does not answer, or refuses a question.
        """
        generator = self.generator_skew()
        ahead = None if generator is None else self.prometheus.clock_skew() - generator
        if ahead is None or abs(ahead.seconds) <= max(ahead.uncertainty_s, _SAME_CLOCK_S):
            return self.between(start, end)
        shift = timedelta(seconds=ahead.seconds)
        return self.between(start + shift, end + shift).with_columns(pl.col("time") - shift)

    def now(self) -> pl.DataFrame:
        """The latest state: the last rate of each counter, the last sample of each gauge.

        Raises:
            MetricsError: Prometheus does not answer, or refuses a question.
        """
        end = datetime.now(UTC)
        interval_s = self.prometheus.scrape_interval_s() or 15.0
        frame = self.between(end - timedelta(seconds=2.5 * interval_s), end)
        return frame.group_by("metric", "function", "instance", maintain_order=True).tail(1)

    def _measured(self, part: Path, iteration: int) -> pl.DataFrame:
        window = load_window(part)
        if window is None:
            return self._nothing(iteration, None, "nothing was sent")
        # k6 ends half an interval before its load does, and a scrape takes a moment to be there.
        early_s = (window[1] - datetime.now(UTC)).total_seconds() + _SCRAPE_S
        time.sleep(min(max(early_s, 0.0), _LONGEST_WAIT_S))
        try:
            found = self.of_load(*window)
        except DfaasLabError as error:
            return self._nothing(iteration, window[1], error.message)
        named = found.with_columns(
            pl.lit(self.target).alias("target"),
            pl.lit(iteration, dtype=pl.Int64).alias("iteration"),
        ).select(NODE_METRICS.names())
        missing = [metric for metric in self.queries if metric not in set(found["metric"])]
        absent = self._nothing(iteration, window[1], "Prometheus has no such series", missing)
        return pl.concat([named, absent])

    def _nothing(
        self,
        iteration: int,
        at: datetime | None,
        reason: str,
        metrics: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        names = self.queries if metrics is None else metrics
        rows = [(self.target, iteration, at, name, None, None, None, reason) for name in names]
        return pl.DataFrame(rows, schema=NODE_METRICS, orient="row")


def node_metrics_of(target: TargetSession) -> NodeMetrics | None:
    """What collects a target's metrics; None where it has no Prometheus."""
    prometheus = target.services()[1]
    if prometheus is None:
        return None
    names = [function.name for function in target.functions]
    asked = queries(target.queries, names)
    return NodeMetrics(target.name, prometheus, asked, names, target.generator.clock_skew)


def load_window(part: Path) -> tuple[datetime, datetime] | None:
    """From when until when an iteration's load was on: from its first request, as long as planned.

    One that ended early, or a script without a plan, ends with its last answer. None where nothing
    was sent.
    """
    summary = pl.read_parquet(part / "summary.parquet", glob=False, hive_partitioning=False)
    requests = pl.scan_parquet(part / "requests.parquet", glob=False, hive_partitioning=False)
    first, last = (
        requests.select(pl.col("started_at").min(), pl.col("ended_at").max()).collect().row(0)
    )
    if first is None:
        return None
    planned_s = summary["duration_s"].max()
    whole = summary["status"].is_in(COMPLETE).all()
    if isinstance(planned_s, float) and planned_s > 0:
        planned = first + timedelta(seconds=planned_s)
        return first, planned if whole else min(planned, max(last, first))
    return first, max(last, first)
