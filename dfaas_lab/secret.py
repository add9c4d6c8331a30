"""The type ``Secret``: passwords, tokens and environment values that no repr shows.

A :class:`Secret` is a text for whoever uses it (a library that encodes or sends it), and ``***``
for whoever prints it: ``str()``, a repr, an f-string, the local variables in some tracebacks.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

HIDDEN = "***"
Class = TypeVar("Class", bound=type)
Function = TypeVar("Function", bound=Callable[..., Any])


class Secret(str):
    """A text that is not shown; :func:`plain` returns it.

    >>> secret = Secret("open sesame")
    >>> f"{secret}", [secret], secret == "open sesame"
    ('***', ['***'], True)
    """

    __slots__ = ()

    def __new__(cls, text: object = "") -> Secret:
        """Seal a text; one that is sealed already keeps what it is, not what it shows."""
        return super().__new__(cls, plain(text))

    def __repr__(self) -> str:
        return repr(HIDDEN)

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __getitem__(self, key: Any) -> Secret:
        # Who shortens a long text to show it shows a part of it.
        return Secret(super().__getitem__(key))

    def __add__(self, other: str) -> Secret:
        return Secret(super().__add__(plain(other)))

    def __radd__(self, other: str) -> Secret:
        return Secret(plain(other) + plain(self))

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> SecretBytes:
        """Return its bytes, which are not shown either."""
        return SecretBytes(super().encode(encoding, errors))


class SecretBytes(bytes):
    """Bytes that are not shown, nor are those that they become a part of."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return found if isinstance(found, int) else SecretBytes(found)

    def __add__(self, other: Any) -> SecretBytes:
        return SecretBytes(super().__add__(other))

    def __radd__(self, other: Any) -> SecretBytes:
        return SecretBytes(b"".join((other, self)))

    def __repr__(self) -> str:
        return repr(HIDDEN.encode())

    def __str__(self) -> str:
        return HIDDEN


def plain(text: object) -> str:
    """Return a text as one that is shown: only where that is meant, or where it is sent away."""
    return str.__str__(text) if isinstance(text, str) else str(text)


def sealed(value: Any) -> Any:
    """Return a value with every text in it as a secret; the keys of mappings stay plain.

    >>> sealed({"TOKEN": "abc", "n": 1}), sealed(("admin", "pw")), sealed(None)
    ({'TOKEN': '***', 'n': 1}, ('***', '***'), None)
    """
    if isinstance(value, Secret | SecretBytes):
        return value
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, bytes):
        return SecretBytes(value)
    if isinstance(value, Mapping):
        return {key: sealed(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(map(sealed, value)) if type(value) in (tuple, list) else value
    return value


def seals(*names: str) -> Callable[[Class], Class]:
    """Decorate a class whose constructor takes secrets under these names, by keyword.

    They are sealed before the constructor runs: what it refuses shows none of them in the local
    variables of its frames.
    """

    def decorate(kind: Class) -> Class:
        kind.__init__ = sealing(*names)(kind.__init__)  # type: ignore[misc]
        return kind

    return decorate


def sealing(*names: str) -> Callable[[Function], Function]:
    """Decorate a function that takes secrets under these names, by keyword; see :func:`seals`."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*given: Any, **named: Any) -> Any:
            for name in names:
                if name in named:
                    named[name] = sealed(named[name])
            return function(*given, **named)

        return call  # type: ignore[return-value]

    return decorate


def without_locals(error: BaseException) -> None:
    """Clear the local variables of an error's frames that have ended, and of its causes'.

    Libraries keep what they send there as plain bytes, and some tracebacks show it.
    """
    for one in _causes(error):
        traceback.clear_frames(one.__traceback__)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def credentials(auth: Any) -> tuple[tuple[Secret, Secret] | None, str]:
    """Return a user and a password that may be sent, and what is wrong where they may not.

    Nothing is raised here, where they are not sealed yet: who asks overwrites its own plain ones
    with the answer, and raises then.

    >>> credentials(("admin", "pw")), credentials(None), credentials("pw")
    ((('***', '***'), ''), (None, ''), (None, 'it is one text, not a pair'))
    """
    if auth is None:
        return None, ""
    if isinstance(auth, str | bytes):
        return None, "it is one text, not a pair"
    if not isinstance(auth, tuple | list) or len(auth) != 2:
        return None, "it is no pair"
    user, password = auth
    problem = _problem(user, "user") or _problem(password, "password")
    if not problem and ":" in user:
        problem = "a ':' in the user would end it (RFC 7617)"
    return (None, problem) if problem else ((sealed(user), sealed(password)), "")


def _problem(text: object, what: str) -> str:
    if not isinstance(text, str):
        return f"the {what} is a {type(text).__name__}, no text"
    if any(c < " " or c == "\x7f" for c in text):
        return f"the {what} holds a control character"
    if any("\ud800" <= c <= "\udfff" for c in text):
        return f"the {what} cannot be sent as UTF-8"
    return ""
