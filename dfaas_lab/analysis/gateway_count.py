"""Compares how many requests the gateway counted with the rows of the load. Pure.

The gateway's counter is read when Prometheus scrapes it: what it counted is known between two
scrapes. The rest of the load is taken from its own rows, so that the number is one of the whole
load, and only what happened between the scrapes can differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from dfaas_lab.analysis.scrapes import Increase

# OpenFaaS counts no answer of this kind (no such function), or counts it later (queued).
_UNCOUNTED = (404, 202)


@dataclass(frozen=True)
class GatewayCount:
    """How many requests of a load the gateway had.

    ``difference`` is how many more than were started, or (negative) fewer than were answered.
    """

    requests: int
    difference: int


def gateway_count(
    rows: pl.DataFrame, unfinished: int, counted: Sequence[Increase], slack_s: float
) -> GatewayCount | None:
    """Compare what a gateway counted with the rows of one function and iteration.

    A request without an answer may have been counted or not. So may one that ended within
    ``slack_s`` of the first or the last scrape. Outside the scrapes one that was sent, and ran into
    its time limit, is taken for counted: gateways count a client that leaves.

    Args:
        rows: ``ended_s`` (seconds since 1970, by the clock of the scrapes), ``http_status`` and
            ``latency_ms`` (null where no connection was made).
        unfinished: How many requests have no row.
        counted: By how much the counter grew, for each gateway that has one.
        slack_s: How far the moments may be off.

    Returns:
        None where nothing was counted between two scrapes.
    """
    if not counted:
        return None
    total = round(sum(one.value for one in counted))
    starts = [one.window.start for one in counted]
    ends = [one.window.end for one in counted]
    ended = pl.col("ended_s")
    status = pl.col("http_status")
    sent = pl.col("latency_ms").is_not_null()
    answered = status.is_not_null() & ~status.is_in(_UNCOUNTED)
    sure = ended.is_between(max(starts) + slack_s, min(ends) - slack_s) & answered
    near = ended.is_between(min(starts) - slack_s, max(ends) + slack_s) | status.is_null()
    inside = ended.is_between(min(starts), max(ends))
    least, most, outside, all_answered = rows.select(
        least=sure.sum(),
        most=near.sum(),
        outside=(~inside & (answered | (status.is_null() & sent))).sum(),
        answered=answered.sum(),
    ).row(0)
    most += unfinished
    difference = max(total - most, 0) + min(total - least, 0)
    started = rows.height + unfinished
    known = min(max(outside + total, all_answered), started)
    return GatewayCount(known + difference, difference)
