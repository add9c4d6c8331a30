"""The live chart is one small picture, whatever was measured and whatever it is called."""

from __future__ import annotations

import re
import time
from xml.etree import ElementTree

import pytest

from dfaas_lab.charts.live import live_svg
from dfaas_lab.k6.live import LivePoint


def points(number: int, *, p50_ms: float | None = 5.0, failed: float = 0.0) -> list[LivePoint]:
    return [LivePoint(n, 1.0, 20.0 + n % 3, failed, 0.0, p50_ms, p50_ms) for n in range(number)]


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(one.itertext()) for one in root.iter() if one.tag.endswith("}text")]


def test_one_target_has_its_median_and_its_p95() -> None:
    said = texts(live_svg({"mid": points(8, failed=2.0)}, 10))
    assert {"\u25cf median", "\u25cf p95", "\u25cf failed", "\u25cf dropped"} <= set(said)
    assert any("latency of successful requests (ms)" in one for one in said)
    assert said[-5:] == ["0 s", "2.5 s", "5 s", "7.5 s", "10 s"]


def test_many_targets_are_told_apart_by_name() -> None:
    series = {f"node{n} <b>&": points(5 + n) for n in range(9)}
    svg = live_svg(series, 20)
    said = texts(svg)
    assert said[:7] == [*(f"\u25cf node{n} <b>&" for n in range(6)), "and 3 more"]
    assert "<b>" not in svg
    assert len(set(re.findall(r'stroke="(#\w+)" stroke-dasharray', svg))) == 6  # then again


def test_labels_do_not_lie_on_each_other() -> None:
    labels = re.findall(r'y="([\d.-]+)" fill="#222222"><tspan', live_svg({"a": points(6)}, 10))
    median, p95, failed, dropped = map(float, labels)
    assert abs(median - p95) > 10
    assert abs(failed - dropped) > 10


def test_long_names_have_rows_of_their_own() -> None:
    series = {f"{n}{'x' * 80}": points(5) for n in range(3)}
    root = ElementTree.fromstring(live_svg(series, 20))
    rows = [one.get("y") for one in root.iter() if one.tag.endswith("}text")][:3]
    assert len(set(rows)) == 3


@pytest.mark.parametrize(
    "courses",
    [{}, {"a": []}, {"a": points(1)}, {"a": points(3, p50_ms=None)}, {"a": points(3), "b": []}],
    ids=["none", "nothing", "one second", "no success", "one silent target"],
)
def test_what_is_not_there_is_not_drawn(courses: dict[str, list[LivePoint]]) -> None:
    svg = live_svg(courses, 0)
    ElementTree.fromstring(svg)
    assert "nan" not in svg
    assert "None" not in svg


def test_a_line_stops_where_nothing_succeeded() -> None:
    broken = [*points(3), *points(6, p50_ms=None)[3:], *points(9)[6:]]
    paths = re.findall(r'<path d="([^"]+)" fill="none"', live_svg({"a": broken}, 10))
    assert paths[0].count("M") == 1  # the rate goes on
    assert paths[1].count("M") == 2
    gap = [*points(3), *points(9)[6:]]
    paths = re.findall(r'<path d="([^"]+)" fill="none"', live_svg({"a": gap}, 10))
    assert [path.count("M") for path in paths] == [2, 2, 2, 2, 2]


def test_it_is_small_and_cheap_and_no_wider_than_a_page() -> None:
    courses = {f"node{n}": points(200) for n in range(4)}
    began = time.process_time()
    svg = live_svg(courses, 200)
    assert time.process_time() - began < 0.5
    assert len(svg) < 60_000
    width = ElementTree.fromstring(svg).get("width")
    assert width is not None
    assert int(width) <= 640


def test_long_times_are_minutes() -> None:
    assert texts(live_svg({"a": points(5)}, 600))[-1] == "10 min"
