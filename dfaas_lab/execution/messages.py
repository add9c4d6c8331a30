"""Messages about a run: its progress line, how it ended, and what an interrupt says.

It reads what is stored. Where that cannot be read, the line is shorter; nothing is raised.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import polars as pl

from dfaas_lab.display import words
from dfaas_lab.errors import DfaasLabError, Interrupted
from dfaas_lab.run import Run
from dfaas_lab.status import OPEN

if TYPE_CHECKING:
    from dfaas_lab.k6.live import LiveNumbers
    from dfaas_lab.spec.run_spec import RunSpec

log = logging.getLogger("dfaas_lab")


def so_far(found: LiveNumbers | None) -> list[str]:
    """Return an iteration so far: what comes in, how slow, and what goes wrong.

    >>> from dfaas_lab.k6.live import LiveNumbers
    >>> so_far(LiveNumbers(rate_rps=19.7, p50_ms=4.81, p95_ms=86.0, failed=3, dropped=0))
    ['20/s', '3 failed', 'p50 4.8 ms', 'p95 86 ms']
    """
    if found is None or found.rate_rps is None:
        return []
    return [
        f"{found.rate_rps:.{0 if found.rate_rps >= 9.95 else 1}f}/s",
        *([f"{found.failed:,} failed"] if found.failed else []),
        *([f"{found.dropped:,} dropped"] if found.dropped else []),
        *([f"p50 {words.latency(found.p50_ms)}"] if found.p50_ms is not None else []),
        *([f"p95 {words.latency(found.p95_ms)}"] if found.p95_ms is not None else []),
    ]


def end_line(run: Run, target: str, spec: RunSpec) -> str:
    """Return what was measured on one target: load, requests, failures, p95.

    The requests and failures are those of all its iterations, the p95 that of all successful
    requests, pooled.
    """
    try:
        return " ".join(f"\u00b7 {part}" for part in [asked(spec), *_measured(run, target)])
    except Exception:  # it only tells: whoever reads the frames finds out
        log.debug("the end of a run could not be told", exc_info=True)
        return f"\u00b7 {asked(spec)}"


def asked(spec: RunSpec) -> str:
    """Return what was asked of a target, in a few words: ``3 x 3 s at 20/s``."""
    load = spec.plan.load
    of_what = f"at {words.rates(load.rates)}" if load else f"of {spec.plan.script_name}"
    return f"{spec.iterations} \u00d7 {words.span(spec.plan.duration_s)} {of_what}"


def _measured(run: Run, target: str) -> list[str]:
    summary = run.summary.filter(pl.col("target") == target)
    requests, failed, dropped = (
        int(summary[name].sum()) for name in ("requests", "failed", "dropped")
    )
    said = [words.count(requests, "request")]
    if failed:
        said.append(f"{words.share(failed, requests)} failed")
    if dropped:
        said.append(f"{dropped:,} dropped")
    good = run.requests.filter((pl.col("target") == target) & ~pl.col("failed"))
    p95 = good["latency_ms"].quantile(0.95, interpolation="linear")
    return said if p95 is None else [*said, f"p95 {words.latency(p95)}{_own(run, target)}"]


def _own(run: Run, target: str) -> str:
    """How much of the p95 may be the generator's own, where that is more than a tenth."""
    budget = run.error_budget.filter(target=target, number="latency_ms_p95")
    own_ms = budget.filter("marked")["instrument_ms"].max()
    if not isinstance(own_ms, float):
        return ""
    return f" (up to {words.latency(own_ms)} may be the generator's own)"


def interrupted(run: Run) -> Interrupted:
    """Return the interrupt that goes on when k6 has ended: it says what was kept, and where."""
    if run.status in OPEN:
        return Interrupted(
            f"the generator was left. lab.attach({run.id!r}) fetches what was measured.", run=run
        )
    measured = "nothing was measured"
    with contextlib.suppress(DfaasLabError, OSError):
        summary = run.summary
        if not summary.is_empty():
            iterations = summary.select("target", "iteration").n_unique()
            measured = (
                f"{words.count(int(summary['requests'].sum()), 'request')} of "
                f"{words.count(iterations, 'iteration')} are kept"
            )
    return Interrupted(
        f"k6 was ended; {measured}.\nThe run {run.id} is target.last_run, and in {run.path}",
        run=run,
    )


def add_attach_hint(error: BaseException, run: Run) -> None:
    """Name ``lab.attach`` in the error of a run whose k6 may go on, or whose results are there."""
    call = f"lab.attach({run.id!r})"
    if run.status not in OPEN or call in str(error):
        return
    said = f"k6 may be running there: {call} follows it and fetches what it measures."
    if isinstance(error, DfaasLabError):
        error.hint = f"{error.hint}\n{said}".strip()
    else:
        error.add_note(said)
