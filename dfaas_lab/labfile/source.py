"""The source of a lab file: its lines in errors, its paths, placeholders and secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import yaml

from dfaas_lab.errors import ConfigError
from dfaas_lab.labfile import text
from dfaas_lab.labfile.text import Place
from dfaas_lab.secret import Secret
from dfaas_lab.validation import in_url, nearest, url_problem

_BRACES = re.compile(r"\{([^{}]*)\}")
# Each line is looked up in the file's text.
_MOST_PROBLEMS = 20
T = TypeVar("T")


class PlacedError(ConfigError):
    """A ``ConfigError`` that already says in which file and where."""


@dataclass(frozen=True)
class Source:
    """A file, the environment variables it may use, and its text where lines can be told.

    ``theirs`` names the places of another tool's file for those of our keys.
    """

    path: Path
    env: Mapping[str, str] = field(repr=False)
    content: str = field(default="", repr=False)
    theirs: Mapping[Place, Place] = field(default_factory=dict, repr=False)

    def where(self, place: Place) -> str:
        """The file, the line and the place, for an error."""
        place = self._named(place)
        number = text.line(self._nodes, place) if self.content and place else None
        shown = f"{self.path}:{number}" if number else str(self.path)
        return f"{shown}: {text.show(place)}" if place else shown

    @cached_property
    def _nodes(self) -> yaml.Node | None:
        return text.nodes(self.content)

    def _named(self, place: Place) -> Place:
        """The place as the file has it: the longest known beginning is replaced."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.theirs:
                return (*self.theirs[place[:length]], *place[length:])
        return place

    def refused(self, *found: tuple[Place, str]) -> ConfigError:
        """The error for these problems, each with its place."""
        lines = [f"{self.where(place)}: {words}" for place, words in found[:_MOST_PROBLEMS]]
        if len(found) > _MOST_PROBLEMS:
            lines.append(f"{self.path}: {len(found) - _MOST_PROBLEMS} more problems")
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

    def file(self, value: str, address: str | None, place: Place) -> Path:
        """A path of this machine: ``~`` is the user's home, the rest is relative to the file."""
        filled = self.filled(value, address, place)
        try:
            return self.path.parent / Path(filled).expanduser()
        except RuntimeError:
            raise self.refused((place, f"there is no home for {filled}")) from None

    def url(self, value: str, address: str | None, place: Place) -> str:
        """A URL of http or https, without a password, its placeholders filled."""
        filled = self.filled(value, address and in_url(address), place)
        problem = url_problem(filled)
        if problem:
            raise self.refused((place, problem))
        return filled

    def filled(self, value: str, address: str | None, place: Place) -> str:
        """Put a host's address in for ``{host}`` and ``{host.address}``."""
        known = ("{host}", "{host.address}")
        if "{{" in value:
            raise self.refused((place, "write a placeholder in single braces: {host}"))
        for found in _BRACES.finditer(value):
            if found.group() not in known:
                raise self.refused((place, nearest(found.group(), known, "placeholder")))
            if address is None:
                raise self.refused((place, f"{found.group()} needs the target's 'host'"))
        return _BRACES.sub(lambda _: address or "", value)

    def expanded(self, data: Any) -> Any:
        """The data with environment variables put in; one that is not set is refused."""
        return text.expand(data, self._variable)

    def secret(self, plain: str | None, name: str | None, place: Place) -> str | None:
        """A secret, given plainly or as the name of an environment variable."""
        if plain is not None and name is not None:
            raise self.refused((place, f"give {place[-1]} or {place[-1]}_env, not both"))
        if name is None:
            return plain
        place = (*place[:-1], f"{place[-1]}_env")
        if not text.is_name(name):  # it is not shown: it may be the password itself
            raise self.refused((place, "give the name of an environment variable, not its value"))
        value = Secret(self._variable(name, place))
        if not value:
            raise self.refused((place, f"the environment variable {name} is empty"))
        return value

    def _variable(self, name: str, place: Place) -> str:
        if not text.is_name(name):
            if self.theirs:
                return f"${{{name}}}"  # it means nothing to the existing tools
            words = "write an environment variable as ${NAME}, and a literal ${ as $${"
            raise self.refused((place, words))
        return self.at(place, lambda: text.variable(name, self.env))
