"""A controller in a process of its own runs a campaign and is killed, again and again."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import count
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
# More on one campaign come so soon one after the other that none finds it overloaded.
KILLS_OF_ONE = 3
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


@dataclass(frozen=True)
class Hit:
    """What was stored of a campaign when its controller was killed."""

    loads: int
    overloaded: int
    skipped: int


def kill_campaigns(folder: Path, *, kills: int, seed: int) -> list[Hit]:
    """Run a campaign without kills, and others that are killed; they must be the same set.

    Args:
        folder: Where the stores are made.
        kills: How many kills must find a campaign that was begun and is not finished.
        seed: Of the moments.

    Returns:
        What each of these kills found.
    """
    from dfaas_lab import Lab

    chance = random.Random(seed)
    hits: list[Hit] = []
    with start(functions=NARROW) as lab:
        whole = _file(folder, lab.facts(), "whole")
        with Lab.from_file(whole) as provisioned:
            make_ready(provisioned)
        whole_s = _measure(whole, kill_after_s=None)
        expected = _outcomes(whole)
        assert any(skipped for *_, skipped in expected)
        for number in count(1):
            killed = _file(folder, lab.facts(), f"killed{number}")
            most = min(KILLS_OF_ONE, kills - len(hits))
            hits += _killed(killed, most, whole_s, chance)
            assert _outcomes(killed) == expected
            _check_once(killed)
            if len(hits) == kills:
                return hits
    raise AssertionError


def _killed(file: Path, most: int, whole_s: float, chance: random.Random) -> list[Hit]:
    """Run a campaign to its end, with so many kills on its way at most."""
    hits: list[Hit] = []
    while len(hits) < most:
        if _measure(file, kill_after_s=chance.uniform(0, 1.6 * whole_s / most)) is None:
            hits += _found(file)
        else:
            return hits
    assert _measure(file, kill_after_s=None)
    return hits


def _found(file: Path) -> list[Hit]:
    """What is stored of a campaign; nothing where it is not begun, or finished."""
    from dfaas_lab import Lab
    from dfaas_lab.errors import DfaasLabError

    with Lab.from_file(file) as lab:
        try:
            campaign = lab.campaign(label="killed")
        except DfaasLabError:  # it was not begun
            return []
        frame = campaign.outcomes.unique("load_id")
        if campaign.status == "finished":
            return []
    overloaded = frame["overloaded"].fill_null(False).sum()
    return [Hit(frame.height, int(overloaded), int(frame["skipped"].sum()))]


def _file(folder: Path, facts: dict[str, object], name: str) -> Path:
    file = folder / f"{name}.json"
    file.write_text(json.dumps({**facts, "store": str(folder / name)}))
    return file


def _measure(file: Path, *, kill_after_s: float | None) -> float | None:
    """Run the controller; how long it took to the end, None where it was killed before."""
    command = [sys.executable, "-c", CONTROLLER, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as controller:
        try:
            assert controller.stdout
            assert controller.stdout.readline() == "ready\n"
            began = time.monotonic()
            assert controller.wait(kill_after_s) == 0
            return time.monotonic() - began
        except subprocess.TimeoutExpired:
            return None
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
