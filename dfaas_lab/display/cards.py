"""An object as HTML: a card with its title, state and facts, or nested data as a tree.

Both read in a light and a dark theme: text has the theme's colour, a state its own background.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dfaas_lab.printable import printable_lines

# White on each of these has a contrast of 4.5 or more.
_BACKGROUNDS = {"good": "#1B7F4B", "doubt": "#A94C05", "bad": "#B42318", "under way": "#1D5FA8"}
_STATES = {
    "VALID": "good",
    "DOUBTFUL": "doubt",
    "RUNNING": "under way",
    "ok": "good",
    "running": "under way",
    "lost": "doubt",
    "interrupted": "doubt",
    "slo_failed": "doubt",
    "failed": "bad",
    "timed_out": "bad",
}
_TREE = "margin-left:1em;text-align:left"


def text(value: object) -> str:
    """Return a value as HTML text: escaped, and without control characters."""
    return html.escape(printable_lines(value))


def chip(state: str, kind: str | None = None) -> str:
    """Return a state in a word, on a background of its own.

    Args:
        state: The word.
        kind: ``good``, ``doubt``, ``bad`` or ``under way``; None goes by the word.
    """
    background = _BACKGROUNDS[kind or _STATES.get(state, "doubt")]
    style = f"background:{background};color:#fff;padding:1px 7px;border-radius:9px"
    return f'<b style="{style}">{text(state)}</b>'


def card(title: str, facts: Mapping[str, object], *, state: str = "", below: str = "") -> str:
    """Return a card.

    Args:
        title: What it is.
        facts: Its facts by name; what is None or empty is left out.
        state: A chip, made by :func:`chip`.
        below: More HTML, already escaped.
    """
    rows = "".join(
        f'<tr><td style="text-align:left">{text(name)}</td>'
        f'<td style="text-align:left">{text(value)}</td></tr>'
        for name, value in facts.items()
        if value not in (None, "")
    )
    head = f"{state} &nbsp; <b>{text(title)}</b>" if state else f"<b>{text(title)}</b>"
    table = f"<table><tbody>{rows}</tbody></table>" if rows else ""
    return f"<div>{head}{table}{below}</div>"


def bullets(lines: Iterable[str]) -> str:
    """Return lines as a list."""
    return "".join(f"<div>\u2022 {text(line)}</div>" for line in lines)


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
                f'<details style="{_TREE}"><summary>{html.escape(str(name))}</summary>'
                f"{''.join(_entries(value))}</details>"
            )
        else:
            shown = html.escape(_shown(value))
            yield f'<div style="{_TREE}">{html.escape(str(name))}: <code>{shown}</code></div>'


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None or value == {} else str(value)
