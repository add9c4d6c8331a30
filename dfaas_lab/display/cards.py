"""What an object is, as a compact card of HTML: a title, its state, and its facts in two columns.

A card reads in a light and a dark theme: text has the theme's colour, a state its own ground.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dfaas_lab.display.tables import text

# White on each of these has a contrast of 4.5 or more.
_GROUNDS = {"good": "#1B7F4B", "doubt": "#A94C05", "bad": "#B42318", "under way": "#1D5FA8"}
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


def chip(state: str, kind: str | None = None) -> str:
    """Return a state in a word, on a ground of its own.

    Args:
        state: The word.
        kind: ``good``, ``doubt``, ``bad`` or ``under way``; None goes by the word.
    """
    ground = _GROUNDS[kind or _STATES.get(state, "doubt")]
    style = f"background:{ground};color:#fff;padding:1px 7px;border-radius:9px"
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
