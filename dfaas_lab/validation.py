"""Checks names that people give: hosts, URLs, folders; and finds the nearest valid one. No I/O."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable
from pathlib import Path

from dfaas_lab.errors import ConfigError
from dfaas_lab.names import near

# Of a URL that holds a user or a password: it is stored and shown, so it may not.
_CREDENTIALS = re.compile(r"//[^/?#]*@")
_URL = re.compile(
    r"https?://(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[\w.-]+))(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/[^?#\s\\{}]*)?",
    re.IGNORECASE | re.ASCII,
)
_BYTES = "surrogateescape"  # bytes of a file's name that are no text, as Python reads them
_NO_ADDRESS = frozenset(" \t\r\n'\"`$;&|<>(){}[]\\,=/\0")


def nearest(name: str, valid: Iterable[str], what: str = "key") -> str:
    """Return a sentence that refuses a name and offers the nearest valid one.

    >>> nearest("metod", ["method", "path"])
    "unknown key 'metod'; did you mean 'method'?"
    """
    return f"unknown {what} {name!r}{near(name, valid)}"


def host_address(text: str) -> str:
    """Return an address as SSH takes it: an IPv6 address loses its brackets.

    Raises:
        ConfigError: It is none; a user or a port in it is named.
    """
    bare = (
        text[1:-1]
        if isinstance(text, str) and text[:1] == "[" and text[-1:] == "]" and ":" in text
        else text
    )
    if isinstance(bare, str) and "@" in bare:
        raise ConfigError(
            f"{text!r} is no address: give the user as 'user'", hint="Write user=NAME."
        )
    if not isinstance(bare, str) or not bare or set(bare) & _NO_ADDRESS or bare.startswith("-"):
        raise ConfigError(
            f"{text!r} is no host address",
            hint="Give a host name, an IP address or an alias of ~/.ssh/config.",
        )
    if ":" in bare and not _parses(ipaddress.IPv6Address, bare):
        raise ConfigError(
            f"{text!r} is no address: give the port as 'port'",
            hint="Write port=NUMBER; only an IPv6 address has colons.",
        )
    return bare


def is_utf8(text: str, errors: str = "strict") -> bool:
    r"""Whether a text can be sent: half of a surrogate pair cannot.

    >>> is_utf8("caf\u00e9"), is_utf8("\ud800")
    (True, False)
    """
    try:
        text.encode(errors=errors)
    except UnicodeEncodeError:
        return False
    return True


def local_path(given: object, *, what: str) -> Path:
    """Return a path on this machine, with ``~`` filled in; ``what`` is the argument's name.

    Raises:
        ConfigError: It is something else, is empty, or has a character that no path can have.

    >>> local_path("results", what="store")
    PosixPath('results')
    """
    text = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(text, str) or not text or "\0" in text or not is_utf8(text, _BYTES):
        raise ConfigError(
            f"{what}={given!r} is no path", hint=f"Give a text or a pathlib.Path: {what}='results'."
        )
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"{what}={text!r}: there is no such home", hint="Give the path without '~'."
        ) from error


def in_url(address: str) -> str:
    """Return an address as it stands in a URL: an IPv6 address has brackets there.

    >>> in_url("fd00::1")
    '[fd00::1]'
    """
    return f"[{address}]" if ":" in address else address


def url_problem(url: str) -> str:
    """Return what keeps a text from being the URL of a service; empty where nothing does.

    The text is left out: it may hold a password.
    """
    if _CREDENTIALS.search(url):
        return "a URL holds no password: use 'auth'"
    if not url.lower().startswith(("http://", "https://")):
        return "give a URL that begins with http:// or https://"
    found = _URL.fullmatch(url)
    if found is None or not url.isprintable() or not _host_parses(found["v6"], found["name"]):
        return (
            "this is no URL of a host and a port: "
            "write http://10.0.0.60:31112, or http://[fd00::1]:31112"
        )
    if found["port"] and not 0 < int(found["port"]) < 65536:
        return f"{found['port']} is no port: give a number from 1 to 65535"
    return ""


def workspace_root(text: object) -> str:
    """Return the path of a folder on a generator that can hold workspaces.

    Raises:
        ConfigError: It is not absolute, or is the root of everything.
    """
    path = str(text)
    parts = path.split("/")
    plain = path.isprintable() and not set("{}") & set(path)
    if parts[0] or not any(parts) or ".." in parts or not plain:
        raise ConfigError(
            f"workspace_root={path!r} cannot hold workspaces",
            hint="Give the absolute path of a folder there, such as /tmp/dfaas-runs, without '..'; "
            "what '~' means there is not known.",
        )
    return path


def _host_parses(v6: str | None, name: str | None) -> bool:
    if v6 is not None:
        return _parses(ipaddress.IPv6Address, v6)
    last = (name or "").rstrip(".").rpartition(".")[2]
    return not last.isdecimal() or _parses(ipaddress.IPv4Address, name or "")


def _parses(kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True
