"""Nested data is a tree in a notebook, and a dict everywhere else."""

from __future__ import annotations

import copy
import html
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dfaas_lab.display.cards import Nested

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)
)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_a_tree_is_drawn_of_anything_and_runs_nothing(data: dict[str, Any]) -> None:
    shown = Nested(data)
    drawn = shown._repr_html_()
    for name in data:
        assert html.escape(name) in drawn
    assert drawn.count("<details") == drawn.count("</details>")
    assert shown == data == json.loads(json.dumps(shown))
    assert copy.deepcopy(shown) == data


def test_markup_is_text() -> None:
    hostile = "<script>alert(1)</script>"
    drawn = Nested({hostile: {"label": hostile, "list": [hostile, {"name": hostile}]}})
    assert "<script" not in drawn._repr_html_()
    assert drawn._repr_html_().count("&lt;script&gt;") == 4


def test_what_is_in_it_can_be_read() -> None:
    drawn = Nested({"orders": {"mid": {"load": {"env": 5.0}}}, "seed": None})._repr_html_()
    assert "<summary>mid</summary>" in drawn
    assert "env: <code>5.0</code>" in drawn
    assert "seed: <code></code>" in drawn
