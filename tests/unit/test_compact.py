"""A specification that takes less room draws the same picture."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dfaas_lab.display.bundles import Spec, png, spec_of
from dfaas_lab.display.compact import compact
from tests.unit.chart_gallery import every_chart

CHARTS = every_chart()


@pytest.mark.parametrize("name", list(CHARTS))
def test_the_picture_is_the_same_and_what_is_saved_is_smaller(name: str) -> None:
    whole = spec_of(CHARTS[name]())
    small = Spec(compact(whole))
    assert png(small) == png(whole)
    assert _saved(small) < _saved(whole)


def _saved(spec: Spec) -> int:
    # As Jupyter saves it: inside a notebook, which is indented.
    return len(json.dumps([[[[[[spec]]]]]], indent=1))


def _with_rows(rows: list[dict[str, Any]]) -> tuple[Any, Any]:
    small = compact({"data": {"name": "d"}, "datasets": {"d": rows}})
    return small["datasets"]["d0"], small["data"].get("format")


def test_null_is_no_zero_and_a_text_is_no_number() -> None:
    rows = [{"name": f'"{at}",\n1', "value": None if at % 2 else 0.5} for at in range(40)]
    table, form = _with_rows(rows)
    assert form == {"type": "csv", "parse": {"value": "number"}}
    assert table.splitlines()[:3] == ["name,value", '"""0"",', '1",0.5']


@pytest.mark.parametrize("odd", [True, None, ["a"]])
def test_what_csv_cannot_tell_stays_as_it_is(odd: object) -> None:
    rows = [{"name": "a"}] * 40 + [{"name": odd}]
    assert _with_rows(rows) == (rows, None)
