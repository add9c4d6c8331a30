"""An object as HTML: a card with its title, state and facts, or nested data as a tree.

Both read in a light and a dark theme: text and frame have the theme's colours (JupyterLab's
variables, where there are any), a state has its own background.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dfaas_lab.printable import printable_lines, safe_html

_FRAME = (
    "display:inline-block;max-width:100%;padding:6px 12px;border-radius:4px;"
    "border:1px solid var(--jp-border-color1,#9e9e9e);color:var(--jp-ui-font-color1,inherit)"
)
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
    "finished": "good",
    "new": "under way",
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


def card(
    title: str,
    facts: Mapping[str, object],
    *,
    state: str = "",
    troubles: Iterable[str] = (),
    below: str = "",
) -> str:
    """Return a card.

    Args:
        title: What it is.
        facts: Its facts by name; what is None or empty is left out.
        state: A chip, made by :func:`chip`.
        troubles: What is wrong, a line each; they come first.
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
    return f'<div style="{_FRAME}">{head}{bullets(troubles)}{table}{below}</div>'


def folded(what: str, lines: Sequence[str]) -> str:
    """Return lines that are shown by a click: what is good to know, but no trouble."""
    if not lines:
        return ""
    number = f"{len(lines)} {what}{'' if len(lines) == 1 else 's'}"
    return f"<details><summary>{text(number)}</summary>{bullets(lines)}</details>"


def bullets(lines: Iterable[str]) -> str:
    """Return lines as a list; a line's own line ends stay."""
    items = "".join(f'<li style="white-space:pre-wrap">{text(line)}</li>' for line in lines)
    return f'<ul style="margin:0;padding-left:1.2em">{items}</ul>' if items else ""


class Nested(dict[str, Any]):
    """A mapping that a notebook shows as a tree; a dict like any other everywhere else."""

    @safe_html
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
