"""The traceback of an error in a notebook: the cell's line, the message and the hint.

These are 15 lines at most. IPython asks an exception for its traceback (``_render_traceback_``).
Scripts never come here.
"""

from __future__ import annotations

import linecache
import sys
import traceback
from collections.abc import Iterator, Sequence
from types import FrameType, TracebackType
from typing import Any

from dfaas_lab.printable import printable

MOST_LINES = 15
_PLACES = 3  # frames of the user's own code that are shown
_WIDEST = 600  # characters of a line: a longer one fills the screen by itself
_RED, _GREEN, _PLAIN = "\x1b[1;31m", "\x1b[32m", "\x1b[0m"
_PACKAGE = __name__.partition(".")[0]


def notebook_traceback(error: BaseException, kept: str = "") -> list[str]:
    """Return the lines that a notebook shows for an error.

    Args:
        error: The error, as it was raised.
        kept: What was measured before it and where that is; empty for nothing.
    """
    if _asked_for_all(sys._getframe()):
        return _whole(error)
    places = list(_places(error.__traceback__))
    more = f"{_GREEN}%tb{_PLAIN} shows where in {_PACKAGE} it was raised."
    after = [*([_line(kept)] if kept else []), more]
    said = _said(error)
    room = MOST_LINES - len(places) - len(after)
    first, *others = _shortened(said, room)
    name, _, words = first.partition(":")
    return [*places, f"{_RED}{name}{_PLAIN}:{words}", *others, *after]


def _said(error: BaseException) -> list[str]:
    notes: Sequence[str] = getattr(error, "__notes__", ())
    text = "\n".join([f"{type(error).__name__}: {error}", *map(str, notes)])
    return [_line(line) for line in text.splitlines() if line.strip()]


def _shortened(lines: list[str], room: int) -> list[str]:
    """Leave out the middle: the first lines say what happened, the last ones what to do."""
    if len(lines) <= room:
        return lines
    ends = room - 1 - room // 3
    left = len(lines) - room // 3 - ends
    return [*lines[: room // 3], f"[{left} more lines: %tb]", *lines[-ends:]]


def _line(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _WIDEST else f"{shown[:_WIDEST]}\u2026"


def _places(trace: TracebackType | None) -> Iterator[str]:
    """Name the lines of the cell, and of the user's own modules, that led to the error."""
    own = list(_own_frames(trace))
    for frame, number in [*own[:1], *own[1:][1 - _PLACES :]]:
        code = frame.f_code
        source = linecache.getline(code.co_filename, number, frame.f_globals).strip()
        where = "" if frame.f_globals.get("__name__") == "__main__" else f"{code.co_filename}, "
        yield f"{_GREEN}----> {_line(where)}{number}{_PLAIN} {_line(source)}"


def _own_frames(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    """The frames between IPython's and this package's."""
    while trace is not None:
        package = _package_of(trace.tb_frame)
        if package == _PACKAGE:
            return
        if package not in ("IPython", "ipykernel"):
            yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _package_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _asked_for_all(frame: FrameType | None) -> bool:
    """Whether it is the magic ``%tb`` that asks: IPython asks the exception then, too."""
    while frame is not None:
        if frame.f_code.co_name == "tb" and _package_of(frame) == "IPython":
            return True
        frame = frame.f_back
    return False


def _whole(error: BaseException) -> list[str]:
    kind, trace = type(error), error.__traceback__
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return traceback.format_exception(kind, error, trace)
    lines: list[str] = shell.InteractiveTB.structured_traceback(kind, error, trace, tb_offset=1)
    return lines
