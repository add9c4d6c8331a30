"""The line that stays of a run: all its iterations, what failed, and the p95 of what succeeded."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dfaas_lab import Function
from dfaas_lab.execution.messages import end_line
from dfaas_lab.k6.results import read
from dfaas_lab.load import Load
from dfaas_lab.progress import Step
from dfaas_lab.run import Run
from dfaas_lab.spec.run_spec import RunSpec
from dfaas_lab.store import Store
from dfaas_lab.widgets.lines import end
from tests.unit.sample_files import T0, V1, Request, rows_of, text_of

MS, S = 10**6, 10**9
FIGLET = Function("figlet")
SPEC = RunSpec.of("http://h", [FIGLET], 3, load=20, duration="3s")


def stored(folder: Path, *, failing: int, waiting_ms: float) -> Run:
    """Store 3 iterations of 60 requests each, of which so many fail."""
    run = Store(folder / "store").create_run("r1", {"targets": ["node1"]})
    load = Load.of({"figlet": 20}, duration="3s", functions=[FIGLET])
    for iteration in (1, 2, 3):
        requests = [
            Request(
                vu=n + 1, end_ns=T0 + n * S // 20, waiting=round(waiting_ms * MS),
                failed=n < failing, status=500 if n < failing else 200,
            )
            for n in range(60)
        ]  # fmt: skip
        samples = folder / f"{iteration}.csv"
        rows = [row for request in requests for row in rows_of(request, random.Random(1))]
        samples.write_text(text_of(rows, V1))
        frames = read(
            samples, run_id="r1", target="node1", iteration=iteration, load=load,
            scenarios={"f0": "figlet"}, started_at=None, status="ok",
        )  # fmt: skip
        run.write_iteration(iteration, frames, {}, target="node1")
    return Run(run)


@pytest.mark.parametrize(
    ("failing", "waiting_ms", "said"),
    [
        (0, 11.7, "180 requests \u00b7 p95 12 ms"),
        (42, 9_999.7, "180 requests \u00b7 70 % failed \u00b7 p95 10 s"),
        (60, 5.0, "180 requests \u00b7 100 % failed"),
    ],
    ids=["all well", "most failed", "all failed"],
)
def test_the_line_says_what_all_iterations_measured(
    tmp_path: Path, failing: int, waiting_ms: float, said: str
) -> None:
    run = stored(tmp_path, failing=failing, waiting_ms=waiting_ms)
    line = end(Step("node1", text=end_line(run, "node1", SPEC), state="ok"))
    assert line == f"\u2713 node1 \u00b7 3 \u00d7 3 s at 20/s \u00b7 {said}"


def test_a_run_whose_files_are_gone_has_a_shorter_line(tmp_path: Path) -> None:
    run = Store(tmp_path).create_run("r1", {"targets": ["node1"]})
    for path in sorted(run.path.rglob("*"), reverse=True):
        path.unlink()
    run.path.rmdir()
    assert end_line(Run(run), "node1", SPEC) == "\u00b7 3 \u00d7 3 s at 20/s"
