"""A controller in a process of its own runs a campaign and is killed, again and again."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import polars as pl

from dfaas_lab.local import start
from tests.embedded.ready import make_ready

# One request at a time on each node, for 0.15 s: overloaded from some 7 requests/s on, with hardly
# any CPU. A request's parent is its node.
_LOCK = Path(tempfile.gettempdir()) / "dfaas-lab-test-narrow"
NARROW = {"narrow": ["sh", "-c", f"exec flock -n {_LOCK}.$PPID sleep 0.15"]}
RATES = (2, 20, 30)
ITERATIONS = 2
CONTROLLER = f"""
import sys
from dfaas_lab import Cooldown, Lab, Limits, Overload, Plan
with Lab.from_file(sys.argv[1]) as lab:
    lab.generator._session.marker()
    print("ready", flush=True)
    plan = Plan(["narrow", "env"], {RATES!r})
    lab.campaign(plan, iterations={ITERATIONS}, duration="1s", cooldown=Cooldown.fixed("0s"),
                 overload=Overload(cpu_fraction=None, memory_fraction=None),
                 limits=Limits(lease="3s"), label="killed", progress=False).run()
"""


def kill_campaigns(folder: Path, *, kills: int, seed: int) -> None:
    """Run a campaign without kills, and one that is killed; they must be the same set."""
    from dfaas_lab import Lab

    chance = random.Random(seed)
    with start(functions=NARROW) as lab:
        whole, killed = (_file(folder, lab.facts(), name) for name in ("whole", "killed"))
        with Lab.from_file(whole) as provisioned:
            make_ready(provisioned)
        whole_s = _measure(whole, kill_after_s=None)
        for _ in range(kills):
            # Each goes on a part of the way; the last ones may find it finished.
            _measure(killed, kill_after_s=chance.uniform(0, 1.6 * whole_s / kills))
        _measure(killed, kill_after_s=None)
        expected, found = _outcomes(whole), _outcomes(killed)
        assert found == expected
        assert any(skipped for *_, skipped in found)
        _check_once(killed)


def _file(folder: Path, facts: dict[str, object], name: str) -> Path:
    file = folder / f"{name}.json"
    file.write_text(json.dumps({**facts, "store": str(folder / name)}))
    return file


def _measure(file: Path, *, kill_after_s: float | None) -> float:
    command = [sys.executable, "-c", CONTROLLER, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as controller:
        try:
            assert controller.stdout
            assert controller.stdout.readline() == "ready\n"
            began = time.monotonic()
            with contextlib.suppress(subprocess.TimeoutExpired):
                assert controller.wait(kill_after_s) == 0
            return time.monotonic() - began
        finally:
            controller.kill()


def _outcomes(file: Path) -> list[tuple[str, int | None, str, bool, bool]]:
    from dfaas_lab import Lab

    with Lab.from_file(file) as lab:
        campaign = lab.campaign(label="killed")
        assert campaign.status == "finished"
        frame = campaign.outcomes.with_columns(pl.col("overloaded").fill_null(False))
    rows = frame.select("load_id", "iteration", "function", "overloaded", "skipped").rows()
    return sorted(rows, key=str)


def _check_once(file: Path) -> None:
    """Each iteration of each load was measured once, in whatever run."""
    from dfaas_lab import Lab, Run

    counts: Counter[tuple[str, int]] = Counter()
    with Lab.from_file(file) as lab:
        for run_id in lab.store.run_ids():
            folder = lab.store.find(run_id)
            entry = folder.read()["campaign"]
            summary = Run(folder).summary.filter(pl.col("status") == "ok")
            for number in summary["iteration"].unique():
                counts[entry["load_id"], entry["iterations"][number - 1]] += 1
    assert set(counts.values()) == {1}, counts
