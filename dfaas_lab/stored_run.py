"""Computes what a run tells beside its frames: its status, its verdict, the generator's load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import polars as pl

from dfaas_lab.analysis.doubt import Verdict
from dfaas_lab.analysis.run_doubts import answers_of
from dfaas_lab.analysis.verdict import Completion, Evidence, verdict_of
from dfaas_lab.k6.generator_load import HostLoad, IterationOnHost, read_log
from dfaas_lab.regular_file import read_regular, text_of_regular
from dfaas_lab.remote.workspace import LEFT_OUT
from dfaas_lab.spec.manifest import iterations_of, orders_of
from dfaas_lab.status import COMPLETE
from dfaas_lab.store import RunFolder
from dfaas_lab.store.folder import WRITTEN

if TYPE_CHECKING:
    from dfaas_lab.run import Run


@dataclass(frozen=True)
class StoredRun:
    """A run's folder."""

    folder: RunFolder

    def status(self, said: str) -> str:
        """Return the status of the run as its folder bears it out.

        Args:
            said: What its controller or its manifest says. That all went well is believed where
                every iteration that was asked for is there; otherwise it ``failed``.
        """
        if said not in COMPLETE:
            return said
        stored = Counter(target for _, target, _ in self.folder.named_parts())
        asked = iterations_of(self.folder.read())
        return said if all(stored[name] >= number for name, number in asked.items()) else "failed"

    def script_files(self) -> pl.DataFrame:
        """Return the files that a script wrote: ``target, iteration, name, size, path``."""
        schema = {"target": pl.String, "iteration": pl.Int64, "name": pl.String, "size": pl.Int64}
        rows: list[tuple[object, ...]] = [
            (target, iteration, unquote(file.name), file.stat().st_size, str(file))
            for iteration, target, part in self.folder.named_parts()
            for file in sorted((part / WRITTEN).glob("*"))
        ]
        rows += [
            (target, iteration, name, None, None)
            for iteration, target, part in self.folder.named_parts()
            for name in _lines(part / LEFT_OUT)
        ]
        return pl.DataFrame(rows, schema=schema | {"path": pl.String}, orient="row")

    def generator_loads(self, summary: pl.DataFrame) -> list[IterationOnHost]:
        """Return what the generator did in each iteration; ``summary`` says when its load began."""
        found = []
        for iteration, target, part in self.folder.named_parts():
            mine = summary.filter(target=target, iteration=iteration)
            load = HostLoad.read(part / "host.csv", _load_from_s(mine, part))
            found.append(IterationOnHost(target, iteration, load, *read_log(part / "k6.log")))
        return found

    def generator_metrics(self, loads: Iterable[IterationOnHost]) -> pl.DataFrame:
        """Return what the generator did as a frame: a row per target and iteration."""
        rows = [
            {"target": one.target, "iteration": one.iteration, **asdict(one.load)} for one in loads
        ]
        measured = {
            one.name: pl.Int64 if "int" in str(one.type) else pl.Float64 for one in fields(HostLoad)
        }
        return pl.DataFrame(rows, {"target": pl.String, "iteration": pl.Int64, **measured})

    def verdict(
        self, manifest: Mapping[str, Any], run: Run, loads: Iterable[IterationOnHost]
    ) -> Verdict:
        """Return the verdict, without the remarks that take longer."""
        parts = self.folder.named_parts()
        # An iteration whose samples could not be read does not count.
        stored = Counter(target for _, target, part in parts if not (part / "samples.csv").exists())
        # What is missing is told by itself.
        completion = Completion(str(manifest.get("status")), iterations_of(manifest), stored)
        evidence = Evidence(run.timeline, answers_of(run.requests.lazy()), loads)
        found = verdict_of(run.summary, run.k6_metrics, evidence, completion)
        orders = orders_of(manifest).values()
        return replace(found, insecure=any(order.get("insecure") is True for order in orders))


def _load_from_s(summary: pl.DataFrame, part: Path) -> float:
    """How long after the begin of an iteration its load began, in seconds; 0: not known."""
    starts = summary["started_at"].drop_nulls().sort()
    try:
        began_s = float(read_regular(part / "began", most_bytes=100))
    except (OSError, ValueError):
        return 0.0
    return max(starts[0].timestamp() - began_s, 0.0) if len(starts) else 0.0


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        return []
    with text_of_regular(path) as lines:
        return lines.read(1 << 20).splitlines()
