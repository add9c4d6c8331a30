"""Which values may be shown and stored, by the names they go under. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

HIDDEN = "***"
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
_WORDS = (
    r"pass(?:word|wd|phrase)|secret|token|authori[sz]ation|cookie|credential|api[-_ ]?key"
    r"|private[-_ ]?key"
)
_SECRET = re.compile(rf"{_WORDS}|^auth$", re.IGNORECASE)
_USER_IN_URL = re.compile(r"(?<=://)[^/?#\s]*@")
_SECRET_IN_QUERY = re.compile(rf"([?&][^=&#\s]*(?:{_WORDS})[^=&#\s]*=)[^&#\s]+", re.IGNORECASE)


def names_a_secret(name: str) -> bool:
    """Whether what goes under a name is a password, a token or the like.

    >>> names_a_secret("X-Api-Key"), names_a_secret("X-Node")
    (True, False)
    """
    return _SECRET.search(name) is not None


def redacted(headers: Mapping[str, str], safe: Iterable[str] = ()) -> dict[str, str]:
    """Return headers with their values hidden, but those that are named safe.

    >>> redacted({"Authorization": "Bearer abc", "Content-Type": "text/plain"})
    {'Authorization': '***', 'Content-Type': 'text/plain'}
    """
    shown = SAFE_HEADERS | {name.casefold() for name in safe if not names_a_secret(name)}
    return {name: value if name.casefold() in shown else HIDDEN for name, value in headers.items()}


def masked(text: str) -> str:
    """Return a text with the users, passwords and tokens of the URLs in it hidden.

    >>> masked("http://admin:pw@host/function/env?x=1&api_key=abc")
    'http://***@host/function/env?x=1&api_key=***'
    """
    return _SECRET_IN_QUERY.sub(rf"\1{HIDDEN}", _USER_IN_URL.sub(f"{HIDDEN}@", text))
