"""The live chart as SVG: rate, latency, failures over the time of a run. Cheap: no Vega, no file.

It is drawn once a second beside a measurement, so it costs a millisecond. What stays of a run is
drawn by :func:`dfaas_lab.charts.run_chart`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from dfaas_lab.charts.colours import (
    DROPPED,
    FAILED,
    FAINT,
    GRID,
    GROUPS,
    P50,
    P95,
    PAPER,
    TEXT,
    LineStyle,
)
from dfaas_lab.display import words
from dfaas_lab.display.cards import text
from dfaas_lab.k6.live import LivePoint
from dfaas_lab.printable import printable

_WIDTH, _LEFT, _RIGHT = 620, 52, 70
_HEIGHT, _GAP, _TOP, _BOTTOM = 62, 26, 22, 18
_PLOT = _WIDTH - _LEFT - _RIGHT
_ROW, _CHARACTER = 15, 6.4  # of the key: the height of a row, the width of a character
_MOST_NAMED = len(GROUPS)

Value = Callable[[LivePoint], float | None]
_RATE, _P95 = attrgetter("rate_rps"), attrgetter("p95_ms")
_FAILURES: Sequence[tuple[str, LineStyle, Value]] = (
    ("failed", LineStyle(FAILED), attrgetter("failed_rps")),
    ("dropped", LineStyle(DROPPED, (2, 2)), attrgetter("dropped_rps")),
)


@dataclass(frozen=True)
class _Line:
    name: str
    style: LineStyle
    value: Value
    points: Sequence[LivePoint]


def live_svg(series: Mapping[str, Sequence[LivePoint]], total_s: float) -> str:
    """Return the chart.

    Args:
        series: By target, what was measured so far.
        total_s: How long the run is planned to last, in seconds; 0 where that is not known.
    """
    ends = [one.start_s + one.width_s for points in series.values() for one in points]
    until_s = max([total_s, 1.0, *ends])
    of_which = "" if len(series) == 1 else ", p95"
    panels = [
        ("requests that ended, per second", _lines(series, [("", P50, _RATE)], _RATE)),
        (
            f"latency of successful requests (ms){of_which}",
            _lines(series, [("median", P50, attrgetter("p50_ms")), ("p95", P95, _P95)], _P95),
        ),
        (
            "failed and dropped requests, per second",
            _lines(series, _FAILURES, lambda one: one.failed_rps + one.dropped_rps),
        ),
    ]
    key, rows = _key(list(series)) if len(series) > 1 else ("", 0)
    top = _TOP + rows * _ROW
    height = top + len(panels) * (_HEIGHT + _GAP) + _BOTTOM
    body = "".join(
        _panel(title, lines, top + index * (_HEIGHT + _GAP), until_s)
        for index, (title, lines) in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" viewBox="0 0 {_WIDTH} {height}" '
        f'role="img" aria-label="the run so far" style="max-width:100%;background:{PAPER}" '
        f'font-family="sans-serif" font-size="11" fill="{TEXT}">'
        f"{key}{body}{_times(until_s, height)}</svg>"
    )


def _key(names: Sequence[str]) -> tuple[str, int]:
    """The names of several targets in their colours, in as many rows as they take."""
    items = [f"\u25cf {printable(name)}" for name in names[:_MOST_NAMED]]
    items += [f"and {len(names) - _MOST_NAMED} more"] if len(names) > _MOST_NAMED else []
    drawn: list[str] = []
    x, row = float(_LEFT), 1
    for item, style in zip(items, [*GROUPS, LineStyle(TEXT)], strict=False):
        wide = len(item) * _CHARACTER + 14
        if x > _LEFT and x + wide > _WIDTH:
            x, row = float(_LEFT), row + 1
        colour = f'<tspan fill="{style.colour}">{text(item[:1])}</tspan>{text(item[1:])}'
        drawn.append(f'<text x="{x:.0f}" y="{row * _ROW - 2}">{colour}</text>')
        x += wide
    return "".join(drawn), row


def _lines(
    series: Mapping[str, Sequence[LivePoint]],
    alone: Sequence[tuple[str, LineStyle, Value]],
    of_several: Value,
) -> list[_Line]:
    """The lines of one panel: those of one target, or one line of each of several."""
    if len(series) == 1:
        (points,) = series.values()
        return [_Line(*line, points) for line in alone]
    styles = itertools.cycle(GROUPS)
    return [_Line("", next(styles), of_several, points) for points in series.values()]


def _panel(title: str, lines: Sequence[_Line], top: int, until_s: float) -> str:
    found = [line.value(one) for line in lines for one in line.points]
    values = [value for value in found if value is not None]
    most = _round_up(max(values, default=0.0))
    floor = top + _HEIGHT
    frame = (
        f'<text x="{_LEFT}" y="{top - 7}" fill="{FAINT}">{text(title)}</text>'
        f'<path d="M{_LEFT} {top}h{_PLOT}M{_LEFT} {floor}h{_PLOT}" stroke="{GRID}"/>'
        f'<text x="{_LEFT - 6}" y="{top + 8}" text-anchor="end">{most:,g}</text>'
        f'<text x="{_LEFT - 6}" y="{floor}" text-anchor="end">0</text>'
    )
    return frame + "".join(_drawn(lines, floor, most, until_s))


def _drawn(lines: Sequence[_Line], floor: int, most: float, until_s: float) -> Iterator[str]:
    taken: list[float] = []  # where labels are: no two in one place
    for line in lines:
        path, last = _path(line, floor, most, until_s)
        if not path or last is None:
            continue
        dash = " ".join(map(str, line.style.dash)) or "none"
        stroke = f'fill="none" stroke="{line.style.colour}" stroke-dasharray="{dash}"'
        yield f'<path d="{path}" {stroke} stroke-width="1.6" stroke-linejoin="round"/>'
        if line.name:
            x, y = last
            while any(abs(y - other) < 11 for other in taken):
                y -= 11
            taken.append(y)
            yield (
                f'<text x="{x + 5:.1f}" y="{y + 4:.1f}" fill="{TEXT}">'
                f'<tspan fill="{line.style.colour}">\u25cf</tspan> {text(line.name)}</text>'
            )


def _path(
    line: _Line, floor: int, most: float, until_s: float
) -> tuple[str, tuple[float, float] | None]:
    """A line that stops where nothing was measured, and where it ends."""
    path: list[str] = []
    last, ended_s = None, None
    for one in line.points:
        value = line.value(one)
        if value is None:
            ended_s = None
            continue
        last = (
            _LEFT + _PLOT * (one.start_s + one.width_s / 2) / until_s,
            floor - _HEIGHT * value / most,
        )
        place = f"{last[0]:.1f} {last[1]:.1f}"
        path.append(f"L{place}" if one.start_s == ended_s else f"M{place}h.1")
        ended_s = one.start_s + one.width_s
    return "".join(path), last


def _times(until_s: float, height: int) -> str:
    return "".join(
        f'<text x="{_LEFT + _PLOT * share:.1f}" y="{height - _BOTTOM}" text-anchor="middle" '
        f'fill="{FAINT}">{text(words.span(round(until_s * share, 1)) if share else "0 s")}</text>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    )


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 ..., so that an axis does not move all the time."""
    most = 1.0
    while most < value:
        most *= 2.5 if f"{most:g}"[0] == "2" else 2
    return most
