"""What showing a run live costs the controller: processor time of its kernel, in percent of a core.

200 requests a second for 12 s, shown (bar, chart, samples) and not, in turn; the figure at the end,
which takes a moment once, is not part of it.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from dfaas_lab.local import start
from tests.embedded.kernel import Kernel

ROUNDS = 3
OPEN = """
import time
from dfaas_lab import Lab
lab = Lab.from_file("lab.json")
lab.provision()
import dfaas_lab.widgets.warm_up as warm
warm.warm_up().join()
"""
MEASURE = """
def cost(**shown):
    handle = lab.target.start_k6(load={"env": 200}, duration="12s", **shown)
    if not shown:
        handle._ipython_display_()
    time.sleep(3)
    began = time.process_time()
    time.sleep(8)
    used = time.process_time() - began
    assert handle.going
    handle.wait()
    return used / 8 * 100
"""


@pytest.mark.timeout(300)
def test_it_takes_less_than_two_percent_of_a_core(tmp_path: Path) -> None:
    with start() as local:
        (tmp_path / "lab.json").write_text(json.dumps(local.facts()))
        with Kernel(tmp_path) as kernel:
            kernel.run(OPEN)
            kernel.run(MEASURE)
            kernel.run("cost()")  # what is loaded once
            code = f"print([(cost(), cost(progress=False)) for _ in range({ROUNDS})])"
            rounds = eval(kernel.run(code, within_s=200).printed.splitlines()[-1])
    extra = [shown - silent for shown, silent in rounds]
    print(f"\nshown, silent (% of a core): {[(round(a, 2), round(b, 2)) for a, b in rounds]}")
    print(f"more by showing: {statistics.median(extra):.2f} % of a core")
    assert statistics.median(extra) < 2
