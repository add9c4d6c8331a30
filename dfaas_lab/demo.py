"""The demo: measures the embedded lab and writes a report.

It only uses what a notebook would; it prints nothing itself.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from dfaas_lab.charts import rates_chart
from dfaas_lab.display import words
from dfaas_lab.display.html_report import Section, write_report
from dfaas_lab.display.origin import date_of, machines_of, versions_of
from dfaas_lab.display.tables import run_html, summary_text
from dfaas_lab.errors import ConfigError
from dfaas_lab.lab import Lab

if TYPE_CHECKING:
    from dfaas_lab.run import Run

# One replica that takes one request at a time, 50 ms each, and refuses who waits for 0.5 s: it is
# full at 20 requests/s, whatever the machine. The rates are what two busy cores serve with ease.
FULL_AT_RPS = 20
_SERVICE = ("sleep", str(1 / FULL_AT_RPS))
FUNCTIONS = ("figlet", "resize")
RATES_RPS = (4, 8, 16, 32)
ITERATIONS = 3
DURATION = "2s"


@dataclass(frozen=True)
class Demonstration:
    """What the demonstration measured, and where its report is."""

    runs: tuple[Run, ...]
    report: Path

    @property
    def valid(self) -> bool:
        """Whether every run was valid."""
        return all(run.verdict.valid for run in self.runs)


def demonstrate(folder: Path, *, store: Path, say: Callable[[str], None]) -> Demonstration:
    """Measure two functions at several rates on the embedded lab and write a report.

    Raises:
        ConfigError: Nothing can be written there; nothing was measured.
    """
    _make(folder)
    began = time.monotonic()
    say(f"Starting a lab on this machine: {', '.join(FUNCTIONS)} behind a gateway, k6 over SSH")
    with Lab.local(store=store, functions={"resize": _one_at_a_time(folder)}) as lab:
        lab.provision()
        runs = tuple(
            lab.target.run_k6(
                ITERATIONS,
                load={"figlet": rate / 2, "resize": rate},
                duration=DURATION,
                label=f"demo at {rate}/s",
            )
            for rate in RATES_RPS
        )
    done = Demonstration(runs, _report(folder, runs))
    say("")
    say(summary_text(_summaries(runs)))
    say("")
    say(f"resize has one replica, for {FULL_AT_RPS}/s: at {RATES_RPS[-1]}/s it is full.")
    say(f"Verdict: {_word(runs)}")
    for line in _doubts(runs):
        say(f"- {line}")
    say(f"Report:  {done.report.resolve()}")
    say(f"Results: {store.resolve()}")
    say(f"Done in {time.monotonic() - began:.0f} s")
    return done


def _one_at_a_time(folder: Path) -> tuple[str, ...]:
    """The command of a function that waits for a lock of ours, and fails after half a second."""
    return ("flock", "--timeout", "0.5", str(folder.resolve()), *_SERVICE)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"no report can be written into {folder}: {error.strerror or error}",
            hint="Name another folder: --report FOLDER.",
        ) from error


def _report(folder: Path, runs: tuple[Run, ...]) -> Path:
    summaries, last = _summaries(runs), runs[-1]
    what = f"{len(runs)} rates, {ITERATIONS} iterations of {DURATION} each"
    rates = run_html(_word(runs), summaries, title=what, doubts=_doubts(runs))
    return write_report(
        folder,
        "dfaas_lab: a demonstration",
        [
            Section("Rates", rates, rates_chart(runs), summaries),
            Section(
                f"One run, at {RATES_RPS[-1]} requests per second",
                last._html(),
                last.chart(),
                last.timeline,
            ),
            Section("Requests", frame=pl.concat([run.requests for run in runs])),
        ],
        lead=_sentence(summaries),
        facts=_facts(last),
    )


def _sentence(summaries: pl.DataFrame) -> str:
    """What the reader sees: the slow function at the lowest rate and at the highest."""
    resize = summaries.filter(function=FUNCTIONS[1])
    said = []
    for rate in (RATES_RPS[0], RATES_RPS[-1]):
        rows = resize.filter(rate_rps=rate)
        p95 = rows["latency_ms_p95"].median()
        slow = words.latency(p95 if isinstance(p95, float) else None)
        failed = words.share(int(rows["failed"].sum()), int(rows["requests"].sum()))
        said.append(f"a p95 of {slow} at {rate} requests/s, where {failed} failed")
    what = f"{FUNCTIONS[1]}, one replica for {FULL_AT_RPS} requests/s"
    return f"{what}, has {said[0]}, and {said[1]}."


def _facts(run: Run) -> dict[str, str]:
    return {
        "measured": date_of(run.provenance),
        "generator and node": "; ".join(machines_of(run.provenance)),
        "versions": versions_of(run.provenance),
        "figures": "points are iterations; latencies are those of successful requests",
    }


def _summaries(runs: tuple[Run, ...]) -> pl.DataFrame:
    return pl.concat([run.summary for run in runs])


def _word(runs: tuple[Run, ...]) -> str:
    return "VALID" if all(run.verdict.valid for run in runs) else "DOUBTFUL"


def _doubts(runs: tuple[Run, ...]) -> list[str]:
    """A line for each doubt of each run, then once for each thing to do."""
    doubts = [(run.label, doubt) for run in runs for doubt in run.verdict.doubts]
    fixes = dict.fromkeys(doubt.fix for _, doubt in doubts if doubt.fix)
    return [*(f"{label}: {doubt}" for label, doubt in doubts), *fixes]
