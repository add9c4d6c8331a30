"""Masks known secret values in any text, however a program wrote them. Pure.

What goes under the name of a secret is hidden by :mod:`dfaas_lab.redaction`; here the values
themselves are known: those of a script's environment.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

from dfaas_lab.redaction import masked, names_a_secret
from dfaas_lab.secret import HIDDEN, plain

# Who hides these hides every number and every "true" of a log, and no secret is so short.
_PLAIN = re.compile(
    r".{0,3}|[-+]?\d{1,5}(?:\.\d{1,5})?|(?:\d{1,5}(?:\.\d{1,3})?(?:ms|us|s|m|h))+|true|false|none|null",
    re.IGNORECASE | re.DOTALL,
)
# Shorter values are hidden as whole words only: "test" would else be a hole in "latest".
_WORD = 6
# A line of a longer text (a private key) that is long enough to be found by itself.
_LINE = 12


class SecretValues:
    """Values that must not be shown or stored.

    Args:
        env: The values by name. Numbers, durations, ``true`` and the like are no secrets, unless
            their name says so.
        public: Values that are known anyway (a gateway's URL, a function's name): they stay.

    Example:
        >>> SecretValues({"TOKEN": "xyzzy-1", "VUS": "20"}).masked('20 VUs, "Bearer xyzzy-1"')
        '20 VUs, "Bearer ***"'
    """

    def __init__(self, env: Mapping[str, str], public: Iterable[str] = ()) -> None:
        known = set(public)
        hidden = {
            plain(value)
            for name, value in env.items()
            if plain(value) not in known and _is_secret(name, plain(value).strip())
        }
        forms = {form for value in hidden for form in _forms(value)}
        # The longest first: a value may be a part of another.
        self._forms = sorted(forms, key=lambda form: (-len(form), form))

    def __bool__(self) -> bool:
        return bool(self._forms)

    def __repr__(self) -> str:
        return f"<{len(self._forms)} forms of secret values>"

    def masked(self, text: str) -> str:
        """Return a text without them, and without what URLs in it hold that may be secret."""
        return masked(self.hidden_in(text))

    def hidden_in(self, text: str) -> str:
        """Return a text without them."""
        for form in self._forms:
            if form in text:
                is_word = len(form) < _WORD
                text = _word(form).sub(HIDDEN, text) if is_word else text.replace(form, HIDDEN)
        return text

    def hidden_in_bytes(self, content: bytes) -> bytes:
        """Return a file's content without them."""
        if not any(form.encode() in content for form in self._forms):
            return content
        # Other bytes than UTF-8's come back as they were.
        text = content.decode(errors="surrogateescape")
        return self.hidden_in(text).encode(errors="surrogateescape")


NO_SECRETS = SecretValues({})
"""Nothing is known that must be hidden."""


def _is_secret(name: str, value: str) -> bool:
    return bool(value) and (names_a_secret(name) or not _PLAIN.fullmatch(value))


def _forms(value: str) -> Iterator[str]:
    """A value as programs write it: plain, in JSON, in a URL, in HTML, in base64, by lines."""
    value = value.strip()
    lines = [line.strip() for line in value.splitlines()]
    for text in (value, *(line for line in lines if len(line) >= _LINE and line != value)):
        in_json = {_in_json(text, ascii_) for ascii_ in (True, False)}
        yield text
        yield from in_json
        for one in in_json:  # JSON in a line of a log
            yield from (_in_json(one, ascii_) for ascii_ in (True, False))
        yield from {
            quote(text, safe=""),
            quote(text),
            quote_plus(text),
            quote(text, safe=":/?&=@,;+"),
        }
        yield from {html.escape(text), html.escape(text, quote=False)}
    yield from _in_base64(value.encode())


def _in_json(text: str, ascii_: bool) -> str:
    return json.dumps(text, ensure_ascii=ascii_)[1:-1]


def _in_base64(content: bytes) -> Iterator[str]:
    """What is sure to be in the base64 of any text that holds this one (``user:password``)."""
    if len(content) < _WORD:
        return
    for before in range(3):
        # The first and the last characters hold bits of what stands beside it.
        packed = base64.b64encode(b"\0" * before + content)
        first = (0, 2, 3)[before]
        last = (before + len(content)) * 8 // 6
        sure = packed[first:last].decode()
        yield from {sure, sure.replace("+", "-").replace("/", "_")}


def _word(form: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])")
