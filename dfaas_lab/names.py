"""Checks names that people type (options, keys) and suggests the nearest valid one."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import ParamSpec, TypeVar

from dfaas_lab.errors import UnknownName, UnknownOption

_Asked = ParamSpec("_Asked")
_Result = TypeVar("_Result")
_Value = TypeVar("_Value")


def near(name: object, known: Iterable[str]) -> str:
    """Return a question for the nearest name, whatever its case, or nothing.

    >>> near("Duraton", ["duration", "load"])
    "; did you mean 'duration'?"
    """
    by_lower = {one.lower(): one for one in known}
    found = difflib.get_close_matches(str(name).lower(), by_lower, n=1)
    return f"; did you mean {by_lower[found[0]]!r}?" if found else ""


def check_options(
    of: str, given: Iterable[str], known: Sequence[str], *, hint: str | None = None
) -> None:
    """Make sure that options of a call (``"run_k6()"``) exist; the hint lists them by default.

    Raises:
        UnknownOption: One does not exist; the nearest one is named.
    """
    for name in given:
        if name not in known:
            raise UnknownOption(
                f"{of} has no option {name!r}{near(name, known)}",
                hint=hint or f"Its options are: {', '.join(known)}.",
            )


def known_options(function: Callable[_Asked, _Result]) -> Callable[_Asked, _Result]:
    """Refuse an option that is not in a function's signature, and name the nearest that is."""
    options = [name for name in inspect.signature(function).parameters if name != "self"]

    @functools.wraps(function)
    def checked(*args: _Asked.args, **keywords: _Asked.kwargs) -> _Result:
        check_options(f"{function.__name__}()", keywords, options)
        try:
            return function(*args, **keywords)
        except RuntimeError as error:
            # CPython 3.11 hides so an interrupt of an import, where that makes a dataclass.
            if isinstance(error.__cause__, KeyboardInterrupt):
                raise KeyboardInterrupt from error
            raise

    return checked


class Named(dict[str, _Value]):
    """A mapping by name, which says what of a kind (``"target"``) is there where a name is not."""

    def __init__(self, kind: str, values: Iterable[tuple[str, _Value]] = ()) -> None:
        super().__init__(values)
        self._kind = kind

    def __missing__(self, name: object) -> _Value:
        raise UnknownName(
            f"there is no {self._kind} {name!r}{near(name, self)}",
            hint=f"There are: {', '.join(self) or 'none'}.",
        )

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)
