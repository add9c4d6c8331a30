"""A node's CPU of a run, as Prometheus scraped it, against the kernel's own counters.

The kernel is read twenty times a second, and compared over the seconds from the first to the last
scrape inside the load.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from dfaas_lab import Lab
from dfaas_lab.analysis.node_metrics import node_means
from dfaas_lab.execution.node_metrics import node_metrics_of
from dfaas_lab.local import binaries, start
from dfaas_lab.local.as_lab import _targets

MOST_APART = 0.03  # of a core
LOAD_S = {1.0: 8, 5.0: 22}


def busy_s() -> float:
    """The seconds that processors worked, where waiting for a disk is no work."""
    first = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, first)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


@contextmanager
def watched() -> Iterator[list[tuple[float, float]]]:
    """Note moments and the processors' work until the block ends."""
    seen: list[tuple[float, float]] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            seen.append((time.time(), busy_s()))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("interval_s", LOAD_S)
def test_the_nodes_cpu_is_the_kernels(tmp_path: Path, interval_s: float) -> None:
    if binaries.find() is None:
        pytest.skip("no prometheus here, and none could be fetched")
    with (
        start(monitoring=True, scrape_interval_s=interval_s) as local,
        Lab(_targets(local, frozenset()), store=tmp_path) as lab,
    ):
        lab.provision(progress=False)
        collector = node_metrics_of(lab.target._session)
        assert collector is not None
        while not collector.prometheus.scraped("up", start=time.time() - 60, end=time.time()):
            time.sleep(0.2)  # it scrapes nothing for its first seconds
        with watched() as seen:
            duration = f"{LOAD_S[interval_s]}s"
            run = lab.target.run_k6(load={"env": 20}, duration=duration, progress=False)
        cores = run.node_metrics.filter(metric="cpu_cores")
        end = cores["time"].max().timestamp()  # type: ignore[union-attr]
        (node,) = collector.prometheus.scraped('up{job="node"}', start=end - 60, end=end + 0.001)
    began = run.requests["started_at"].min().timestamp()  # type: ignore[union-attr]
    begin = min(at for at, _ in node.points if at >= began)
    moments, work = np.array(seen).T
    spent_s = np.interp(end, moments, work) - np.interp(begin, moments, work)
    expected, found = spent_s / (end - begin), node_means(cores)["cpu_cores"]
    print(
        f"\nscraped every {interval_s:g} s: {found:.3f} cores, by the kernel {expected:.3f}, "
        f"over {end - begin:.1f} s"
    )
    assert cores["time"].diff().max().total_seconds() == pytest.approx(interval_s, abs=0.1)  # type: ignore[union-attr]
    assert abs(found - expected) <= MOST_APART
