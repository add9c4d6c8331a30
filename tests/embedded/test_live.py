"""What can be seen of a run while it goes on: k6's log lines, and progress on both views."""

from __future__ import annotations

import html
import json
import logging
import queue
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfaas_lab import Lab
from dfaas_lab.local import LocalLab, start
from dfaas_lab.progress import Step
from tests.embedded.kernel import Kernel
from tests.embedded.ready import make_ready

TALK = """
import { sleep } from "k6";
export const options = { vus: 1, iterations: 6 };
export default function () {
  console.log(`word ${__ITER} <b>\\u00e8</b>`);
  sleep(0.5);
}
"""
BOTH_FACES = """
import io, os
os.environ["COLUMNS"] = "200"  # a narrow terminal cuts a line
from dfaas_lab import Lab
from dfaas_lab.widgets import NotebookView, TerminalView
class Terminal(io.StringIO):
    def isatty(self):
        return True
class Both:
    def __init__(self, *views):
        self.views = views
    def draw(self, steps):
        [view.draw(steps) for view in self.views]
    def close(self, steps):
        [view.close(steps) for view in self.views]
lab = Lab.from_file("lab.json")
lab.provision(progress=False)
shown = Terminal()
handle = lab.target.start_k6(2, load={"env": 5}, duration="2s")
run = handle.wait(Both(TerminalView(shown), NotebookView()))
"""


@pytest.fixture(scope="module")
def local() -> Iterator[LocalLab]:
    with start() as local:
        yield local


@pytest.fixture(scope="module")
def file(local: LocalLab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("notebook") / "lab.json"
    file.write_text(json.dumps(local.facts()))
    return file


@pytest.fixture(scope="module")
def lab(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab.from_file(file) as lab:
        lab.target.store = tmp_path_factory.mktemp("store")
        make_ready(lab)
        yield lab


def test_the_log_of_k6_can_be_read_while_it_runs(
    lab: Lab, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = tmp_path / "talk.js"
    script.write_text(TALK)
    heard: queue.Queue[str] = queue.Queue()
    with caplog.at_level(logging.INFO, "dfaas_lab.k6"):
        handle = lab.target.start_k6(script=script, live=heard.put)
        first = heard.get(timeout=60)
        while "word" not in first:
            first = heard.get(timeout=60)
        assert not handle.done, "the first word came only after the end"
        assert "word 0 <b>\u00e8</b>" in first
        assert handle.wait().status == "ok"
    lines = [first, *(heard.get() for _ in range(heard.qsize()))]
    assert re.findall(r"word (\d)", "\n".join(lines)) == list("012345")
    assert [message for message in caplog.messages if "word" in message] == [
        line for line in lines if "word" in line
    ]
    assert "word 5" in (handle.run.path / "iteration=1" / "target=node1" / "k6.log").read_text()


def test_what_a_listener_raises_is_no_failure_of_the_run(lab: Lab, tmp_path: Path) -> None:
    script = tmp_path / "talk.js"
    script.write_text(TALK)
    heard: list[str] = []

    def listen(line: str) -> None:
        heard.append(line)
        raise ValueError(line)

    run = lab.target.run_k6(2, script=script, live=listen, progress=False)
    assert run.status == "ok"
    assert len(heard) == 1  # in none of the iterations again


def test_progress_moves_while_k6_runs(lab: Lab) -> None:
    handle = lab.target.start_k6(2, load={"env": 5}, duration="3s")
    seen: list[Step] = []
    while not handle.done:
        seen.extend(step for step in handle.progress.snapshot() if [step] != seen[-1:])
        time.sleep(0.05)
    assert handle.wait().status == "ok"
    assert {step.label for step in seen} == {lab.target.name}
    fractions = [step.fraction for step in seen]
    assert fractions == sorted(fractions)
    assert len({fraction for fraction in fractions if 0 < fraction < 1}) >= 2
    assert {found for step in seen for found in re.findall(r"iteration (\d)/2", step.text)} == {
        "1",
        "2",
    }
    (last,) = handle.progress.snapshot()
    assert (last.state, last.fraction) == ("ok", 1.0)


def test_a_notebook_and_a_terminal_show_the_same(file: Path) -> None:
    with Kernel(file.parent) as kernel:
        ran = kernel.run(BOTH_FACES)
        said = kernel.run("import json; print(json.dumps(shown.getvalue()))").printed
    terminal = json.loads(said)
    shown = [state["value"] for state in ran.widgets if "value" in state]
    words = {html.unescape(value) for value in shown if isinstance(value, str)}
    sentences = {word for word in words if "iteration" in word}
    assert len(sentences) >= 3
    assert [one for one in sentences if one not in terminal] == [], terminal
    values = [value for value in shown if isinstance(value, float)]
    assert values == sorted(values)
    assert len({value for value in values if 0 < value < 1}) >= 2
    (last,) = {text for text in ran.with_mime("text/plain") if "\u2713" in text}
    assert terminal.endswith(f"{last}\n")
