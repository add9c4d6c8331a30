"""Whether a threshold with ``abortOnFail`` ended an iteration before its time, by k6's log."""

from __future__ import annotations

import re
from pathlib import Path

from dfaas_lab.analysis.verdict import Doubt
from dfaas_lab.errors import ConfigError
from dfaas_lab.load import seconds

# k6 says it in its last lines, below its summary.
_LAST_BYTES = 1 << 18
_BAR = re.compile(r"\[ {0,3}\d{1,3}% \] [^/\n]{0,80}? ([\dhms.]{1,20})/([\dhms.]{1,20})(?: |$)")


def cut_short_doubt(where: str, log: Path) -> list[Doubt]:
    """The doubt about an iteration that ended before its time; none where it did not.

    Args:
        where: The iteration, in words.
        log: Its ``k6.log``.
    """
    lines = _last_lines(log)
    if not any(map(_is_abort, lines)):
        return []
    bars = [found for line in lines[-200:] if (found := _BAR.search(line[:500]))]
    times = [(_seconds(bar[1]), _seconds(bar[2])) for bar in bars]
    if not times:
        return [Doubt(f"{where}: ended by a threshold", "a part", "all of its time")]
    planned = max(total for _, total in times)
    ran = max(elapsed for elapsed, total in times if total == planned)
    what = f"{where}: ended by a threshold"
    return [Doubt(what, f"measured {ran:g} s of {planned:g} s", f"{planned:g} s")]


def _is_abort(line: str) -> bool:
    return "abortOnFail" in line and "level=error" in line and "source=console" not in line


def _last_lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - _LAST_BYTES, 0))
            return file.read(_LAST_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return []


def _seconds(text: str) -> float:
    try:
        return seconds(re.sub(r"\b0+(?=\d)", "", text), what="time")
    except (ConfigError, ValueError):
        return 0.0
