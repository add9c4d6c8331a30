"""Redaction: which values may be shown and stored, by their names. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from dfaas_lab.secret import HIDDEN, plain

# Headers whose values cannot be a secret, and change what is measured.
SAFE_HEADERS = frozenset(
    (
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-encoding",
        "content-language",
        "content-type",
        "user-agent",
    )
)
# Anywhere in a name, and as a word of it: "monkey" has no key, "X-Functions-Key" has one.
_PARTS = re.compile(
    r"pass(?:word|wd|phrase|code)|secret|token|authori[sz]ation|cookie|credential|signature|bearer"
    r"|session|(?:api|private|access|auth|shared|account|subscription)[-_. ]?key|jwt",
    re.IGNORECASE,
)
_WORDS = frozenset(
    ("auth", "hmac", "key", "keys", "otp", "pass", "pin", "pw", "pwd", "sas", "sid", "sig")
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_USER_IN_URL = re.compile(r"(?<=://)[^/?#\s]*@")
_PARAMETER = re.compile(r"([?&;#])([^=?&;#\s]*=[^&#\s]*)")
_NAME = re.compile(r"[?&;#]([^=?&;#\s]*)=")
# A long row of letters and digits under a harmless name is more likely a key than a word.
_ROW = re.compile(r"[A-Za-z0-9_.~+/=-]{20,}")
_LETTER, _DIGIT = re.compile(r"[A-Za-z]"), re.compile(r"[0-9]")


def names_a_secret(name: str) -> bool:
    """Whether what goes under a name is a password, a token or the like.

    >>> names_a_secret("X-Api-Key"), names_a_secret("pwd"), names_a_secret("X-Node")
    (True, True, False)
    """
    plain = _decoded(name)
    words = (word.casefold() for word in _WORD.findall(plain))
    # The code of a login is one; an exit_code is none.
    return bool(_PARTS.search(plain)) or plain.casefold() == "code" or not _WORDS.isdisjoint(words)


def redacted(headers: Mapping[str, str], safe: Iterable[str] = ()) -> dict[str, str]:
    """Return headers with their values hidden, but those that are named safe.

    >>> redacted({"Authorization": "Bearer abc", "Content-Type": "text/plain"})
    {'Authorization': '***', 'Content-Type': 'text/plain'}
    """
    shown = SAFE_HEADERS | {name.casefold() for name in safe if not names_a_secret(name)}
    return {
        name: plain(value) if name.casefold() in shown else HIDDEN
        for name, value in headers.items()
    }


def masked(text: str) -> str:
    """Return a text with the users, passwords and tokens of the URLs in it hidden.

    Of a query, the values are hidden that go under the name of a secret, look like a key, or hold
    such a URL themselves; however they are written.

    >>> masked("http://admin:pw@host/function/env?x=1&api_key=abc")
    'http://***@host/function/env?x=1&api_key=***'
    >>> masked("/?n=10;to%6ben=abc")
    '/?n=10;to%6ben=***'
    """
    return _PARAMETER.sub(_hidden, _USER_IN_URL.sub(f"{HIDDEN}@", text))


def _hidden(found: re.Match[str]) -> str:
    """Parameters as they may be stored; a ';' may end one, or be a part of its value."""
    shown = []
    pieces = found[2].split(";")
    for index, piece in enumerate(pieces):
        name, equals, value = piece.partition("=")
        if equals and names_a_secret(name) and (value or pieces[index + 1 :]):
            shown.append(f"{name}={HIDDEN}")
            break
        secret = _looks_secret(_decoded(value if equals else name))
        shown.append((f"{name}={HIDDEN}" if equals else HIDDEN) if secret else piece)
    return found[1] + ";".join(shown)


def _looks_secret(value: str) -> bool:
    return (
        any(_LETTER.search(row) and _DIGIT.search(row) for row in _ROW.findall(value))
        or _USER_IN_URL.search(value) is not None
        or any(names_a_secret(name) for name in _NAME.findall(value))
    )


def _decoded(text: str) -> str:
    # Twice: what is decoded twice on its way was encoded twice.
    return unquote(unquote(text))
