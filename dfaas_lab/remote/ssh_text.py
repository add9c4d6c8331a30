"""The text of an ssh configuration, and what in it is in force for one host.

It is read as OpenSSH reads it: line by line, the first value of a keyword counts. Paramiko's own
reader was compared with ``ssh -G`` and differs: ``Include`` is ignored, an unknown ``Match``
criterion always matches, ``Match user`` also sees what is said further down, a trailing comment
becomes part of the value. What is not supported is kept as a problem with its file and line, and
matters only where it is in force; which keywords are supported is ``ssh_keywords``'s business.
"""

from __future__ import annotations

import fnmatch
import getpass
import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dfaas_lab.errors import ConfigError
from dfaas_lab.remote.ssh_keywords import is_harmless, is_known, placeholder_problem, problem_of
from dfaas_lab.remote.ssh_tokens import fill_command, host_tokens, succeeds

_LINE = re.compile(r"([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*)", re.DOTALL)
_WORD = re.compile(r"""((?:"[^"]*"|'[^']*'|[^\s"'])+)\s*""")
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_WITHOUT_VALUE = ("all", "canonical", "final")
_MOST_INCLUDES = 16  # one in the other, as in OpenSSH's readconf.c


@dataclass(frozen=True)
class Setting:
    """One line that is in force.

    Args:
        place: Its file and line.
        words: Its value.
        problem: What is wrong with it, if anything.
        command: The value as it is written, where it is a command.
    """

    place: str
    words: tuple[str, ...]
    problem: str = ""
    command: str = ""


@dataclass
class InForce:
    """What a configuration says about one host.

    Args:
        asked: The host as the user named it.
        user: The user that was asked for; None means that the configuration may say it.
        settings: What is in force, by keyword.
        problems: Of what is in force, what is not supported, in the order of the lines.
        final: Whether it is the second look, at which a host goes by its HostName.
        wants_final: Whether a second look is asked for.
    """

    asked: str
    user: str | None = None
    settings: dict[str, list[Setting]] = field(default_factory=dict)
    problems: list[tuple[str, Setting]] = field(default_factory=list)
    final: bool = False
    wants_final: bool = False

    @classmethod
    def of(cls, path: Path, asked: str, user: str | None = None) -> InForce:
        """Return what a file says about a host; ``Match final`` takes a second look, as in ssh.

        Raises:
            ConfigError: It cannot be read, or files include each other without end.
        """
        said = cls(asked, user).read(path)
        if said.wants_final:
            said.final = True
            said.settings.setdefault("hostname", [Setting("", (asked,))])  # it is settled by now
            said.read(path)
        return said

    def read(self, path: Path, *, depth: int = 0) -> InForce:
        """Take over what is in force in a file; one that is not there says nothing.

        Raises:
            ConfigError: It cannot be read, or files include each other without end.
        """
        active = True
        for number, line in enumerate(_text(path, depth).split("\n"), 1):
            found = _LINE.fullmatch(line.strip())
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            place, keyword = f"{path}:{number}", found.group(1).lower() if found else ""
            value = found.group(2) if found else ""
            words = _words(value)
            if keyword == "host" and words:
                active = _matches(words, self._subject("host") if self.final else self.asked)
            elif keyword == "match" and words:
                active = self._match(place, words)
            elif not active or is_harmless(keyword) or self._is_ignored(keyword):
                continue
            elif keyword == "proxycommand":
                self._proxy_command(place, value)
            elif not words:
                self._add("", Setting(place, (), "this line cannot be read"))
            elif keyword == "include":
                self._include(place, words, depth)
            else:
                self._setting(place, keyword, words)
        return self

    def first(self, keyword: str) -> str:
        """The value of a keyword's first word; empty where nothing is said."""
        said = self.settings.get(keyword)
        return said[0].words[0] if said else ""

    def _add(self, keyword: str, setting: Setting) -> None:
        said = self.settings.setdefault(keyword, [])
        # Keys add up; of everything else the first value counts.
        known = [other.words for other in said]
        if not said or (keyword == "identityfile" and setting.words not in known):
            said.append(setting)
            if setting.problem:
                self.problems.append((keyword, setting))

    def _setting(self, place: str, keyword: str, words: tuple[str, ...]) -> None:
        problem = problem_of(keyword, words)
        if keyword == "proxyjump" and "proxycommand" in self.settings:
            return
        if keyword == "hostname":
            words = (words[0].replace("%h", self.asked),)
        self._add(keyword, Setting(place, words, problem))

    def _proxy_command(self, place: str, command: str) -> None:
        """Whichever of ProxyJump and ProxyCommand comes first is in force."""
        if self.first("proxyjump").lower() in ("", "none"):
            wanted = "" if command.lower() == "none" else command
            problem = problem_of("proxycommand", (command,))
            self._add("proxycommand", Setting(place, ("none",), problem, wanted))

    def _include(self, place: str, words: tuple[str, ...], depth: int) -> None:
        problem = placeholder_problem("include", words)
        if problem:
            self._add("include", Setting(place, words, problem))
            return
        for word in words:
            pattern = Path("~/.ssh").expanduser() / Path(word).expanduser()
            for file in sorted(glob.glob(str(pattern))):  # noqa: PTH207 (it may be absolute)
                self.read(Path(file), depth=depth + 1)

    def _is_ignored(self, keyword: str) -> bool:
        """What ssh knows, it does not ignore."""
        patterns = self.first("ignoreunknown").lower().split(",")
        return not is_known(keyword) and _matches(patterns, keyword)

    def _match(self, place: str, words: tuple[str, ...]) -> bool:
        """Whether all criteria are met; one that is not supported is a problem if it decides."""
        unsupported = ""
        rest = iter(words)
        for word in rest:
            negated, name = word.startswith("!"), word.lower().removeprefix("!")
            value = "" if name in _WITHOUT_VALUE else next(rest, "")
            problem = _criterion_problem(name, value)
            if problem or (unsupported and name == "exec"):
                unsupported = unsupported or problem
            elif self._meets(place, name, value) == negated:
                return False
        if unsupported:
            self._add("", Setting(place, (), unsupported))
        return not unsupported

    def _meets(self, place: str, name: str, value: str) -> bool:
        if name == "final":
            self.wants_final = True
            return self.final
        if name in _WITHOUT_VALUE:
            return name == "all"
        if name == "exec":
            return succeeds(fill_command(value, self._tokens(), place), place)
        return _matches(value.split(","), self._subject(name))

    def _tokens(self) -> dict[str, str]:
        return host_tokens(
            self.asked,
            address=self._subject("host"),
            port=self.first("port") or "22",
            user=self._subject("user"),
        )

    def _subject(self, criterion: str) -> str:
        if criterion == "host":
            return self.first("hostname") or self.asked
        if criterion == "user":
            return self.user or self.first("user") or getpass.getuser()
        return self.asked if criterion == "originalhost" else getpass.getuser()


def _criterion_problem(name: str, value: str) -> str:
    if name == "exec":
        return placeholder_problem("match exec", (value,))
    if name in (*_WITHOUT_VALUE, "host", "originalhost", "user", "localuser"):
        return ""
    return f"Match {name} is not supported: write Host or Match host"


def _text(path: Path, depth: int) -> str:
    """Return a file's text; like ssh, pass over what is not there, or is included and not ours."""
    if depth > _MOST_INCLUDES:
        raise ConfigError(f"{path}: too many files include each other", hint="Correct Include.")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError) or (depth and isinstance(error, PermissionError)):
            return ""
        raise ConfigError(
            f"{path} cannot be read: {error}", hint="Check the file and its permissions."
        ) from error


def _words(text: str) -> tuple[str, ...]:
    """Split a value as OpenSSH does; a comment ends it. Empty where it cannot be read."""
    words: list[str] = []
    at = 0
    while at < len(text) and text[at] != "#":
        found = _WORD.match(text, at)
        if found is None or "\\" in found.group():
            return ()
        words.append(_QUOTED.sub(r"\1\2", found.group(1)))
        at = found.end()
    return tuple(words)


def _matches(patterns: Sequence[str], subject: str) -> bool:
    """OpenSSH's pattern list: ``*``, ``?``, and ``!`` for what must not match."""
    met = False
    for pattern in patterns:
        bare = pattern.removeprefix("!").replace("[", "[[]")  # no classes of characters in ssh
        if fnmatch.fnmatchcase(subject, bare):
            if pattern.startswith("!"):
                return False
            met = True
    return met
