"""Text from outside (hosts, gateways, files) made safe to print, and reprs that never fail.

An escape sequence can move the cursor, write the clipboard or hide what was printed; a
bidirectional mark can make a line read as another one.
"""

from __future__ import annotations

import functools
import logging
import unicodedata
from collections.abc import Callable
from typing import TypeVar

_REPLACEMENT = "\ufffd"
_Self = TypeVar("_Self")

log = logging.getLogger(__name__)


def printable(value: object) -> str:
    r"""Return ``str()`` of a value as one line without control characters and invisible marks.

    >>> printable("a\x1b[2Jb\nc") == "a\ufffd[2Jb\ufffdc"
    True
    """
    text = str(value)
    return text if text.isprintable() else "".join(map(_shown, text))


def printable_lines(value: object) -> str:
    r"""Return a value as :func:`printable` does, but keep its line ends and tabs.

    >>> printable_lines("a\x1b[2J\r\nb\tc") == "a\ufffd[2J\nb\tc"
    True
    """
    text = str(value)
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    return "".join(c if c in "\n\t" else _shown(c) for c in text)


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    # Other blanks than the usual one (a no-break space) do no harm.
    return " " if unicodedata.category(character) == "Zs" else _REPLACEMENT


def safe_repr(method: Callable[[_Self], str]) -> Callable[[_Self], str]:
    """Make a method a ``__repr__`` that never raises and holds no control characters."""

    @functools.wraps(method)
    def shown(self: _Self) -> str:
        try:
            return printable_lines(method(self))
        except Exception:
            log.debug("a repr failed", exc_info=True)
            return f"<{type(self).__name__}>"

    return shown


def safe_html(method: Callable[[_Self], str]) -> Callable[[_Self], str | None]:
    """Make a method a ``_repr_html_`` that never raises: a notebook shows the repr instead."""

    @functools.wraps(method)
    def shown(self: _Self) -> str | None:
        try:
            return method(self)
        except Exception:
            log.debug("a card failed", exc_info=True)
            return None

    return shown
