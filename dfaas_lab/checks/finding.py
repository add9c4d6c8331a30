"""One finding of a check: good or not, and what to do. It checks nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import polars as pl

from dfaas_lab.display.check_frame import CheckFrame
from dfaas_lab.display.words import count
from dfaas_lab.errors import DfaasLabError


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
