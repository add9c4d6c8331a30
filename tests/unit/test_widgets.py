"""Faces draw what they are given; in a real kernel where they are for notebooks."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from dfaas_lab.k6.live import LiveSeries
from dfaas_lab.progress import Shown, Step, draw_until
from dfaas_lab.widgets import (
    SafeView,
    SilentView,
    TerminalView,
    busy,
    chart_view,
    choose_view,
    is_watched,
)
from dfaas_lab.widgets.notebook import Bars

HALF = Step("run", 5, 10, "iteration 2 of 3")
DONE = Step("run", 10, 10, "3 iterations", "ok")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Full(io.StringIO):
    """A stream whose disk is full."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_no_progress_is_silence() -> None:
    assert isinstance(choose_view(False), SilentView)


def test_a_terminal_gets_one_line_written_over() -> None:
    stream = Terminal()
    view = TerminalView(stream)
    view.draw((HALF,))
    view.draw((Step("run", 6, 10, "iteration 2 of 3"),))
    assert "\n" not in stream.getvalue()
    assert "[##########..........] run: iteration 2 of 3" in stream.getvalue()
    view.close((DONE,))
    assert stream.getvalue().endswith("\r\x1b[K\u2713 run: 3 iterations\n")


def test_what_did_not_change_is_not_written_again() -> None:
    stream = Terminal()
    view = TerminalView(stream)
    view.draw((HALF,))
    once = stream.getvalue()
    view.draw((HALF,))
    assert stream.getvalue() == once


def test_a_file_gets_a_line_for_each_end_only() -> None:
    stream = io.StringIO()
    view = TerminalView(stream)
    for _ in range(5):
        view.draw((HALF,))
    assert stream.getvalue() == ""
    view.draw((DONE, Step("rest")))
    view.close((DONE, Step("rest", state="interrupted")))
    assert stream.getvalue() == "\u2713 run: 3 iterations\n\u25a0 rest\n"


def test_each_of_several_steps_has_the_line_for_a_while() -> None:
    stream, now = Terminal(), [0.0]
    view = TerminalView(stream, clock=lambda: now[0])
    for second in range(6):
        now[0] = float(second)
        view.draw((Step("node1", 1, 4, "a"), Step("done", state="ok"), Step("node2", 2, 4, "b")))
    shown = re.findall(r"node\d: \w", stream.getvalue())
    assert shown == ["node1: a", "node2: b", "node1: a"]


def test_a_tasks_name_cannot_steer_the_terminal() -> None:
    stream = Terminal()
    view = TerminalView(stream)
    view.draw((Step("\x1b[2J\r\nroot#", text="\x07"),))
    shown = stream.getvalue().removeprefix("\r\x1b[K")
    assert shown.isprintable()


def test_a_real_terminal_is_recognised() -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as stream:
        choose_view(stream=stream).draw((HALF,))
        shown = os.read(leader, 1000).decode()
    os.close(leader)
    assert "iteration 2 of 3" in shown


def test_a_face_that_cannot_draw_falls_silent() -> None:
    view = choose_view(stream=Full())
    view.draw((DONE,))
    view.close((DONE,))
    SafeView(TerminalView(io.StringIO())).draw((DONE,))


SHOW = """
from dfaas_lab.k6.live import LiveSeries
from dfaas_lab.progress import Shown, Step, draw_until
from dfaas_lab.widgets import choose_view
view = choose_view()
view.draw((Step("provision", 1, 4, "<b>task</b> $x$"),))
view.draw((Step("provision", 2, 4, "<b>task</b> $x$"), Step("run")))
"""
CLOSE = """
done = Step("provision", 4, 4, "4 tasks", "ok")
view.close((done, Step("run", text="<i>", state="failed")))
"""
HIDE = "import sys; sys.modules['ipywidgets'] = None"


def execute(cells: list[str], folder: Path) -> nbformat.NotebookNode:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(
        book, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    return client.execute()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    return execute([SHOW + CLOSE, SHOW], tmp_path_factory.mktemp("notebook"))


def test_a_notebook_shows_a_bar_for_each_step(shown: nbformat.NotebookNode) -> None:
    (output,) = shown.cells[1].outputs
    assert "application/vnd.jupyter.widget-view+json" in output.data
    widgets = shown.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"].values()
    bars = [one["state"] for one in widgets if one["model_name"] == "FloatProgressModel"]
    assert {bar["value"] for bar in bars} == {0.0, 0.5}
    words = [one["state"]["value"] for one in widgets if one["model_name"] == "HTMLModel"]
    assert "provision: &lt;b&gt;task&lt;/b&gt; $x$" in words


def test_what_is_saved_can_be_read_without_widgets(shown: nbformat.NotebookNode) -> None:
    (output,) = shown.cells[0].outputs
    assert "application/vnd.jupyter.widget-view+json" not in output.data
    assert output.data["text/html"] == "\u2713 provision: 4 tasks<br>\u2717 run: &lt;i&gt;"
    assert output.data["text/plain"] == "\u2713 provision: 4 tasks\n\u2717 run: <i>"


def test_without_ipywidgets_a_notebook_has_the_text(tmp_path: Path) -> None:
    book = execute([HIDE, SHOW, CLOSE], tmp_path)
    assert "&lt;i&gt;" in book.cells[1].outputs[0].data["text/html"]


def test_bars_are_drawn_less_than_ten_times_a_second() -> None:
    drawn: list[float] = []
    waited: list[float] = []

    class View(SilentView):
        def draw(self, steps: tuple[Step, ...]) -> None:
            drawn.append(sum(waited))

    def ended(within_s: float) -> bool:
        waited.append(within_s)
        return sum(waited) > 3

    draw_until(ended, SafeView(View()), lambda: (HALF,))
    assert 15 < len(drawn) < 30


def test_what_costs_more_is_drawn_less_often() -> None:
    now, drawn = [0.0], []

    class View(SilentView):
        def draw(self, steps: tuple[Step, ...]) -> None:
            drawn.append(now[0])

    view = SafeView(View(), every_s=1.0, clock=lambda: now[0])
    for tenth in range(31):
        now[0] = tenth / 10
        view.draw((HALF,))
    assert drawn == [0.0, 1.0, 2.0, 3.0]


def test_stop_is_pressed_once(capsys: pytest.CaptureFixture[str]) -> None:
    stopped: list[bool] = []
    bars = Bars(lambda: stopped.append(True))
    bars.update((HALF,))
    assert bars.box.children[-1].children[-1] is bars.button
    bars.button.click()
    assert stopped == [True]
    assert bars.button.disabled
    assert bars.button.description == "Stopping"
    bars.update((HALF, Step("other")))
    assert [len(row.children) for row in bars.box.children] == [2, 2, 2]
    bars.close()


@pytest.mark.parametrize("stream", [None, object(), io.StringIO()], ids=["none", "odd", "closed"])
def test_without_standard_error_nothing_is_shown(
    stream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(stream, io.StringIO):
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    assert not is_watched(Shown())
    view = choose_view()
    view.draw((HALF,))
    view.close((DONE,))
    with busy("check", "looks at node1"):
        pass


def test_outside_of_a_notebook_there_is_no_chart() -> None:
    assert chart_view(Shown(chart=True), {"a": LiveSeries(1)}, dict, "r1") is None
    assert not is_watched(Shown(progress=False))


RUNS = """
from dfaas_lab.progress import Step
from dfaas_lab.widgets import choose_view
view = choose_view()
view.draw((Step("run", text="a", run_id="r1"),))
view.draw((Step("run", text="b", run_id="r2"),))
"""


def test_the_run_that_goes_on_now_is_the_one_that_can_be_attached_to(tmp_path: Path) -> None:
    text, _ = execute([RUNS], tmp_path).cells[0].outputs
    assert "lab.attach('r2')" in text.data["text/plain"]
    assert "r1" not in text.data["text/plain"]
