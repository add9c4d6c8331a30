"""Small runs to store, and a process that stores one and tells each iteration it has finished."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from dfaas_lab.k6.results import Frames, read
from dfaas_lab.load import Function, Load
from dfaas_lab.store import Store
from tests.unit.sample_files import T0, V1, Request, rows_of, text_of

LOAD = Load.of({"figlet": 10}, duration="1s", functions=[Function("figlet")])
SECOND = 10**9
WRITER = "import sys; from tests.unit.stored_runs import write_run; write_run(*sys.argv[1:])"


def frames_of(folder: Path, run_id: str, iteration: int, *, target: str = "mid") -> Frames:
    """Ten requests within a second."""
    samples = folder / f"{run_id}-{iteration}.csv"
    requests = [
        Request(
            vu=n + 1, end_ns=T0 + iteration * SECOND + n * SECOND // 10, waiting=(n + 1) * 10**6
        )
        for n in range(10)
    ]
    rows = [row for request in requests for row in rows_of(request, random.Random(iteration))]
    samples.write_text(text_of(rows, V1))
    return read(
        samples, run_id=run_id, target=target, iteration=iteration, load=LOAD,
        scenarios={"f0": "figlet"}, started_at=None, status="ok",
    )  # fmt: skip


def write_run(root: str, run_id: str, iterations: str, folder: str) -> None:
    """Store a run, and print a line before it begins and after each iteration."""
    made = [frames_of(Path(folder), run_id, n) for n in range(1, int(iterations) + 1)]
    print("ready", flush=True)
    run = Store(root).create_run(run_id, {"label": "written by a process"})
    for number, frames in enumerate(made, start=1):
        run.write_iteration(
            number, frames, {"k6.log": b"log\n" * 200, "host.csv": b"a,b\n1,2\n"}, target="mid"
        )
        run.update(finished=number)
        print(number, flush=True)
    run.update(status="ok")


def start_writer(root: Path, run_id: str, iterations: int, folder: Path) -> subprocess.Popen[str]:
    """Start a process that stores a run, and return when it is about to begin."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), run_id, str(iterations), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert writer.stdout
    assert writer.stdout.readline() == "ready\n"
    return writer
