"""The frame that ``check()`` returns: a notebook shows all of its text."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from dfaas_lab.display.cards import card, chip, text

_CHIPS = {True: ("ok", "good"), False: ("lacks", "bad"), None: ("optional", "doubt")}


_COLUMNS = ("", "host", "check", "found")


class CheckFrame(pl.DataFrame):
    """The rows ``host, check, ok, detail, fix``; shown with what is lacking first, uncut."""

    def _repr_html_(self, *, _from_series: bool = False) -> str:
        try:
            return _shown(self.rows())
        except Exception:  # a display never fails: other columns, for instance
            return super()._repr_html_()


def _shown(rows: Sequence[tuple[str, str, bool | None, str, str]]) -> str:
    ranked = sorted(rows, key=lambda row: (row[2] is True, row[2] is None))
    body = "".join(_row(*row) for row in ranked)
    lacking = sum(row[2] is False for row in rows)
    head = chip(f"{lacking} lacking", "bad") if lacking else chip("nothing is lacking", "good")
    table = (
        "<table><thead><tr>"
        + "".join(f'<th style="text-align:left">{one}</th>' for one in _COLUMNS)
        + f"</tr></thead><tbody>{body}</tbody></table>"
    )
    return card(f"{len(rows)} checks", {}, state=head, below=table if rows else "")


def _row(host: str, check: str, ok: bool | None, detail: str, fix: str) -> str:
    found = text(detail or "")
    if ok is not True and fix:
        found += f"<br><b>{text(fix)}</b>"
    cells = (chip(*_CHIPS[ok]), text(host), text(check), found)
    left = "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells)
    return f"<tr>{left}</tr>"
