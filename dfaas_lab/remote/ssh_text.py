"""The text of an ssh configuration, and what in it is in force for one host.

It is read as OpenSSH reads it: line by line, the first value of a keyword counts. Paramiko's own
reader was compared with ``ssh -G`` and differs: ``Include`` is ignored, an unknown ``Match``
criterion always matches, ``Match user`` also sees what is said further down, a trailing comment
becomes part of the value. What is not supported is kept as a problem with its line, and matters
only where it is in force.
"""

from __future__ import annotations

import fnmatch
import getpass
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_LINE = re.compile(r"([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*)", re.DOTALL)
_WORD = re.compile(r"""((?:"[^"]*"|'[^']*'|[^\s"'])+)\s*""")
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_SIMPLE_PATH = re.compile(r"~(?:/[^~]*)?|[^~]*")

_REFUSED = {
    "include": "other files are not read: put the host's lines into this file",
    "certificatefile": "certificates are not supported: name the key with key=",
    "pkcs11provider": "PKCS#11 tokens are not supported: name a key file with key=",
    "securitykeyprovider": "FIDO keys are not supported: name a key file with key=",
    "identityagent": "another agent is not supported: set SSH_AUTH_SOCK",
    "proxycommand": "not supported: use ProxyJump, or Host(jump=...)",
    "hostkeyalias": "an alias for the host key is not supported: use HostName with the real name",
    "knownhostscommand": "a command for host keys is not supported: write them into a file",
    "canonicalizehostname": "host names are not made canonical: write the full HostName",
    "bindaddress": "a local address is not supported",
    "bindinterface": "a local interface is not supported",
}
# Values that mean what is done anyway.
_HARMLESS = {
    "proxycommand": ("none",),
    "pkcs11provider": ("none",),
    "securitykeyprovider": ("internal",),
    "knownhostscommand": ("none",),
    "canonicalizehostname": ("no",),
    "identityagent": ("none", "SSH_AUTH_SOCK"),
}
_TOKENS = {"hostname": "h", "identityfile": "dhru", "proxyjump": "hpr", "userknownhostsfile": ""}
_PATHS = ("identityfile", "userknownhostsfile")


@dataclass(frozen=True)
class Setting:
    """One line that is in force: its words, and what is wrong with it, if anything."""

    line: int
    words: tuple[str, ...]
    problem: str = ""


@dataclass
class InForce:
    """What a configuration says about one host.

    Args:
        asked: The host as the user named it.
        user: The user that was asked for; None means that the configuration may say it.
    """

    asked: str
    user: str | None = None
    settings: dict[str, list[Setting]] = field(default_factory=dict)

    def read(self, text: str) -> InForce:
        """Take over what is in force in a configuration."""
        active = True
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            found = _LINE.fullmatch(line.strip())
            words = _words(found.group(2)) if found else ()
            if found is None or not words:
                if active:
                    self._add("", Setting(number, (), "this line cannot be read"))
                continue
            keyword = found.group(1).lower()
            if keyword == "host":
                active = _matches(words, self.asked)
            elif keyword == "match":
                active = self._match(number, words)
            elif active:
                self._add(*self._setting(number, keyword, words))
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

    def _setting(self, number: int, keyword: str, words: tuple[str, ...]) -> tuple[str, Setting]:
        problem = _problem(keyword, words)
        if keyword == "hostname":
            words = (words[0].replace("%h", self.asked),)
        # Whichever of ProxyJump and ProxyCommand comes first is in force.
        return ("proxyjump" if keyword == "proxycommand" else keyword), Setting(
            number, words, problem
        )

    def _match(self, number: int, words: tuple[str, ...]) -> bool:
        """Whether all criteria are met; one that is not supported is a problem if it decides."""
        unsupported = ""
        rest = iter(words)
        for word in rest:
            negated, name = word.startswith("!"), word.lower().removeprefix("!")
            if name in ("all", "canonical"):
                met = name == "all"
            elif name in ("host", "originalhost", "user", "localuser"):
                met = _matches(next(rest, "").split(","), self._subject(name))
            else:
                unsupported = unsupported or name
                if name != "final":
                    next(rest, "")
                continue
            if met == negated:
                return False
        if unsupported:
            problem = f"Match {unsupported} is not supported: write Host or Match host"
            self._add("", Setting(number, (), problem))
        return not unsupported

    def _subject(self, criterion: str) -> str:
        if criterion == "host":
            return self.first("hostname") or self.asked
        if criterion == "user":
            return self.user or self.first("user") or getpass.getuser()
        return self.asked if criterion == "originalhost" else getpass.getuser()


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


def _problem(keyword: str, words: tuple[str, ...]) -> str:
    value = words[0]
    if keyword in _REFUSED:
        harmless = value in _HARMLESS.get(keyword, ())
        return "" if harmless else f"{keyword}: {_REFUSED[keyword]}"
    if keyword in ("port", "connecttimeout") and not value.isdecimal():
        return f"{keyword} is no whole number"
    if keyword == "stricthostkeychecking" and value.lower() in ("no", "off"):
        return "host keys are always checked: use accept-new, or Host(host_keys='accept-new')"
    if keyword == "userknownhostsfile" and value in ("none", "/dev/null"):
        return "host keys are always checked: name a file, or give Host(known_hosts=...)"
    return _placeholder_problem(keyword, words) if keyword in _TOKENS else ""


def _placeholder_problem(keyword: str, words: tuple[str, ...]) -> str:
    tokens = _TOKENS[keyword]
    for word in words:
        if any(token not in tokens for token in re.findall(r"%(.?)", word)) or "${" in word:
            known = ", ".join(f"%{token}" for token in tokens) or "none"
            return f"{keyword}: a placeholder in {word} is not supported (known: {known})"
        if keyword in _PATHS and not _SIMPLE_PATH.fullmatch(word):
            return f"{keyword}: in {word}, '~' may only stand for your own home"
    return ""
