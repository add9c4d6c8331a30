"""Where a lab file's words come from: its places in errors, its paths, placeholders and secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from dfaas_lab.errors import ConfigError
from dfaas_lab.labfile import text
from dfaas_lab.labfile.schema import nearest
from dfaas_lab.labfile.text import Place

_BRACES = re.compile(r"\{([^{}]*)\}")
_CREDENTIALS = re.compile(r"//[^/?#]*@")
T = TypeVar("T")


class PlacedError(ConfigError):
    """A ``ConfigError`` that already says in which file and where."""


@dataclass(frozen=True)
class Source:
    """A file, the environment variables it may use, and its text where lines can be told."""

    path: Path
    env: Mapping[str, str] = field(repr=False)
    content: str = field(default="", repr=False)

    def where(self, place: Place) -> str:
        """The file, the line and the place, for an error."""
        number = text.line(self.content, place) if self.content and place else None
        shown = f"{self.path}:{number}" if number else str(self.path)
        return f"{shown}: {text.show(place)}" if place else shown

    def refused(self, *found: tuple[Place, str]) -> ConfigError:
        """The error for these problems, each with its place."""
        lines = [f"{self.where(place)}: {words}" for place, words in found]
        return PlacedError("\n".join(lines), hint="Correct the file; nothing was run.")

    def at(self, place: Place, make: Callable[[], T]) -> T:
        """Make a value; its ``ConfigError`` gets the file and the place put before it."""
        try:
            return make()
        except PlacedError:
            raise
        except ConfigError as error:
            words = f"{self.where(place)}: {error.message}"
            raise PlacedError(words, hint=error.hint) from error.__cause__

    def unique(self, names: Sequence[str], place: Place) -> None:
        """Refuse a list in which a name is given twice."""
        for index, name in enumerate(names):
            if name in names[:index]:
                raise self.refused(((*place, index), f"{name!r} is named twice"))

    def file(self, value: str, place: Place) -> Path:
        """A path of this machine: ``~`` is the user's home, the rest is relative to the file."""
        try:
            return self.path.parent / Path(value).expanduser()
        except RuntimeError:
            raise self.refused((place, f"there is no home for {value}")) from None

    def url(self, value: str, address: str | None, place: Place) -> str:
        """A URL of http or https, without a password, its placeholders filled."""
        filled = self.filled(value, address, place)
        if not filled.startswith(("http://", "https://")):
            raise self.refused((place, "give a URL that begins with http:// or https://"))
        if _CREDENTIALS.search(filled):
            raise self.refused((place, "a URL holds no password: use 'auth'"))
        return filled

    def filled(self, value: str, address: str | None, place: Place) -> str:
        """Put a host's address in for ``{host}`` and ``{host.address}``."""
        known = ("{host}", "{host.address}")
        for found in _BRACES.finditer(value):
            if address is None:
                raise self.refused((place, f"{found.group()} needs the target's 'host'"))
            if found.group() not in known:
                raise self.refused((place, nearest(found.group(), known, "placeholder")))
        return _BRACES.sub(lambda _: address or "", value)

    def secret(self, plain: str | None, name: str | None, place: Place) -> str | None:
        """A secret, given plainly or as the name of an environment variable."""
        if plain is not None and name is not None:
            raise self.refused((place, f"give {place[-1]} or {place[-1]}_env, not both"))
        if name is None:
            return plain
        place = (*place[:-1], f"{place[-1]}_env")
        return self.at((), lambda: text.variable(name, self.env, place))
