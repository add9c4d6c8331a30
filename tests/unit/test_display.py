"""What a notebook is given to show."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from typing import Any

import altair as alt
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dfaas_lab.charts import colours, run_chart
from dfaas_lab.display.bundles import chart_bundle, mimebundle, png, spec_of
from dfaas_lab.display.tables import run_html, summary_text
from tests.unit.frames import summary, timeline

PNG = b"\x89PNG\r\n\x1a\n"
TAGS = {"div", "b", "table", "thead", "tbody", "tr", "th", "td", "p", "small"}


class Page(HTMLParser):
    """The tags, attributes and text of a piece of HTML."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data + "|"


def figure() -> alt.TopLevelMixin:
    return run_chart(summary(), timeline())


def broken() -> Any:
    raise RuntimeError("cannot be drawn")


def test_a_run_shows_its_verdict_and_its_numbers_with_units() -> None:
    page = Page(run_html("VALID", summary(), title="3 iterations"))
    for words in ("VALID", "3 iterations", "figlet", "p50 (ms)", "asked (req/s)", "4.10"):
        assert words in page.text


def test_what_may_be_the_generators_own_is_marked() -> None:
    frame = summary(["figlet"], iterations=3)
    marks = [(frame["target"][0], 2, "figlet", "latency_ms_p50")]
    page = Page(run_html("VALID", frame, marks=marks))
    assert page.text.count("|~") == 2  # the number, and what it means
    assert f"|~{frame['latency_ms_p50'][1]:.2f}|" in page.text
    many = summary_text(summary(["figlet"], iterations=50), marks)
    assert many.splitlines()[1].count("~") == 1
    assert "~" not in summary_text(summary(["figlet"], iterations=3))


def test_null_is_a_dash_and_never_a_number() -> None:
    page = Page(run_html("VALID", summary(["f"], iterations=1, latency_ms_p50=None)))
    assert "|\u2013|" in page.text
    assert "None" not in page.text
    assert "nan" not in page.text.lower()


def test_almost_all_is_not_all() -> None:
    page = Page(run_html("VALID", summary(["f"], success_rate=0.99996)))
    assert "100.0" not in page.text


def test_many_iterations_are_medians_per_function_and_rate() -> None:
    page = Page(run_html("VALID", summary(iterations=50)))
    assert "medians over the iterations" in page.text
    assert "|5,000|" in page.text  # 50 iterations of 100 requests


def test_the_maximum_of_many_iterations_is_the_largest() -> None:
    frame = pl.concat(
        [
            summary(["f"], iterations=20, latency_ms_max=12.0),
            summary(["f"], iterations=1, latency_ms_max=7654.0, run_id="r2"),
        ]
    )
    page = Page(run_html("VALID", frame))
    assert "|7,654|" in page.text
    assert "|12.00|" not in page.text
    assert "the maximum is that of all" in page.text


def test_nothing_measured_is_said() -> None:
    assert "Nothing was measured" in run_html("DOUBTFUL", summary().clear())
    assert summary_text(summary().clear()) == "Nothing was measured."


@given(st.text(min_size=1))
def test_any_text_is_shown_as_text(hostile: str) -> None:
    source = run_html(hostile, summary([hostile], target=hostile, status=hostile), title=hostile)
    page = Page(source)
    assert page.tags <= TAGS
    assert page.attributes <= {"style", "align"}
    assert all(c.isprintable() or c in "\n\t" for c in source)


@given(st.text())
def test_a_terminal_gets_no_escape_sequence(hostile: str) -> None:
    shown = summary_text(summary([hostile], iterations=1))
    assert all(c.isprintable() for line in shown.split("\n") for c in line)
    assert len(shown.split("\n")) == 2


def test_a_chart_comes_as_vega_lite_and_as_a_picture() -> None:
    bundle = chart_bundle(figure())
    assert base64.b64decode(bundle["image/png"]).startswith(PNG)
    spec = bundle["application/vnd.vegalite.v5+json"]
    assert spec["$schema"].endswith("/v5.json")
    assert "text/html" not in bundle  # a viewer would show it instead of the chart


def test_one_bundle_holds_the_picture_in_its_html() -> None:
    bundle = mimebundle(lambda: "<table></table>", lambda: chart_bundle(figure()), "a run")
    assert bundle["text/plain"] == "a run"
    assert bundle["text/html"].startswith("<table>")
    assert "data:image/png;base64," in bundle["text/html"]


@pytest.mark.parametrize("part", ["table", "chart"])
def test_what_cannot_be_drawn_is_left_out(part: str) -> None:
    bundle = mimebundle(
        broken if part == "table" else lambda: "<table></table>",
        broken if part == "chart" else lambda: chart_bundle(figure()),
        "a run",
    )
    assert bundle["text/plain"] == "a run"
    assert ("text/html" in bundle) == (part != "table")
    assert ("image/png" in bundle) == (part != "chart")


def test_what_went_well_in_all_rows_is_said_once() -> None:
    page = Page(run_html("VALID", summary()))
    assert "In all rows: failed 0, dropped 0, success (%) 100.0, status ok." in page.text
    assert "|status|" not in page.text
    for worse in ({"failed": 1}, {"dropped": 2}, {"status": "slo_failed"}):
        page = Page(run_html("VALID", summary(**worse)))
        assert "In all rows" not in page.text
        assert "|failed|" in page.text


def test_a_picture_has_the_colours_of_its_figure() -> None:
    figure = run_chart(summary(), timeline(failed=2, unfinished=1, dropped=1))
    with Image.open(io.BytesIO(png(spec_of(figure)))) as picture:
        counted: Any = picture.convert("RGB").getcolors(1_000_000)
    shown = [colour for _, colour in counted]
    for wanted in (colours.ANSWERED, colours.FAILED, colours.UNFINISHED, colours.DROPPED):
        channels = [int(wanted[at : at + 2], 16) for at in (1, 3, 5)]
        nearest = min(max(abs(a - b) for a, b in zip(channels, one, strict=True)) for one in shown)
        assert nearest < 12, wanted
