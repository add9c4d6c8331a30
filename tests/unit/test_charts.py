"""Charts are drawn through the real renderer: what Vega cannot compile fails here."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import altair as alt
import polars as pl
import pytest
import vl_convert
from PIL import Image

from dfaas_lab.charts import (
    comparison_chart,
    distribution_chart,
    node_chart,
    overlay_chart,
    rates_chart,
    run_chart,
    save_figure,
    status_chart,
)
from dfaas_lab.charts.axes import up_from_0
from dfaas_lab.charts.colours import GROUPS
from dfaas_lab.display.bundles import chart_bundle, mimebundle, shown_width
from dfaas_lab.display.html_report import Section, write_report
from dfaas_lab.errors import ConfigError
from tests.scenarios import scenarios
from tests.unit.chart_gallery import changes, every_chart, requests_of
from tests.unit.frames import summary, timeline

ROOT = Path(__file__).parents[2]
HOSTILE = [
    "</script><script>alert(1)</script>",
    "${7*7}",
    "a\nb",
    "\u202eevil",
    "'\"\\",
    "[x](javascript:alert(1))",
    "\U0001f980" * 40,
    "",
]


def draw(chart: alt.TopLevelMixin) -> str:
    """Return the chart as SVG, drawn as a viewer does."""
    drawn: str = vl_convert.vegalite_to_svg(chart.to_dict(), allowed_base_urls=[])
    return drawn


def rows(chart: alt.TopLevelMixin) -> list[dict[str, Any]]:
    """Return everything that the chart carries as data."""
    spec = chart.to_dict()
    return [row for data in spec.get("datasets", {}).values() for row in data]


def test_a_run_shows_each_function_with_units_and_the_rate_asked_for() -> None:
    drawn = draw(run_chart(summary(), timeline()))
    for words in ("figlet", "env", "latency (ms)", "requests/s", "time in the iteration (s)"):
        assert words in drawn
    assert "20.0 of 20 requests/s" in drawn


def test_bold_is_the_median_of_the_iterations() -> None:
    frames = [
        timeline(["f"], iterations=1, seconds=1, run_id=f"r{at}", latency_ms_p50=ms)
        for at, ms in enumerate([1.0, 2.0, 9.0])
    ]
    chart = run_chart(summary(["f"]), pl.concat(frames))
    bold = [row for row in rows(chart) if row.get("kind") == "latency p50" and "series" not in row]
    assert [row["value"] for row in bold] == [2.0]


def test_the_outcomes_of_a_second_add_up_to_what_was_asked_for() -> None:
    chart = run_chart(
        summary(["f"], iterations=1),
        timeline(["f"], iterations=1, seconds=3, requests=15, failed=4, dropped=5),
    )
    bars = [row for row in rows(chart) if "base" in row and row["start"] == 0]
    assert {row["kind"]: (row["base"], row["top"]) for row in bars} == {
        "requests answered": (0, 11),
        "failed": (11, 15),
        "dropped": (15, 20),
    }


def test_a_second_without_requests_breaks_the_line() -> None:
    frame = timeline(["f"], iterations=1, seconds=4).filter(pl.col("second") != 2)
    values = [
        row["value"]
        for row in rows(run_chart(summary(["f"]), frame))
        if row.get("kind") == "latency p50"
    ]
    assert values[2] is None
    assert None not in values[:2]


def test_the_request_that_k6_makes_at_the_very_end_is_no_second_of_its_own() -> None:
    whole = timeline(["f"], iterations=1, seconds=5)
    last = timeline(["f"], iterations=1, seconds=6, requests=1).filter(second=5)
    late = timeline(["f"], iterations=1, seconds=6, requests=2).filter(second=5)

    def end(frame: pl.DataFrame) -> float:
        chart = run_chart(summary(["f"], iterations=1), frame)
        return max(row["end"] for row in rows(chart) if "base" in row)

    assert end(pl.concat([whole, last])) == 5
    assert end(pl.concat([whole, late])) == 6


def test_null_and_no_number_are_not_drawn_as_numbers() -> None:
    frame = timeline(["f"], latency_ms_p50=None, latency_ms_p95=math.nan, requests=0)
    chart = run_chart(summary(["f"], latency_ms_p50=None, success_rate=None), frame)
    json.dumps(chart.to_dict(), allow_nan=False)
    assert "nothing" not in draw(chart)
    draw(rates_chart(summary(["f"], latency_ms_p50=None, latency_ms_p99=math.inf)))


def test_without_rows_the_figure_says_so() -> None:
    assert "nothing was measured" in draw(run_chart(summary().clear(), timeline().clear()))
    assert "nothing was measured" in draw(rates_chart(summary().clear()))


def test_a_run_with_rows_of_summary_only_can_be_drawn() -> None:
    draw(run_chart(summary(requests=0, latency_ms_p50=None), timeline().clear()))


def test_a_function_without_load_has_no_panel() -> None:
    frame = pl.concat([summary(["busy"]), summary(["idle"], rate_rps=0.0, requests=0)])
    drawn = draw(run_chart(frame, timeline(["busy"])))
    assert "busy" in drawn
    assert "idle" not in drawn


def test_an_unknown_rate_is_no_rate_of_zero() -> None:
    drawn = draw(run_chart(summary(["own"], rate_rps=None), timeline(["own"])))
    assert "own" in drawn


def test_targets_are_told_apart() -> None:
    frame = pl.concat([summary(["f"], target="left"), summary(["f"], target="right")])
    drawn = draw(
        run_chart(
            frame, pl.concat([timeline(["f"], target="left"), timeline(["f"], target="right")])
        )
    )
    assert "f on left" in drawn
    assert "f on right" in drawn


@pytest.mark.parametrize("name", scenarios(HOSTILE, HOSTILE[:1]), ids=range(len(HOSTILE)))
def test_any_name_is_drawn_as_text(name: str) -> None:
    targets = [name, "other"]
    frame = pl.concat([summary(["f"], target=target) for target in targets])
    times = pl.concat([timeline(["f"], target=target) for target in targets])
    for chart in (run_chart(frame, times), rates_chart(frame)):
        assert "<script" not in draw(chart)


@pytest.mark.parametrize(
    "evil",
    [
        pytest.param("".join(map(chr, range(160))), marks=pytest.mark.slow),
        "\x01",
        pytest.param("\x1b[31m", marks=pytest.mark.slow),
        pytest.param("\ufffe\uffff", marks=pytest.mark.slow),
    ],
    ids=["all", "one", "colour", "no characters"],
)
def test_a_control_character_ends_no_process(tmp_path: Path, evil: str) -> None:
    code = """
import json
import sys
from pathlib import Path
import altair as alt
from dfaas_lab.charts import (
    comparison_chart,
    decomposition_chart,
    distribution_chart,
    node_chart,
    overlay_chart,
    rates_chart,
    run_chart,
    save_figure,
    status_chart,
)
from dfaas_lab.display.bundles import chart_bundle
from dfaas_lab.display.html_report import Section, write_report
from dfaas_lab.errors import ConfigError
from dfaas_lab.schemas import REQUESTS
from tests.unit.frames import summary, timeline

folder, evil = Path(sys.argv[1]), json.loads(sys.argv[2])
frame = summary(["f" + evil])
own = run_chart(frame, timeline(["f" + evil]))
own.save(folder / "by_altair.svg")
data = alt.InlineData(values=[{"a": evil}])
foreign = alt.Chart(data, title=evil + "\\ud800").mark_text().encode(text="a:N")
for chart in (own, rates_chart(frame), foreign):
    assert "image/png" in chart_bundle(chart)
write_report(folder, evil, [Section(evil, chart=foreign)])
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, tmp_path, json.dumps(evil)],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]


def second(at: int, **changes: Any) -> pl.DataFrame:
    """A timeline of one iteration that has one second."""
    frame = timeline(["f"], iterations=1, seconds=1, **changes)
    return frame.with_columns(second=pl.lit(at, frame.schema["second"]))


@pytest.mark.parametrize("at", [-5, 30_000_000, 500_000_000])
@pytest.mark.parametrize("duration_s", [5.0, None])
def test_a_clock_that_was_set_makes_no_large_figure(at: int, duration_s: float | None) -> None:
    frame = pl.concat([timeline(["f"], iterations=1), second(at)])
    chart = run_chart(summary(["f"], iterations=1, duration_s=duration_s), frame)
    assert len(rows(chart)) < 5000
    if duration_s or at < 0:
        assert "not shown: 20 requests" in draw(chart)
        assert max(row["end"] for row in rows(chart) if "base" in row) == 5


def test_a_point_of_several_seconds_keeps_the_worst_and_says_so() -> None:
    # One bad second in each ten: neither a mean nor a median of the seconds' p95 shows it.
    seconds = 6000
    frame = timeline(["f"], iterations=1, seconds=seconds).with_columns(
        latency_ms_p95=pl.when(pl.col("second") % 10 == 0).then(1000.0).otherwise(8.0)
    )
    chart = run_chart(summary(["f"], iterations=1, seconds=seconds), frame)
    drawn = {row["value"] for row in rows(chart) if row.get("kind") == "latency p95"}
    assert drawn == {1000.0}
    assert "its largest second" in draw(chart)
    assert {row["top"] for row in rows(chart) if "base" in row} == {20}


def test_with_requests_a_point_of_several_seconds_has_the_quantiles_of_its_requests() -> None:
    seconds = 6000
    # Every twentieth request takes 500 ms: p95 of ten of them is between both, by interpolation.
    requests = requests_of([500.0 if at % 20 == 19 else 4.0 for at in range(seconds)], 1)
    frame = timeline(["f"], iterations=1, seconds=seconds, requests=1, latency_ms_max=4.0)
    chart = run_chart(summary(["f"], iterations=1, seconds=seconds), frame, requests)
    drawn = [row["value"] for row in rows(chart) if row.get("kind") == "latency p95"]
    assert 4.0 < max(drawn) <= 500.0
    assert "p50 and p95 of its requests" in draw(chart)


def test_one_slow_second_of_ten_minutes_is_seen() -> None:
    slow = pl.when(pl.col("second") == 300).then(3000.0).otherwise(9.0)
    frame = timeline(["f"], iterations=1, seconds=600).with_columns(latency_ms_max=slow)
    chart = run_chart(summary(["f"], iterations=1, seconds=600), frame)
    most = [row["value"] for row in rows(chart) if row.get("kind") == "latency max"]
    assert max(most) == 3000.0
    assert "min:s" in draw(chart)


def test_a_value_without_a_neighbour_is_a_point() -> None:
    frame = timeline(["f"], iterations=1, seconds=8).with_columns(
        latency_ms_p50=pl.when(pl.col("second") % 2 == 0).then(4.0)
    )
    drawn = draw(run_chart(summary(["f"], iterations=1, rate_rps=0.5), frame))
    assert drawn.count('aria-roledescription="circle"') >= 4


def test_a_median_ends_where_an_iteration_ends() -> None:
    died = timeline(["f"], iterations=1, seconds=2, run_id="r2")
    frame = pl.concat([timeline(["f"], iterations=2), died])
    chart = run_chart(summary(["f"]), frame)
    bold = [row for row in rows(chart) if row.get("kind") == "latency p50" and "series" not in row]
    assert [row["value"] is None for row in bold] == [False, False, True, True, True]


def test_rates_that_grow_by_one_factor_have_an_axis_that_doubles() -> None:
    def axis(*rates: float) -> str:
        frames = [summary(["f"], rate_rps=rate, run_id=str(rate)) for rate in rates]
        return json.dumps(rates_chart(pl.concat(frames)).to_dict())

    assert '"base": 2' in axis(2.0, 4.0, 8.0)
    assert '"base": 2' not in axis(10.0, 20.0, 30.0)


def test_a_doubtful_run_has_hollow_points() -> None:
    frame = pl.concat([summary(["f"], rate_rps=at, run_id=f"r{at:g}") for at in (5.0, 10.0)])
    assert "hollow: DOUBTFUL" in draw(rates_chart(frame, doubtful=["r10"]))
    assert "hollow" not in draw(rates_chart(frame))


def test_one_wide_interval_does_not_hide_the_changes() -> None:
    def ends(high: float) -> list[float]:
        rule = comparison_chart(changes(high)).to_dict()["concat"][0]["layer"][1]
        return list(rule["encoding"]["x"]["scale"]["domain"])

    assert ends(0.2)[1] < 25
    assert ends(600.0)[1] < 50
    assert "arrow: the interval goes on" in draw(comparison_chart(changes(600.0)))
    assert "arrow" not in draw(comparison_chart(changes(0.2)))


def test_a_change_without_an_interval_is_not_told_to_be_chance() -> None:
    nothing = {"low": pl.lit(None, pl.Float64), "differs": pl.lit(None, pl.Boolean)}
    unknown = changes(0.2).with_columns(**nothing)
    assert "cross: no interval" in draw(comparison_chart(unknown))
    assert "cross" not in draw(comparison_chart(changes(0.2)))


def node_metrics(metric: str, value: float, functions: Sequence[str | None]) -> pl.DataFrame:
    """Two scrapes of a metric, of each of these functions."""
    rows = [
        {"time": datetime(2026, 1, 1, 0, 0, at, tzinfo=UTC), "metric": metric, "function": name,
         "instance": None if name else "10.0.0.60:9100", "value": value}
        for name in functions
        for at in (0, 1)
    ]  # fmt: skip
    schema = {"function": pl.String, "instance": pl.String}
    return pl.DataFrame(rows, schema_overrides=schema)


def test_lines_of_a_node_are_told_apart_in_every_panel() -> None:
    frame = pl.concat(
        [
            node_metrics("cpu_cores", 1.5, [None]),
            node_metrics("function_cpu_cores", 0.5, ["env", "figlet"]),
        ]
    )
    drawn = draw(node_chart(frame))
    assert all(f'stroke="{style.colour.lower()}"' in drawn.lower() for style in GROUPS[:3])
    assert ">node<" in drawn
    assert ">10.0.0.60:9100<" not in drawn


def test_a_day_of_a_node_is_a_small_figure_that_keeps_its_extremes() -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    day = pl.DataFrame(
        {"time": pl.datetime_range(began, began + timedelta(days=1), "5s", eager=True)}
    ).with_columns(
        metric=pl.lit("cpu_fraction"),
        function=pl.lit(None, pl.String),
        instance=pl.lit("10.0.0.60:9100"),
        value=pl.when(pl.int_range(pl.len()) == 7777).then(0.99).otherwise(0.5),
    )
    chart = node_chart(pl.concat([day, day.with_columns(metric=pl.lit("replicas"))]))
    drawn = [row for row in rows(chart) if "value" in row]
    assert 200 < len(drawn) < 5000
    assert max(row["value"] for row in drawn) == pytest.approx(99.0)
    assert "time (h:min)" in draw(chart)


@pytest.mark.parametrize(
    ("metric", "value", "unit"),
    [
        ("memory_bytes", 3.2e9, "GB"),
        ("function_memory_bytes", 8e6, "MB"),
        ("cpu_fraction", 0.5, "%"),
        ("gateway_seconds_mean", 0.02, "s"),
        ("power_watts", 40.0, "W"),
        ("failed_rps", 0.0, "per second"),
    ],
)
def test_metrics_of_a_node_have_units_that_people_read(
    metric: str, value: float, unit: str
) -> None:
    drawn = draw(node_chart(node_metrics(metric, value, [None])))
    assert f">{unit}<" in drawn
    assert "000,000" not in drawn
    assert "0.000001" not in drawn


def test_a_distribution_marks_its_percentiles() -> None:
    chart = distribution_chart(requests_of([float(at + 1) for at in range(1000)], 100))
    drawn = draw(chart)
    assert all(f">{name}<" in drawn for name in ("p50", "p95", "p99"))
    points = [data for data in chart.to_dict()["datasets"].values() if len(data) == 3]
    marked = {row["share"]: row["value"] for data in points for row in data}
    assert marked == pytest.approx({50.0: 500.5, 95.0: 950.05, 99.0: 990.01})


def test_lines_can_be_told_apart_by_a_column_of_ones_own() -> None:
    label = pl.lit("warm").alias("label")
    frames = (summary(["env"]).with_columns(label), timeline(["env"]).with_columns(label))
    assert ">warm<" in draw(overlay_chart(*frames, by="label"))


@pytest.mark.parametrize("name", scenarios(every_chart(), ["node", "one function"]))
def test_no_chart_is_wider_than_a_cell_and_each_is_small(name: str) -> None:
    bundle = chart_bundle(every_chart()[name]())
    picture = base64.b64decode(bundle["image/png"])
    assert shown_width(picture) <= 640
    assert len(picture) < 60_000
    assert bundle["application/vnd.vegalite.v5+json"]["background"] == "white"


class Measured:
    """What a caption is made of."""

    id = "20260101T093000-abcdef"
    provenance: ClassVar[dict[str, Any]] = {
        "created_at": "2026-01-01T09:30:12+00:00",
        "provenance": {
            "generators": {
                "big": {"cores": 8, "cpu_model": "EPYC <7>", "memory_bytes": 2**35,
                        "system": "Debian GNU/Linux 12 (bookworm)", "k6_version": "1.1.0"}
            }
        },
    }  # fmt: skip


WIDTHS = {"3.3in": 237.6, "8.5cm": 240.94, "240pt": 240.0}
FIGURES = {
    "run": lambda: run_chart(summary(), timeline()),
    "status": lambda: status_chart(requests_of([1.0], 1)),
}


@pytest.mark.parametrize("width", scenarios(WIDTHS, ["8.5cm"]))
@pytest.mark.parametrize("figure", scenarios(FIGURES, ["status"]))
def test_a_figure_is_written_for_paper_in_its_width(
    tmp_path: Path, width: str, figure: str
) -> None:
    chart, points = FIGURES[figure](), WIDTHS[width]
    pdf, svg, png = (
        save_figure(chart, tmp_path / f"f.{kind}", width=width).read_bytes()
        for kind in ("pdf", "svg", "png")
    )
    box = re.search(rb"/MediaBox ?\[0 0 ([\d.]+)", pdf)
    size = re.search(rb'<svg[^>]*? width="([\d.]+)pt"', svg)
    assert box is not None
    assert size is not None
    assert float(box[1]) == pytest.approx(points, abs=0.1)
    assert float(size[1]) == pytest.approx(points, abs=0.1)
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.mode == "RGB"  # with all its colours
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert picture.width == pytest.approx(points / 72 * 300, abs=2)


@pytest.mark.parametrize("functions", [["f"], ["f", "g"]])
def test_a_caption_says_where_the_numbers_come_from(tmp_path: Path, functions: list[str]) -> None:
    chart = run_chart(summary(functions), timeline(functions))
    bare, captioned = (
        save_figure(chart, tmp_path / "figure.svg", caption=one).read_text()
        for one in (None, Measured())
    )
    said = " ".join(re.findall(r">([^<>]+)</t(?:ext|span)>", captioned))
    for words in (Measured.id, "2026-01-01 09:30 UTC", "big: 8 x EPYC &lt;7&gt;", "32.0 GiB",
                  "Debian GNU/Linux 12 (bookworm)", "k6 1.1.0"):  # fmt: skip
        assert words in said.replace("  ", " "), said
    assert Measured.id not in bare
    by_hand = save_figure(chart, tmp_path / "figure.svg", caption="Our testbed, 2026")
    assert ">Our testbed, 2026<" in by_hand.read_text()
    boxes = [re.search(r'viewBox="0 0 ([\d.]+)', one) for one in (bare, captioned)]
    widths = [float(box[1]) for box in boxes if box]
    assert widths[1] == pytest.approx(widths[0], rel=0.02)  # the caption makes it no wider


def test_a_figure_of_no_known_kind_or_width_is_refused(tmp_path: Path) -> None:
    chart = run_chart(summary(), timeline())
    with pytest.raises(ConfigError, match="pdf"):
        save_figure(chart, tmp_path / "figure.doc")
    with pytest.raises(ConfigError, match="width"):
        save_figure(chart, tmp_path / "figure.pdf", width="wide")
    with pytest.raises(ConfigError, match="caption"):
        save_figure(chart, tmp_path / "figure.pdf", caption=42)  # type: ignore[arg-type]


def test_notes_make_no_figure_wider() -> None:
    frame = pl.concat([timeline(["f"], iterations=12, seconds=3600), second(30_000_000)])
    chart = run_chart(summary(["f"], iterations=12, seconds=3600), frame)
    widths = [
        float(re.search(r'width="([\d.]+)"', draw(one))[1])  # type: ignore[index]
        for one in (chart, run_chart(summary(["f"]), timeline(["f"])))
    ]
    assert widths[0] == pytest.approx(widths[1], rel=0.02)


def test_a_bin_counts_its_empty_seconds_and_the_last_one_may_be_short() -> None:
    frame = timeline(["f"], iterations=1, seconds=6001).filter(pl.col("second") % 2 == 0)
    chart = run_chart(summary(["f"], iterations=1, seconds=6001), frame)
    bars = [row for row in rows(chart) if "base" in row]
    assert {row["top"] for row in bars[:-1]} == {10}
    assert (bars[-1]["start"], bars[-1]["end"], bars[-1]["top"]) == (6000, 6001, 20)


@pytest.mark.slow
def test_a_large_run_stays_a_small_figure() -> None:
    functions = [f"f{index}" for index in range(12)]
    chart = run_chart(
        summary(functions, iterations=30), timeline(functions, iterations=30, seconds=600)
    )
    assert len(rows(chart)) < 5000
    assert len(json.dumps(chart.to_dict())) < 400_000


@pytest.mark.slow
def test_more_functions_than_a_figure_holds_are_counted() -> None:
    functions = [f"f{index}" for index in range(30)]
    drawn = draw(run_chart(summary(functions), timeline(functions)))
    assert "24 of 30 functions are shown" in drawn


def test_rates_are_compared_by_the_medians_of_their_iterations() -> None:
    frame = pl.concat([summary(["f"], rate_rps=rate, run_id=str(rate)) for rate in (5.0, 10.0)])
    chart = rates_chart(frame)
    assert "rate asked for (requests/s)" in draw(chart)
    line = {
        row["rate_rps"]: row["value"] for row in rows(chart) if row.get("kind") == "latency p50"
    }
    assert set(line) == {5.0, 10.0}


def test_latencies_over_decades_get_a_logarithmic_axis() -> None:
    low, high = summary(["f"], rate_rps=1.0), summary(["f"], rate_rps=9.0, latency_ms_p99=9000.0)
    assert "log scale" in draw(rates_chart(pl.concat([low, high])))
    assert "log scale" not in draw(rates_chart(low))


@pytest.mark.parametrize("highest", [0.001, 0.9, 1.0, 7.3, 20.0, 20.01, 99.0, 12345.6, 1e9])
def test_an_axis_ends_on_a_tick_above_the_data(highest: float) -> None:
    axis = up_from_0("value:Q", "ms", highest).to_dict()
    ticks = axis["axis"]["values"]
    assert ticks[0] == 0
    assert axis["scale"]["domain"] == [0, ticks[-1]]
    assert ticks[-1] >= highest > ticks[-2]


def test_charts_can_be_put_beside_each_other() -> None:
    draw(run_chart(summary(), timeline()) | rates_chart(summary()))


def test_a_chart_brings_its_own_picture_and_respects_a_renderer_that_the_user_chose() -> None:
    chart = rates_chart(summary())
    bundle, metadata = chart._repr_mimebundle_()
    assert {"image/png", "text/plain"} < set(bundle)
    assert metadata["image/png"]["width"] > 100
    with alt.renderers.enable("svg"):
        assert "image/svg+xml" in chart._repr_mimebundle_(None, None)


def test_the_users_altair_settings_stay_as_they_were() -> None:
    before = alt.renderers.active, alt.theme.active, alt.data_transformers.active
    draw(run_chart(summary(), timeline()))
    assert before == (alt.renderers.active, alt.theme.active, alt.data_transformers.active)


@pytest.mark.slow
def test_a_data_transformer_that_the_user_enabled_hides_no_chart(tmp_path: Path) -> None:
    def figure() -> alt.ConcatChart:
        return run_chart(summary(), timeline())

    with alt.data_transformers.enable("vegafusion"):
        bundle, _ = figure()._repr_mimebundle_()
        assert "image/png" in bundle
        shown = mimebundle(lambda: "<table></table>", lambda: chart_bundle(figure()), "a run")
        assert "image/png" in shown
        assert write_report(tmp_path, "Demo", [Section("One", chart=figure())]).exists()
        assert alt.data_transformers.active == "vegafusion"


def test_importing_charts_does_not_import_altair() -> None:
    code = (
        "import sys, dfaas_lab.charts; sys.exit('altair' in sys.modules or 'polars' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
