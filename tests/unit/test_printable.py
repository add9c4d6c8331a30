"""What others say is made printable, once, in whatever a person reads."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfaas_lab import errors
from dfaas_lab.printable import printable, printable_lines

HOSTILE = {
    "a cleared screen": "\x1b[2J",
    "the clipboard": "\x1b]52;c;ZWNobw==\x07",
    "the window's title": "\x1b]0;pwn\x07",
    "C1 instead of ESC": "\x9b2J",
    "a C1 string": "\x9d52;c;ZWNobw==\x9c",
    "a line turned round": "\u202egnp.exe",
    "isolated directions": "\u2066a\u2069",
    "an Arabic letter mark": "\u061c",
    "invisible letters": "a\u200bb\ufeffc\u2060",
    "tag characters": "\U000e0041\U000e0042",
    "backspaces": "safe\x08\x08\x08\x08evil",
    "a line written over": "harm\rnone",
    "half a surrogate pair": "\ud800",
    "a line separator": "a\u2028b",
    "a bell and a null": "\x07\x00",
}


def of_every_class(text: str) -> list[errors.DfaasLabError]:
    """One error of each class, with the text in each of its texts."""
    made = []
    for kind in vars(errors).values():
        if inspect.isclass(kind) and issubclass(kind, errors.DfaasLabError):
            names = inspect.signature(kind).parameters
            given = {name: text for name in names if name not in ("exit_code", "failures")}
            made.append(kind(**given, **({"exit_code": 1} if "exit_code" in names else {})))
    assert len(made) > 20
    return made


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_error_carries_it_to_a_terminal(text: str) -> None:
    for error in of_every_class(f"before {text} after"):
        for shown in (str(error), error.message, error.hint, repr(error), *map(str, error.args)):
            assert shown == printable_lines(shown)
            assert text not in shown
            assert "before" in shown


@given(st.text())
def test_it_is_printable_and_as_long_or_shorter(text: str) -> None:
    assert printable(text).isprintable()
    assert len(printable(text)) == len(text)
    assert all(c.isprintable() or c in "\n\t" for c in printable_lines(text))
    if text.isprintable():
        assert printable(text) == printable_lines(text) == text


def test_lines_and_blanks_stay() -> None:
    assert printable_lines("a\r\nb\tc\n") == "a\nb\tc\n"
    assert printable("10\u00a0000 \u00e9 \u65e5\u672c") == "10 000 \u00e9 \u65e5\u672c"


def test_a_text_without_end_is_cut_in_the_middle() -> None:
    text = str(errors.RemoteError("begins" + "x" * 10**7 + "ends", host="h"))
    assert len(text) < 21_000
    assert text.startswith("begins")
    assert text.endswith("ends")
    assert "characters ..." in text
