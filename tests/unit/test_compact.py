"""A specification that takes less room draws the same picture."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import vl_convert

from dfaas_lab.display.bundles import spec_of
from dfaas_lab.display.compact import compact
from tests.scenarios import scenarios
from tests.unit.chart_gallery import every_chart

CHARTS = every_chart()


# What JupyterLab draws with (5.6, of which vl-convert has 5.8), and what draws the pictures.
@pytest.mark.parametrize("version", ["5.8", None])
@pytest.mark.parametrize("name", scenarios(CHARTS, ["node"]))
def test_the_drawing_is_the_same_and_what_is_saved_is_smaller(
    name: str, version: str | None
) -> None:
    whole = spec_of(CHARTS[name]())
    small = compact(whole)
    assert _drawn(small, version) == _drawn(whole, version)
    assert _saved(small) < _saved(whole)


def _drawn(spec: dict[str, Any], version: str | None) -> str:
    drawn: str = vl_convert.vegalite_to_svg(spec, vl_version=version, allowed_base_urls=[])
    return re.sub(r"clip\d+", "clip", drawn)  # they are counted over all drawings


def _saved(spec: dict[str, Any]) -> int:
    # As Jupyter saves it: inside a notebook, which is indented.
    return len(json.dumps([[[[[[spec]]]]]], indent=1))


def _with_rows(rows: list[dict[str, Any]]) -> Any:
    return compact({"data": {"name": "d"}, "datasets": {"d": rows}})["data"]


def test_null_is_no_zero_and_a_text_is_no_number() -> None:
    rows = [{"name": f'"{at}",\n1', "value": None if at % 2 else 0.5} for at in range(40)]
    data = _with_rows(rows)
    assert data["format"] == {"type": "csv", "parse": {"value": "number"}}
    assert data["values"].splitlines()[:3] == ["name,value", '"""0"",', '1",0.5']


@pytest.mark.parametrize("odd", [True, None, ["a"]])
def test_what_csv_cannot_tell_stays_as_it_is(odd: object) -> None:
    rows = [{"name": "a"}] * 40 + [{"name": odd}]
    assert _with_rows(rows) == {"values": rows}
