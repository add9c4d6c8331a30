"""The findings of a check: good or not, what to do, and the frame that shows all of their text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from dfaas_lab.display.cards import card, chip, text
from dfaas_lab.display.words import count
from dfaas_lab.errors import DfaasLabError

_CHIPS = {True: ("ok", "good"), False: ("lacks", "bad"), None: ("optional", "doubt")}
_COLUMNS = ("", "host", "check", "found")


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Args:
        check: What it is.
        ok: Whether it is good; None where it is not, but can be done without.
        detail: What was found.
        fix: What to do where it is not good.
    """

    check: str
    ok: bool | None
    detail: str
    fix: str = ""


def finding_frame(found: Iterable[tuple[str, Finding]]) -> pl.DataFrame:
    """Return findings, each with the host it is about, as ``host, check, ok, detail, fix``."""
    rows = [(host, f.check, f.ok, f.detail, "" if f.ok else f.fix) for host, f in found]
    columns = {"host": pl.String, "check": pl.String, "ok": pl.Boolean}
    columns |= {"detail": pl.String, "fix": pl.String}
    return CheckFrame(rows, schema=columns, orient="row")


def attempt(check: str, make: Callable[[], Finding]) -> Finding:
    """Look, and return what was found or what kept us from it."""
    try:
        return make()
    except DfaasLabError as error:
        return Finding(check, False, error.message, error.hint)


def lacking(found: pl.DataFrame) -> str:
    """Say how much of what was looked at is lacking, in a few words."""
    bad = found.filter(pl.col("ok").not_()).height
    return f"{count(found.height, 'check')}, {f'{bad} lacking' if bad else 'nothing is lacking'}"


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
