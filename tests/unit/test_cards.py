"""The card of each object in a notebook: escaped, whole, without I/O, and never an error."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dfaas_lab import Function, Generator, Lab, Plan, Target, compare
from dfaas_lab.analysis.doubt import Doubt, Verdict
from dfaas_lab.checks.finding import CheckFrame
from dfaas_lab.display.cards import _BACKGROUNDS
from dfaas_lab.errors import ConfigError, TaskFailed
from dfaas_lab.provision.report import ProvisionReport, TaskRow
from dfaas_lab.run import Run
from tests.unit.frames import summary
from tests.unit.stored_runs import write_run
from tests.unit.test_run_display import manifest

EVIL = "<script>alert(1)</script>"
LONG = "a-long-name-" * 8
VOID = {"br", "img"}


class Balanced(HTMLParser):
    """Fails at a tag that is not closed."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


class Measured:
    """A run as ``compare`` takes it."""

    def __init__(self, run_id: str, **changes: Any) -> None:
        self.id = run_id
        self.summary = summary([EVIL], iterations=5, run_id=run_id, **changes)


def lab(folder: Path) -> Lab:
    target = Target(
        f"{EVIL[:-9]} {LONG}"[:100].replace("/", ""),
        gateway="http://127.0.0.1:9",
        generator=Generator("127.0.0.1", name=EVIL),
        functions=[Function("figlet"), Function("env")],
    )
    return Lab([target], store=folder / "store")


def run(folder: Path) -> Run:
    write_run(str(folder / "store"), "r1", "2", str(folder))
    found = Run.load(folder / "store" / "runs" / "run_id=r1")
    manifest(found, label=EVIL)
    return Run.load(found.path)


def report(_: Path) -> ProvisionReport:
    rows = (TaskRow(EVIL, f"Install {LONG}", "changed", 1.5, ""), TaskRow("h", "t", "ok", 1.0, ""))
    return ProvisionReport(False, 2.5, 1, rows)


def check(_: Path) -> CheckFrame:
    columns = {"host": [EVIL, "b"], "check": ["k6", "disk"], "ok": [False, True]}
    more = {"detail": [LONG * 9, "fine"], "fix": ["Call provision().", ""]}
    return CheckFrame(columns | more)


MAKERS: dict[str, Callable[[Path], Any]] = {
    "lab": lab,
    "target": lambda folder: lab(folder).target,
    "generator": lambda folder: lab(folder).generator,
    "plan": lambda _: Plan(["env", LONG[:40].strip("-")], [10, 20], sizes=(1, 2)),
    "campaign": lambda folder: lab(folder).campaign(Plan(["env"], [1, 2]), label=EVIL),
    "report": report,
    "run": run,
    "verdict": lambda _: Verdict((Doubt("drops", EVIL, "0", LONG),), (LONG * 9,)),
    "comparison": lambda _: compare(Measured("a"), Measured("b", latency_ms_mean=50.0)),
    "check": check,
    "error": lambda _: ConfigError(f"it cannot be: {EVIL}", hint=f"Do {LONG}."),
    "failure": lambda _: TaskFailed("no", host=EVIL, task="t", detail=LONG, hint=EVIL),
}
EACH = pytest.mark.parametrize("name", MAKERS)


def drawn(shown: Any) -> str:
    """The HTML that a notebook shows of it."""
    if isinstance(shown, Run):
        return str(shown._repr_mimebundle_()["text/html"])
    return str(shown._repr_html_())


@EACH
def test_text_is_escaped_and_every_tag_is_closed(name: str, tmp_path: Path) -> None:
    shown = drawn(MAKERS[name](tmp_path))
    assert "<script" not in shown
    Balanced(shown)
    if name != "plan":  # whose names are DNS labels
        assert html.escape("<script>") in shown


@EACH
def test_the_plain_form_is_one_line_without_control_characters(name: str, tmp_path: Path) -> None:
    plain = repr(MAKERS[name](tmp_path))
    assert plain.replace("\n", "").isprintable()
    if name not in ("run", "comparison", "check"):  # which are tables or sentences
        assert "\n" not in plain


@EACH
def test_nothing_is_cut_short(name: str, tmp_path: Path) -> None:
    shown = html.unescape(drawn(MAKERS[name](tmp_path)))
    assert "\u2026" not in shown
    assert "..." not in shown
    if name in ("lab", "target", "report", "verdict", "check", "error"):
        assert LONG[:60] in shown
    if name in ("verdict", "check"):
        assert LONG * 9 in shown


@EACH
def test_it_is_drawn_without_the_store(name: str, tmp_path: Path) -> None:
    shown = MAKERS[name](tmp_path)
    before = drawn(shown), repr(shown)
    shutil.rmtree(tmp_path)
    assert (drawn(shown), repr(shown)) == before


@EACH
def test_an_object_in_pieces_is_drawn_without_an_error(name: str, tmp_path: Path) -> None:
    kind: type[Any] = type(MAKERS[name](tmp_path))
    pieces = CheckFrame({"x": [1]}) if kind is CheckFrame else kind.__new__(kind)
    assert isinstance(repr(pieces), str)
    if kind is Run:
        assert isinstance(pieces._repr_mimebundle_(), dict)
    else:
        assert isinstance(pieces._repr_html_(), str | None)


def test_what_is_wrong_comes_first() -> None:
    verdict = drawn(MAKERS["verdict"](Path()))
    assert "DOUBTFUL" in verdict
    assert verdict.index("drops") < verdict.index("1 note")
    found = drawn(check(Path()))
    assert found.index("lacking") < found.index("Call provision().") < found.index("fine")
    late = Plan([Function("env"), Function("figlet", max_rate=5)], [1, 10])
    with pytest.warns(UserWarning, match="is in no load"):
        shown = Plan([Function("env"), Function("figlet", max_rate=5)], [10])._repr_html_() or ""
    assert shown.index("is in no load") < shown.index("rates (req/s)")
    assert "is in no load" not in (late._repr_html_() or "")


def test_a_verdict_says_that_certificates_were_not_checked() -> None:
    shown = Verdict(insecure=True)._repr_html_() or ""
    assert ">VALID</b>" in shown
    assert "insecure=True" in shown


@EACH
def test_colours_are_the_themes_or_have_a_contrast_of_4_5(name: str, tmp_path: Path) -> None:
    shown = drawn(MAKERS[name](tmp_path))
    own = re.findall(r"(?<![-\w])color:([^;\"]+)", shown)
    assert set(own) <= {"#fff", "var(--jp-ui-font-color1,inherit)"}
    grounds = set(re.findall(r"background:(#\w+)", shown))
    assert grounds <= set(_BACKGROUNDS.values())
    assert all(1.05 / (luminance(ground) + 0.05) >= 4.5 for ground in _BACKGROUNDS.values())


def luminance(colour: str) -> float:
    """WCAG 2.2's relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_a_frame_of_checks_is_a_frame_like_any_other() -> None:
    frame = check(Path())
    assert isinstance(frame.filter(pl.col("ok")), pl.DataFrame)
