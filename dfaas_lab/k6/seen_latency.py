"""How long requests kept their virtual users busy: the next iteration plans its VUs by it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl


def seen_latencies(requests: pl.DataFrame) -> dict[str, float]:
    """Return for each function the mean of its worst second, from sent to ended, in seconds.

    All requests count, also those that failed or ran into their time limit: each kept a VU. By
    Little's law a load needs its rate times this many VUs.

    Args:
        requests: ``function, started_at, ended_at`` of one iteration.
    """
    busy_s = (pl.col("ended_at") - pl.col("started_at")).dt.total_microseconds() / 1e6
    second = pl.col("started_at").dt.truncate("1s")
    worst = (
        requests.group_by("function", second)
        .agg(busy_s=busy_s.mean())
        .group_by("function")
        .agg(pl.col("busy_s").max())
        .drop_nulls()
    )
    return dict(worst.rows())


def kept(before: Mapping[str, float], seen: Mapping[str, float]) -> dict[str, float]:
    """What to expect after an iteration: what it showed, or half of what was expected before.

    >>> kept({"env": 8.0, "figlet": 1.0}, {"env": 0.5})
    {'env': 4.0, 'figlet': 1.0}
    """
    return {**before, **{name: max(x, before.get(name, 0.0) / 2) for name, x in seen.items()}}
