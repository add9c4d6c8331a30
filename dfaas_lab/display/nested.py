"""Nested data as a notebook shows it: a tree that unfolds. It knows nothing of what is in it."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any

_STYLE = "margin-left:1em;text-align:left"


class Nested(dict[str, Any]):
    """A mapping that a notebook shows as a tree; a dict like any other everywhere else."""

    def _repr_html_(self) -> str:
        return f"<div>{''.join(_entries(self))}</div>"


def _entries(mapping: Mapping[str, Any]) -> Iterator[str]:
    for name, value in mapping.items():
        if isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
            value = {f"{number} {one.get('name', '')}": one for number, one in enumerate(value, 1)}
        if isinstance(value, Mapping) and value:
            yield (
                f'<details style="{_STYLE}"><summary>{html.escape(str(name))}</summary>'
                f"{''.join(_entries(value))}</details>"
            )
        else:
            shown = html.escape(_text(value))
            yield f'<div style="{_STYLE}">{html.escape(str(name))}: <code>{shown}</code></div>'


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None or value == {} else str(value)
