"""Kernel Interrupt and its kin in a real Jupyter kernel, on an embedded lab of another process."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dfaas_lab.local import LocalLab, start
from tests.embedded.k6_there import k6_there, wait_for_k6
from tests.embedded.kernel import Kernel

ENDS_WITHIN_S = 30.0  # half of what the load would have gone on for
BEGIN = """
import json
from dfaas_lab import Lab, Limits
lab = Lab.from_file("lab.json")
def told(run):
    print(json.dumps({"status": run.status, "rows": run.summary["status"].to_list(),
                      "requests": run.requests.height, "id": run.id}))
"""
MEASURE = 'run = lab.target.run_k6(load={"env": 5}, duration="60s")'


@pytest.fixture(scope="module")
def local() -> Iterator[LocalLab]:
    with start() as local:
        yield local


@pytest.fixture(scope="module")
def folder(local: LocalLab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "lab.json").write_text(json.dumps(local.facts()))
    return folder


@pytest.fixture(scope="module")
def kernel(folder: Path) -> Iterator[Kernel]:
    with Kernel(folder) as kernel:
        kernel.run(BEGIN)
        yield kernel


@pytest.fixture
def ready(kernel: Kernel) -> Kernel:
    """The kernel, on a generator that is ready."""
    kernel.run("lab.provision(progress=False)")
    return kernel


def _told(kernel: Kernel, code: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(kernel.run(code).printed.splitlines()[-1])
    return told


def _interrupt_when_k6_works(kernel: Kernel, local: LocalLab) -> None:
    (process,) = wait_for_k6(local.workspace_root, 1)
    # Its first samples: what was measured is to come home.
    samples = Path(process.cwd()) / "samples.csv"
    until = time.monotonic() + 30
    while not samples.exists() or b"http_reqs" not in samples.read_bytes():
        assert time.monotonic() < until, "k6 measures nothing"
        time.sleep(0.05)
    kernel.interrupt()


def test_an_interrupt_works_after_provision_in_the_same_cell(
    kernel: Kernel, local: LocalLab
) -> None:
    cell = kernel.begin(f"lab.provision()\n{MEASURE}")
    _interrupt_when_k6_works(kernel, local)
    ended = kernel.end(cell, ENDS_WITHIN_S)
    assert ended.error == "KeyboardInterrupt"
    assert ended.printed == ""  # no library's traceback beside it
    assert k6_there(local.workspace_root) == []
    told = _told(kernel, "told(lab.target.last_run)")
    assert told["status"] == "interrupted"
    assert set(told["rows"]) == {"interrupted"}
    assert told["requests"] > 0
    assert not any("<svg" in data.get("text/html", "") for data in ended.shown.values())
    assert [1 for data in ended.shown.values() if "image/png" in data] == [1]  # of what is there
    assert any("lab.attach('" in text for text in ended.with_mime("text/plain"))


@pytest.mark.slow
def test_a_chart_is_drawn_while_a_run_goes_on_and_ends_as_its_figure(ready: Kernel) -> None:
    cell = ready.run('run = lab.target.run_k6(2, load={"env": 20}, duration="3s")')
    drawn = [text for text in cell.with_mime("text/html") if "<svg" in text]
    assert len(set(drawn)) >= 3
    assert len(set(drawn)) <= 12  # about one a second
    assert max(map(len, drawn)) < 20_000
    (figure,) = (data for data in cell.shown.values() if "image/png" in data)
    assert base64.b64decode(figure["image/png"]).startswith(b"\x89PNG")
    assert "application/vnd.vegalite.v5+json" not in figure
    assert not any("<svg" in data.get("text/html", "") for data in cell.shown.values())
    words = [one["value"] for one in cell.widgets if isinstance(one.get("value"), str)]
    shape = (
        r"iteration \d/2 .*/s \u00b7 p50 .* ms \u00b7 p95 .* left \u00b7 .* requests \u00b7 run 2"
    )
    assert any(re.search(shape, one) for one in words), words
    assert any("iteration 2/2" in one for one in words)  # no time is left where it ends


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["exit 1 # %s", "sleep 60 # %s", "yes '9:vus,9,9,' # %s"])
def test_a_run_goes_on_where_its_samples_cannot_be_read_live(ready: Kernel, reader: str) -> None:
    ready.run(
        f"import dfaas_lab.k6.live_reader as own; kept = own._SCRIPT; own._SCRIPT = {reader!r}"
    )
    try:
        cell = ready.run('run = lab.target.run_k6(load={"env": 5}, duration="4s"); told(run)')
    finally:
        ready.run("own._SCRIPT = kept")
    told = json.loads(cell.printed.splitlines()[-1])
    assert (told["status"], told["requests"]) == ("ok", 20)
    assert [1 for data in cell.shown.values() if "image/png" in data] == [1]
    assert not any("<svg" in text for text in cell.with_mime("text/html"))


@pytest.mark.slow
def test_where_the_cell_shows_the_run_too_its_figure_is_there_once(ready: Kernel) -> None:
    cell = ready.run('run = lab.target.run_k6(load={"env": 5}, duration="1s"); run')
    assert [1 for data in cell.shown.values() if "image/png" in data] == [1]
    cell = ready.run('lab.target.run_k6(load={"env": 5}, duration="1s").chart()')
    assert [1 for data in cell.shown.values() if "image/png" in data] == [1]
    many = """for _ in range(2): lab.target.run_k6(load={"env": 5}, duration="1s")"""
    cell = ready.run(many)
    assert [1 for data in cell.shown.values() if "image/png" in data] == [1]  # of the last
    assert len([text for text in cell.with_mime("text/plain") if "\u2713 node1" in text]) == 2
    alone = ready.run('run = lab.target.run_k6(load={"env": 5}, duration="1s", chart=False)')
    assert alone.with_mime("image/png") == []
    quiet = ready.run('run = lab.target.run_k6(load={"env": 5}, duration="1s", progress=False)')
    assert quiet.displayed == []


def test_tab_offers_targets_and_functions_where_they_are_keys(kernel: Kernel) -> None:
    assert kernel.complete("lab.targets['") == ["node1"]
    offered = kernel.complete("lab.target.run_k6(2,\n    load={'env': 5, 'fi")
    assert [one.rstrip("'") for one in offered] == ["figlet"]


def test_the_same_kernel_measures_again_and_shows_it(kernel: Kernel) -> None:
    again = 'run = lab.target.run_k6(load={"env": 5}, duration="1s"); told(run)'
    assert _told(kernel, again)["status"] == "ok"
    shown = kernel.run("run")
    assert "p95 (ms)" in "".join(shown.with_mime("text/html"))
    assert base64.b64decode(shown.with_mime("image/png")[0]).startswith(b"\x89PNG")
    assert shown.with_mime("application/vnd.vegalite.v5+json")


def test_what_an_interrupt_left_is_shown_too(kernel: Kernel) -> None:
    shown = "".join(kernel.run("lab.store.runs()").with_mime("text/html"))
    assert "interrupted" in shown
    assert "ok" in shown


def test_a_run_that_was_started_is_stopped_from_another_cell(
    kernel: Kernel, local: LocalLab
) -> None:
    kernel.run('handle = lab.target.start_k6(load={"env": 5}, duration="60s")')
    wait_for_k6(local.workspace_root, 1)
    assert kernel.run("print(handle.done)").printed.strip() == "False"
    told = _told(kernel, "handle.stop()\ntold(handle.wait())")
    assert told["status"] == "interrupted"
    assert k6_there(local.workspace_root) == []


def test_the_stop_of_a_background_runs_widget_ends_it(ready: Kernel, local: LocalLab) -> None:
    start = 'handle = lab.target.start_k6(load={"env": 5}, duration="60s")\nhandle'
    cell = ready.run(start)
    assert cell.with_mime("application/vnd.jupyter.widget-view+json")
    assert "RUNNING" in "".join(str(one.get("value")) for one in cell.widgets)
    wait_for_k6(local.workspace_root, 1)
    said = ready.run("print(repr(handle), handle.run.verdict)").printed
    assert "running" in said
    assert "RUNNING" in said
    assert "DOUBTFUL" not in said
    ready.watch(cell, lambda cell: any("iteration 1/1" in str(w) for w in cell.widgets))
    ready.watch(cell, lambda cell: any("<svg" in str(d) for d in cell.shown.values()))
    places = set(cell.shown)
    ready.click(cell.comms["ButtonModel"])
    ready.watch(cell, lambda cell: any("\u25a0 node1" in str(d) for d in cell.shown.values()))
    assert k6_there(local.workspace_root) == []
    assert "Stopping" in "".join(str(one.get("description")) for one in cell.widgets)
    assert set(cell.shown) == places  # nothing was shown that began in no cell
    told = _told(ready, "told(handle.wait())")
    assert told["status"] == "interrupted"
    assert told["requests"] > 0
    ended = ready.run("handle")
    assert ended.with_mime("application/vnd.jupyter.widget-view+json") == []
    assert "ended" in ended.with_mime("text/plain")[0]


@pytest.mark.slow
def test_an_interrupt_of_provision_lets_it_be_done_again(kernel: Kernel) -> None:
    cell = kernel.begin("lab.provision(force=True)")
    until = time.monotonic() + 30
    while not any("ansible" in line for line in kernel.children()):
        assert time.monotonic() < until, "Ansible was not started"
        time.sleep(0.05)
    kernel.interrupt()
    assert kernel.end(cell, ENDS_WITHIN_S).error == "KeyboardInterrupt"
    assert not any("ansible" in line for line in kernel.children())
    kernel.run("assert lab.provision(force=True)")
    assert (
        _told(kernel, 'told(lab.target.run_k6(load={"env": 5}, duration="1s"))')["status"] == "ok"
    )


@pytest.mark.slow
def test_a_second_interrupt_leaves_at_once(kernel: Kernel, local: LocalLab) -> None:
    kernel.run("lab.provision()")
    cell = kernel.begin(MEASURE)
    (process,) = wait_for_k6(local.workspace_root, 1)
    process.suspend()  # it hears no signal: the first interrupt has to wait for it
    kernel.interrupt()
    time.sleep(1.5)
    assert process.is_running()
    kernel.interrupt()
    assert kernel.end(cell, ENDS_WITHIN_S).error == "KeyboardInterrupt"
    assert process.is_running()  # it was not waited for
    assert kernel.run("print('alive')").printed == "alive\n"
    wait_for_k6(local.workspace_root, 0)  # the generator's own supervisor kills it
    again = 'told(lab.target.run_k6(load={"env": 5}, duration="1s"))'
    assert _told(kernel, again)["status"] == "ok"


@pytest.mark.slow
def test_a_killed_kernel_leaves_no_k6_beyond_the_lease(folder: Path, local: LocalLab) -> None:
    with Kernel(folder) as kernel:
        kernel.run(BEGIN)
        kernel.run("lab.provision()")
        lease = ', limits=Limits(lease="4s"))'
        kernel.begin(MEASURE.replace(")", lease))
        wait_for_k6(local.workspace_root, 1)
        kernel.kill()
    assert wait_for_k6(local.workspace_root, 0) == []
    with Kernel(folder) as kernel:
        kernel.run(BEGIN)
        again = 'told(lab.target.run_k6(load={"env": 5}, duration="1s"))'
        assert _told(kernel, again)["status"] == "ok"
