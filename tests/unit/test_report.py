"""A report is one page that works from a folder, with no network."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab.charts import rates_chart, run_chart
from dfaas_lab.display.html_report import Section, write_report
from dfaas_lab.display.tables import run_html
from tests.unit.frames import summary, timeline
from tests.unit.test_display import Page

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def sections(target: str = "mid") -> list[Section]:
    frame = summary(target=target)
    return [
        Section("Rates", run_html("VALID", frame), rates_chart(frame), frame),
        Section("One run", chart=run_chart(frame, timeline(target=target))),
    ]


def test_a_report_has_its_pictures_and_data_beside_it(tmp_path: Path) -> None:
    page = write_report(tmp_path / "new" / "folder", "Demo", sections())
    beside = {path.name for path in page.parent.iterdir()}
    assert beside == {"report.html", "rates.png", "rates.parquet", "one_run.png"}
    assert pl.read_parquet(page.parent / "rates.parquet").equals(summary())


def test_a_report_fetches_nothing(tmp_path: Path) -> None:
    source = write_report(tmp_path, "Demo", sections()).read_text()
    assert "default-src 'none'" in html.unescape(source)
    page = Page(source)
    assert "link" not in page.tags
    assert not _remote(source)


class Links(HTMLParser):
    """The attributes that make a browser fetch something that is not in the page."""

    def __init__(self) -> None:
        super().__init__()
        self.remote: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action") and "//" in (value or "")[:9]:
                self.remote.append(f"{tag} {name}={value}")


def _remote(source: str) -> list[str]:
    links = Links()
    links.feed(source)
    return links.remote


def test_titles_are_text_and_files_have_names_of_their_own(tmp_path: Path) -> None:
    frame = summary()
    twice = [Section("../<i>A</i>", frame=frame), Section("../<i>A</i>", frame=frame)]
    page = write_report(tmp_path / "report", "<script>", twice)
    assert "i" not in Page(page.read_text()).tags
    assert "script" not in Page(page.read_text()).tags
    assert len(list(page.parent.glob("*.parquet"))) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.slow
@pytest.mark.skipif(
    BROWSER is None and "DFAAS_LAB_TESTBED" not in os.environ, reason="no Chromium here"
)
def test_a_browser_draws_it_and_runs_nothing_that_data_says(tmp_path: Path) -> None:
    hostile = "</script><script>document.title='taken'</script>"
    page = write_report(tmp_path / "report", "Demo", sections(hostile))
    shown = _dom(page, tmp_path / "profile")
    assert shown.count('class="marks"') == 2  # Vega drew both figures
    assert "data:image/png" not in shown  # and took the pictures away
    assert "<title>Demo</title>" in shown


# Written into the page's title when its figures are drawn: what a person would see.
_LOOK = """<script>
setInterval(function () {
  if (document.querySelectorAll("svg.marks").length < 2) { return; }
  var shown = document.querySelectorAll("svg.marks, h1, p, dd, .chart");
  var right = Array.from(shown).map(function (one) { return one.getBoundingClientRect().right; });
  var style = getComputedStyle(document.body);
  document.title = [Math.max.apply(null, right), innerWidth, style.color, style.backgroundColor]
    .join(" | ");
}, 100);
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(
    BROWSER is None and "DFAAS_LAB_TESTBED" not in os.environ, reason="no Chromium here"
)
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_cut_in_a_narrow_window_and_a_dark_theme_is_dark(
    tmp_path: Path, dark: bool
) -> None:
    facts = {"machine": "a" * 200, "measured": "2026-01-01 09:30 UTC"}
    page = write_report(tmp_path / "report", "Demo", sections(), lead="p95 " * 80, facts=facts)
    page.write_text(page.read_text() + _LOOK)
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    shown = _dom(page, tmp_path / "profile", "--window-size=480,2000", scheme)
    said = html.unescape(shown.split("<title>")[1].split("</title>")[0]).split(" | ")
    right, window, ink, paper = said
    assert float(right) <= float(window) <= 500
    lightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, paper)]
    assert (lightness[0] > lightness[1]) is dark
    assert abs(lightness[0] - lightness[1]) > 400


def test_where_the_numbers_come_from_is_told(tmp_path: Path) -> None:
    facts = {"machine": "big: 8 x <EPYC>"}
    source = write_report(tmp_path, "Demo", [], lead="What is <seen>.", facts=facts).read_text()
    assert '<p class="lead">What is &lt;seen&gt;.</p>' in source
    assert "<dt>machine</dt><dd>big: 8 x &lt;EPYC&gt;</dd>" in source


def _dom(page: Path, profile: Path, *options: str) -> str:
    """Return the page after its scripts ran, in a browser that has no network to go to."""
    assert BROWSER is not None
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    ended = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            *quiet,
            *options,
            "--proxy-server=127.0.0.1:9",
            f"--user-data-dir={profile}",
            "--virtual-time-budget=20000",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return ended.stdout
