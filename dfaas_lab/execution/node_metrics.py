"""Asks a target's Prometheus for a window of time: that of a load, or now."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from dfaas_lab.analysis.scrapes import Increase, Window
from dfaas_lab.clock import Skew
from dfaas_lab.services.queries import queries
from dfaas_lab.services.target_metrics import WindowMetrics, metrics_of_windows

if TYPE_CHECKING:
    from dfaas_lab.execution.part import TargetSession
    from dfaas_lab.services.prometheus import Prometheus
    from dfaas_lab.services.queries import Queries

_TIMEOUT_S = 5.0
_SCRAPE_S = 0.2
_SAME_CLOCK_S = 0.1
_LONGEST_WAIT_S = 0.5
_POLL_S = 0.02


@dataclass(frozen=True)
class LoadMetrics:
    """What was measured over one load.

    Args:
        frame: ``time, metric, function, instance, value, reason``.
        requests: How many requests the gateway counted, by function; empty where two scrapes are
            missing.
        slack_s: How far these moments may be off those of the load.
    """

    frame: pl.DataFrame
    requests: Mapping[str, Sequence[Increase]]
    slack_s: float


@dataclass(frozen=True)
class NodeMetrics:
    """Where the metrics of a target come from.

    ``generator_skew`` tells how far the generator's clock, which times the load, is ahead of ours.
    """

    target: str
    prometheus: Prometheus
    queries: Queries
    functions: Sequence[str]
    generator_skew: Callable[[], Skew | None] = lambda: None

    def between(self, start: datetime, end: datetime) -> pl.DataFrame:
        """Ask for a window: ``time, metric, function, instance, value, reason``.

        Raises:
            MetricsError: Prometheus does not answer, or refuses a question.
        """
        with self.prometheus.kept_open(timeout_s=_TIMEOUT_S):
            return self._ask([Window(start.timestamp(), end.timestamp())])[0].frame

    def of_loads(self, loads: Sequence[Window]) -> list[LoadMetrics]:
        """Ask for windows by the generator's clock, which the times in the answers are by, too.

        Each selector is asked for once. The scrapes are waited for that may be on their way, half
        a second at most.

        Raises:
            MetricsError: Prometheus does not answer, or refuses a question.
        """
        with self.prometheus.kept_open(timeout_s=_TIMEOUT_S):
            ahead = self._ahead()
            # Two clocks that may be the same are taken for the same.
            shift_s = ahead.seconds if abs(ahead.seconds) > _unsure_s(ahead) else 0.0
            windows = [_shifted(one, shift_s) for one in loads]
            self._wait_until_scraped(max(window.end for window in windows))
            found = self._ask(windows)
        shift = timedelta(seconds=shift_s)
        return [
            LoadMetrics(
                one.frame.with_columns(pl.col("time") - shift),
                {
                    name: [Increase(_shifted(x.window, -shift_s), x.value) for x in some]
                    for name, some in one.requests.items()
                },
                _unsure_s(ahead) + one.scrape_s,
            )
            for one in found
        ]

    def _ask(self, windows: Sequence[Window]) -> list[WindowMetrics]:
        return metrics_of_windows(
            self.prometheus, windows, queries=self.queries, functions=self.functions
        )

    def _ahead(self) -> Skew:
        """How far Prometheus's clock is ahead of the generator's; 0 where that cannot be told."""
        generator = self.generator_skew()
        return Skew(0.0, 0.0) if generator is None else self.prometheus.clock_skew() - generator

    def _wait_until_scraped(self, end: float) -> None:
        """Wait for the scrapes before ``end``, by Prometheus's clock, but not for long."""
        until = time.monotonic() + _LONGEST_WAIT_S
        while due := self.prometheus.scrape_is_due(datetime.fromtimestamp(end, UTC)):
            if time.monotonic() > until:
                return
            time.sleep(_POLL_S)
        if due is None:
            time.sleep(_SCRAPE_S)

    def now(self) -> pl.DataFrame:
        """The latest state: the last rate of each counter, the last sample of each gauge.

        Raises:
            MetricsError: Prometheus does not answer, or refuses a question.
        """
        end = datetime.now(UTC)
        interval_s = self.prometheus.scrape_interval_s() or 15.0
        frame = self.between(end - timedelta(seconds=2.5 * interval_s), end)
        return frame.group_by("metric", "function", "instance", maintain_order=True).tail(1)


def _unsure_s(ahead: Skew) -> float:
    return max(ahead.uncertainty_s, _SAME_CLOCK_S)


def _shifted(window: Window, by_s: float) -> Window:
    return Window(window.start + by_s, window.end + by_s)


def node_metrics_of(target: TargetSession) -> NodeMetrics | None:
    """What collects a target's metrics; None where it has no Prometheus."""
    prometheus = target.services()[1]
    if prometheus is None:
        return None
    names = [function.name for function in target.functions]
    asked = queries(target.queries, names)
    return NodeMetrics(target.name, prometheus, asked, names, target.generator.clock_skew)
