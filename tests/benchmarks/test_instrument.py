"""How heavy the instrument is: k6 with our script and plan beside k6 with a bare script.

Both write the same CSV, have the same VUs (one for each request per second) and ask a server of
their own process, turn about. Only ratios are asserted, of medians of CPU time, which other work on
the machine changes little. To see where the time goes: ``k6 run --profiling-enabled --address
localhost:6565`` and ``go tool pprof http://localhost:6565/debug/pprof/profile``. What a VU holds is
the same in each try where the garbage is collected first: with ``--paused`` (VUs made) or
``--linger`` (the load has ended), ``/debug/pprof/heap?gc=1``. The peak depends on when Go collects.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dfaas_lab import Function
from dfaas_lab.k6.plan import SYSTEM_TAGS, K6Plan
from dfaas_lab.load import Load
from tests.embedded.logging_server import Behaviour, LoggingServer, logging_server

RATE = int(os.environ.get("DFAAS_LAB_BENCH_RATE", "1000"))
SECONDS = int(os.environ.get("DFAAS_LAB_BENCH_SECONDS", "8"))
ROUNDS = int(os.environ.get("DFAAS_LAB_BENCH_ROUNDS", "5"))
MOST_CPU, MOST_MEMORY, MOST_FOR_IDS = 1.2, 1.2, 1.2
TOO_MUCH, LEAST_RATE = 8, 0.95
_BARE = """
import http from "k6/http";
export const options = %s;
export default function () { http.get("%s/function/env"); }
"""


@dataclass(frozen=True)
class Cost:
    """What one k6 took."""

    cpu_s: float
    memory_mb: float
    requests: int


@pytest.fixture(scope="module")
def server() -> Iterator[LoggingServer]:
    with logging_server(env=Behaviour(), named=Behaviour(call_ids=True)) as server:
        yield server


def _bare(folder: Path, url: str) -> None:
    scenario = {"executor": "constant-arrival-rate", "rate": RATE, "duration": f"{SECONDS}s",
                "preAllocatedVUs": RATE, "maxVUs": RATE}  # fmt: skip
    options = {
        "scenarios": {"f0": scenario},
        "systemTags": SYSTEM_TAGS,
        "discardResponseBodies": True,
    }
    (folder / "script.js").write_text(_BARE % (json.dumps(options), url))


def _ours(folder: Path, url: str, function: str = "env") -> None:
    load = Load.of(RATE, duration=f"{SECONDS}s", functions=[Function(function)])
    files = K6Plan(load, url).files()
    plan = json.loads(files["plan.json"])
    plan["options"]["scenarios"]["f0"] |= {"preAllocatedVUs": RATE, "maxVUs": RATE}
    for name, content in (files | {"plan.json": json.dumps(plan).encode()}).items():
        (folder / name).write_bytes(content)


def _run(folder: Path) -> Cost:
    k6 = shutil.which("k6", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert k6
    process = subprocess.Popen(
        [k6, "run", "--quiet", "--no-usage-report", "--address", "", "--out",
         "csv=fileName=samples.csv,timeFormat=unix_nano", "script.js"],
        cwd=folder, env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    with (folder / "samples.csv").open() as lines:
        requests = sum(line.startswith("http_reqs,") for line in lines)
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, requests)


def test_our_script_weighs_little_more_than_a_bare_one(
    server: LoggingServer, tmp_path: Path
) -> None:
    costs: dict[str, list[Cost]] = {"bare": [], "ours": []}
    for number in range(ROUNDS):
        for name, write in (("bare", _bare), ("ours", _ours)):
            folder = tmp_path / f"{name}{number}"
            folder.mkdir()
            write(folder, server.url)
            costs[name].append(_run(folder))
            shutil.rmtree(folder)
    print(f"\n{RATE} requests/s for {SECONDS} s, medians of {ROUNDS}")
    print(f"{'':8}{'CPU s':>8}{'MB':>8}{'us a request':>14}{'requests':>10}")
    for name, all_ in costs.items():
        cpu_s = statistics.median(cost.cpu_s for cost in all_)
        memory_mb = statistics.median(cost.memory_mb for cost in all_)
        each_us = statistics.median(cost.cpu_s / cost.requests * 1e6 for cost in all_)
        requests = statistics.median(cost.requests for cost in all_)
        print(f"{name:8}{cpu_s:8.2f}{memory_mb:8.0f}{each_us:14.0f}{requests:10.0f}")
    pairs = list(zip(costs["ours"], costs["bare"], strict=True))
    # By request: a machine that is busy lets both drop some.
    cpu = statistics.median(
        (ours.cpu_s / ours.requests) / (bare.cpu_s / bare.requests) for ours, bare in pairs
    )
    memory = statistics.median(ours.memory_mb / bare.memory_mb for ours, bare in pairs)
    print(f"ours is {cpu:.2f} times the CPU and {memory:.2f} times the memory (median of pairs)")
    assert cpu <= MOST_CPU
    assert memory <= MOST_MEMORY


def test_call_ids_cost_k6_little(server: LoggingServer, tmp_path: Path) -> None:
    """What it takes to note of each answer its call id and the function's time."""
    pairs = []
    for number in range(ROUNDS):
        costs = []
        for function in ("env", "named"):
            folder = tmp_path / f"{function}{number}"
            folder.mkdir()
            _ours(folder, server.url, function)
            cost = _run(folder)
            costs.append(cost.cpu_s / cost.requests)
            shutil.rmtree(folder)
        pairs.append(costs)
    ratio = statistics.median(named / bare for bare, named in pairs)
    print(f"\nanswers with a call id take {ratio:.2f} times the CPU (median of pairs)")
    assert ratio <= MOST_FOR_IDS


def test_the_highest_rate_is_nearly_that_of_a_bare_script(
    server: LoggingServer, tmp_path: Path
) -> None:
    """Both are asked for more than the machine can do, with the same VUs; what they send counts."""
    pairs = []
    for number in range(ROUNDS):
        sent = []
        for name, write in (("bare", _bare), ("ours", _ours)):
            folder = tmp_path / f"most-{name}{number}"
            folder.mkdir()
            write(folder, server.url)
            script = "script.js" if name == "bare" else "plan.json"
            text = (folder / script).read_text()
            (folder / script).write_text(_faster(text, TOO_MUCH))
            sent.append(_run(folder).requests)
            shutil.rmtree(folder)
        pairs.append(sent)
    ratio = statistics.median(ours / bare for bare, ours in pairs)
    print(f"\nof {TOO_MUCH} times {RATE}/s: bare, ours sent {pairs}; ours {ratio:.2f} times")
    assert ratio >= LEAST_RATE


def _faster(options: str, times: int) -> str:
    """The same options for so many times the rate."""
    rate = str(RATE)
    for name in ('"rate": ', '"target": '):
        options = options.replace(f"{name}{rate},", f"{name}{RATE * times},")
        options = options.replace(f"{name}{rate}}}", f"{name}{RATE * times}}}")
    return options
