"""Collects the node's metrics of each iteration and stores them beside it.

Prometheus keeps what it scraped: it is asked between two loads at most once a minute, and at the
run's end for all that is left, so that an iteration does not wait for a scrape and no load is
disturbed. It never ends a run: what could not be asked is null, with the reason.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from dfaas_lab.analysis.scrapes import Window
from dfaas_lab.errors import DfaasLabError
from dfaas_lab.execution.gateway_counts import store_gateway_counts
from dfaas_lab.retry import uninterrupted
from dfaas_lab.schemas import NODE_METRICS, REQUESTS, SUMMARY
from dfaas_lab.status import COMPLETE
from dfaas_lab.store import parquet
from dfaas_lab.store.files import replace_file

if TYPE_CHECKING:
    from dfaas_lab.execution.node_metrics import LoadMetrics, NodeMetrics

log = logging.getLogger("dfaas_lab")

_FILE = "node_metrics.parquet"
_COUNT = "gateway_count"
_ABSENT = "Prometheus has no such series"
_Row = tuple[str, str | None, int | None, str]  # metric, function, value, reason
_OFTEN_S = 60.0
# What is asked for at once: the scrapes between two loads that are far apart are of no use.
_LONGEST_SPAN_S = 120.0
_AT_ONCE = 8


@dataclass(frozen=True)
class _Load:
    """A stored iteration; its window is None where nothing was sent."""

    iteration: int
    part: Path
    window: Window | None


class MetricsCollection:
    """The metrics of a run's iterations on one target.

    Args:
        source: Where they come from; None where the target has no Prometheus.
        at_once: Whether somebody looks at an iteration's metrics before the next begins.
    """

    def __init__(self, source: NodeMetrics | None, *, at_once: bool) -> None:
        self._source = source
        self._at_once = at_once
        self._left: list[tuple[int, Path]] = []
        self._asked_at = time.monotonic()
        self._silent = False

    def add(self, iteration: int, part: Path) -> None:
        """Collect the metrics of a stored iteration, now or later; it has them once."""
        if self._source is None or not part.is_dir() or (part / _FILE).exists():
            return
        try:
            # The newest is left for later: its last scrape may not be stored yet.
            if self._left and not self._silent and time.monotonic() - self._asked_at > _OFTEN_S:
                self._collect(self._source, final=False)
        except Exception as error:  # evidence on the side never ends a run, whatever it is
            log.warning("%s: the metrics of the node: %s", self._source.target, error)
        self._left.append((iteration, part))
        if self._at_once:
            self.finish()

    def finish(self) -> None:
        """Store the metrics of all iterations that were added."""
        if self._source is None or not self._left:
            return
        try:
            self._collect(self._source, final=True)
        except Exception as error:  # as above
            log.warning("%s: the metrics of the node: %s", self._source.target, error)

    def _collect(self, source: NodeMetrics, *, final: bool) -> None:
        """Ask for what is left. After a first silence nothing is asked again before the end."""
        self._asked_at = time.monotonic()
        left, self._left = self._left, []
        silent = ""
        for loads in _together([load for one in left for load in _windowed(*one)]):
            try:
                if not silent:
                    _ask(source, loads)
                    continue
            except DfaasLabError as error:
                silent = error.message
            if final:
                for load in loads:
                    _store(load, _nothing(source, load, silent))
            else:
                self._silent = True
                self._left += [(load.iteration, load.part) for load in loads]


def _windowed(iteration: int, part: Path) -> Iterator[_Load]:
    try:
        yield _Load(iteration, part, load_window(part))
    except Exception as error:  # as above
        log.warning("the metrics of iteration %d: %s", iteration, error)


@uninterrupted
def load_window(part: Path) -> Window | None:
    """From when until when an iteration's load was on: from its first request, as long as planned.

    One that ended early, or a script without a plan, ends with its last answer. None where nothing
    was sent.
    """
    summary = parquet.read([part / "summary.parquet"], SUMMARY)
    requests = parquet.scan([part / "requests.parquet"], REQUESTS)
    ends = requests.select(pl.col("started_at").min(), pl.col("ended_at").max()).collect()
    first, last = ends.row(0)
    if first is None:
        return None
    end = max(last, first)
    planned_s = summary["duration_s"].max()
    if isinstance(planned_s, float) and planned_s > 0:
        planned = first + timedelta(seconds=planned_s)
        end = planned if summary["status"].is_in(COMPLETE).all() else min(planned, end)
    return Window(first.timestamp(), end.timestamp())


def _together(loads: Sequence[_Load]) -> Iterator[list[_Load]]:
    """Split loads, in order, into those that are asked for at once."""
    group: list[_Load] = []
    since = 0.0
    for load in loads:
        window = load.window
        if group and window is not None and since and window.end - since > _LONGEST_SPAN_S:
            yield group
            group, since = [], 0.0
        group.append(load)
        since = since or (window.start if window is not None else 0.0)
    if group:
        yield group


@uninterrupted
def _ask(source: NodeMetrics, loads: Sequence[_Load]) -> None:
    windows = [load.window for load in loads if load.window is not None]
    found = iter(source.of_loads(windows) if windows else ())
    measured = [None if load.window is None else next(found) for load in loads]
    # Side by side, for each waits for the disk.
    with ThreadPoolExecutor(_AT_ONCE, "dfaas-lab-metrics") as threads:
        list(threads.map(functools.partial(_store_measured, source), loads, measured))


def _store_measured(source: NodeMetrics, load: _Load, found: LoadMetrics | None) -> None:
    if found is None:
        _store(load, _nothing(source, load, "nothing was sent"))
    else:
        _store(load, _told(source, load, found))


def _store(load: _Load, frame: pl.DataFrame) -> None:
    replace_file(load.part / _FILE, parquet.packed(frame))


def _told(source: NodeMetrics, load: _Load, found: LoadMetrics) -> pl.DataFrame:
    """What was measured, what the gateway counted, and why something is missing."""
    named = found.frame.with_columns(
        target=pl.lit(source.target), iteration=pl.lit(load.iteration, pl.Int64)
    )
    reasons = dict(named.drop_nulls(["function", "reason"]).select("function", "reason").rows())
    missing = [name for name in source.queries if name not in set(named["metric"])]
    rows: list[_Row] = [(name, None, None, _ABSENT) for name in missing]
    for function, count in store_gateway_counts(load.part, found).items():
        rows.append((_COUNT, function, count, reasons.get(function, _ABSENT)))
    return pl.concat([named.select(NODE_METRICS.names()), _frame(source, load, rows)])


def _nothing(source: NodeMetrics, load: _Load, reason: str) -> pl.DataFrame:
    names = [*source.queries, _COUNT]
    return _frame(source, load, [(name, None, None, reason) for name in names])


@uninterrupted
def _frame(source: NodeMetrics, load: _Load, rows: Sequence[_Row]) -> pl.DataFrame:
    """The reason stands where there is no value."""
    at = None if load.window is None else datetime.fromtimestamp(load.window.end, UTC)
    whole = [
        (source.target, load.iteration, at, metric, function, None, value,
         reason if value is None else None)
        for metric, function, value, reason in rows
    ]  # fmt: skip
    return pl.DataFrame(whole, schema=NODE_METRICS, orient="row")
