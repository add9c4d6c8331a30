"""Converts k6's samples to the frames of one iteration: requests, timeline, summary.

It knows the columns and what they mean. ``samples`` reads the file; the store keeps the frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from dfaas_lab import schemas
from dfaas_lab.k6.aggregates import Counted, metrics_of
from dfaas_lab.k6.repeats import repeats_of
from dfaas_lab.k6.requests import named, requests_of, time_of
from dfaas_lab.k6.sample_file import damage_told
from dfaas_lab.k6.samples import read_samples
from dfaas_lab.k6.schedule import Schedule
from dfaas_lab.k6.script_columns import (
    with_script_columns,
    with_tags,
    without_script_columns,
)
from dfaas_lab.load import Load
from dfaas_lab.secret_values import SecretValues
from dfaas_lab.status import COMPLETE


@dataclass(frozen=True)
class Frames:
    """What was measured, as in the contract; ``k6_metrics`` holds a script's own metrics.

    ``k6_metrics`` has one row per scenario, function tag, metric, check, group and set of tags:
    ``samples`` (how many values), ``sum``, ``mean`` (of a check: the share that passed), ``min``,
    ``max``, ``p50``, ``p95`` and ``last``. Which of these means something depends on the metric's
    type, which k6's samples do not tell: a counter's total is ``sum``, a gauge's value ``last``.
    """

    summary: pl.DataFrame
    requests: pl.DataFrame
    timeline: pl.DataFrame
    k6_metrics: pl.DataFrame

    @classmethod
    def empty(cls) -> Frames:
        """Frames with all columns and no row."""
        all_ = (schemas.SUMMARY, schemas.REQUESTS, schemas.TIMELINE, schemas.K6_METRICS)
        return cls(*(pl.DataFrame(schema=schema) for schema in all_))

    def hiding(self, secrets: SecretValues) -> Frames:
        """The same without secret values, which tags and names of a script may hold."""
        if not secrets:
            return self
        parts = (self.summary, self.requests, self.timeline, self.k6_metrics)
        return Frames(*(_hidden(frame, secrets) for frame in parts))


def read(
    samples: Path,
    *,
    run_id: str,
    target: str,
    iteration: int,
    load: Load | None,
    scenarios: Mapping[str, str],
    started_at: datetime | None,
    status: str,
) -> Frames:
    """Read what k6 wrote in one iteration.

    Quantiles are those of successful requests, by linear interpolation (Hyndman-Fan 7, as k6
    does). ``summary.started_at`` is when the function's load began, on the generator's clock;
    ``second`` is counted from it. A request counts in the second that it was planned for; one that
    was sent more than 10 ms late counts in the second in which it was sent.

    Args:
        samples: Path of k6's CSV file.
        run_id: The run's id, for the column of that name.
        target: The target's name.
        iteration: The iteration's number, from 1.
        load: What was asked; None for a custom script.
        scenarios: Function name by k6 scenario (``f0``). A scenario that is not in it takes its
            name from the tag ``function``, or is its own name; what ``setup()`` and ``teardown()``
            of a script asked for, which has none, is called ``setup`` and ``teardown``.
        started_at: When the iteration began, used only where nothing was recorded.
        status: The iteration's status, for the summary.

    Raises:
        ResultsUnreadable: The file is missing, damaged, or not k6's.
    """
    with damage_told(samples):
        read_ = read_samples(samples)
        names = dict(scenarios)
        events = named(read_.events, names)
        requests = requests_of(read_, names)
        requests = without_script_columns(requests) if load else with_script_columns(requests)
        others = without_script_columns(read_.others) if load else with_tags(read_.others)
        schedule = Schedule.of(requests, events, load) if load else Schedule.none(requests, events)
        counted = Counted.of(schedule, load, started_at, cut_short=status not in COMPLETE)
        requests = schedule.requests.with_columns(
            started_at=time_of(pl.col("sent_ns")), planned_at=time_of(pl.col("planned_ns"))
        )
        metrics = (metrics_of(others, names), repeats_of(read_, names, load))
        key = [
            pl.lit(run_id, pl.String).alias("run_id"),
            pl.lit(target, pl.String).alias("target"),
            pl.lit(iteration, pl.Int64).alias("iteration"),
        ]
        summary = counted.summary().with_columns(
            status=pl.lit(status, pl.String),
            gateway_count=None,  # not k6's to know
            gateway_difference=None,
        )
        return Frames(
            _shaped(summary.with_columns(key), schemas.SUMMARY),
            _shaped(requests.sort("started_at", "row").with_columns(key), schemas.REQUESTS),
            _shaped(counted.timeline().with_columns(key), schemas.TIMELINE),
            pl.concat(_shaped(part.with_columns(key), schemas.K6_METRICS) for part in metrics),
        )


def _hidden(frame: pl.DataFrame, secrets: SecretValues) -> pl.DataFrame:
    names = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    for name in set(names) - {"run_id", "target", "status"}:
        texts = frame[name].drop_nulls().unique()
        changed = {text: secrets.hidden_in(text) for text in texts}
        changed = {text: hidden for text, hidden in changed.items() if hidden != text}
        if changed:
            frame = frame.with_columns(pl.col(name).replace(changed))
    return frame


def _shaped(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
