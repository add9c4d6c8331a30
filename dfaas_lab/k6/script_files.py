"""The files that are sent with a user's script: those it names, and those given."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dfaas_lab.errors import ConfigError
from dfaas_lab.redaction import names_a_secret
from dfaas_lab.regular_file import read_regular
from dfaas_lab.secret import plain

_TEXT = r"""["'`]([^"'`$\n]+)["'`]"""
_RELATIVE = r"""["'`](\.{1,2}/[^"'`$\n]+)["'`]"""
_IMPORTED = re.compile(rf"\b(?:from|import|require)\b\s*+(?:\(\s*+)?+{_RELATIVE}")
_OPENED = re.compile(rf"\bopen\(\s*{_TEXT}")
_RESOLVED = re.compile(rf"\bimport\s*\.\s*meta\s*\.\s*resolve\(\s*{_TEXT}")
_CONSTANT = re.compile(rf"\b(?:const|let|var)\s+(\w+)\s*=\s*{_TEXT}")
_OPENED_CONSTANT = re.compile(r"\b(?:open|resolve)\(\s*(\w+)\s*[,)]")
# gRPC: client.load(["folder"], "one.proto"), and what that imports.
_PROTO = re.compile(r"""["'`]([^"'`$\n]+\.proto(?:set)?)["'`]""")
_PROTO_FOLDERS = re.compile(r"\.load\(\s*\[([^\]]{0,500})\]")
_QUOTED = re.compile(_TEXT)
_SOURCE = (".proto", ".js", ".mjs", ".cjs", ".ts", ".mts", ".cts")
# What handleSummary() may write: "results/summary.json" needs its folder.
# Names with three or more folders up are imports.
_WRITTEN = re.compile(r"""["'`]((?:[^"'`/:\n]{0,100}/){0,9}[^"'`/:\n]{1,200}\.\w{1,20})["'`]""")
_ENV = re.compile(r"\$\{__ENV\.(\w{1,100})\}")
_IS_FILE = re.compile(r"/[^\x00-\x1f]{0,1000}/?[^\x00-\x1f/]{1,200}\.\w{1,20}")
_MOST_BYTES = 200_000_000
_MOST_FILES = 10_000


def read_files(script: Path, files: Iterable[str | Path] = ()) -> dict[Path, bytes]:
    """Read a script with the files that it names, and those that are given, by absolute path.

    Names are read where they stand in ``import``, ``require``, ``open`` and
    ``import.meta.resolve``, or in a constant that is opened.

    Args:
        script: The script's absolute path.
        files: More files, or folders with all that is in them; a relative path is looked for in the
            working directory, then beside the script.

    Raises:
        ConfigError: A file is not there, or they are too large.
    """
    found: dict[Path, bytes] = {}
    size = 0
    given = [one for name in files for one in _given(name, script.parent)]
    for path, content in _with_named([script, *given], script.parent):
        size += len(content)
        found[path] = content
        if size > _MOST_BYTES or len(found) > _MOST_FILES:
            raise ConfigError(
                f"{script} comes with more than {_MOST_BYTES // 10**6} MB or {_MOST_FILES} files",
                hint="Open less data in it, or give fewer files.",
            )
    return found


def folders_written(sources: Iterable[bytes], env: Mapping[str, str]) -> list[str]:
    """The relative folders of file names in the text of some sources: k6 itself makes none."""
    found = {os.path.dirname(name) for name in _written(sources, env)}  # noqa: PTH120 - text
    inside = {name for name in found if not name.startswith(("/", "../../../"))}
    return sorted(inside - {"", "..", "../.."})[:100]


def absolute_names(sources: Iterable[bytes], env: Mapping[str, str]) -> list[str]:
    """The absolute names of files, which may be written, in some sources and in ``env``."""
    given = set(map(os.path.normpath, files_named(env)))
    return sorted(given | {name for name in _written(sources, env) if name.startswith("/")})[:100]


def files_named(env: Mapping[str, str]) -> list[str]:
    """The values of an environment that are absolute names of files, and so no secrets."""
    return [
        plain(value)
        for name, value in env.items()
        if _IS_FILE.fullmatch(plain(value)) and not names_a_secret(name)
    ]


def _written(sources: Iterable[bytes], env: Mapping[str, str]) -> Iterator[str]:
    """The names in some sources; what ``${__ENV.NAME}`` in one is, ``env`` says."""
    for source in sources:
        for name in _WRITTEN.findall(source.decode(errors="replace")):
            filled = _ENV.sub(lambda found: plain(env.get(found[1], "")), name)
            if "$" not in filled and "\n" not in filled:
                # Two slashes at the beginning mean something else to POSIX.
                yield os.path.normpath(filled).replace("//", "/")


def _given(name: str | Path, beside: Path) -> list[Path]:
    path = Path(name).expanduser()
    places = [path] if path.is_absolute() else [Path.cwd() / path, beside / path]
    # Of a name that is too long, os.path says no; pathlib raises.
    place = next((one for one in places if os.path.exists(one)), None)  # noqa: PTH110
    if place is None:
        raise ConfigError(
            f"files: there is no {str(name)!r}, neither here nor beside the script",
            hint="Give paths of files or folders that the script opens.",
        )
    place = Path(os.path.normpath(place))
    return (
        sorted(file for file in place.rglob("*") if file.is_file()) if place.is_dir() else [place]
    )


def _with_named(waiting: list[Path], root: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield the files and, once each, those that they name literally."""
    waiting = list(dict.fromkeys(waiting))
    seen = set(waiting)
    while waiting:
        file = waiting.pop()
        try:
            content = read_regular(file, most_bytes=_MOST_BYTES)
        except OSError as error:
            raise ConfigError(
                f"script={str(file)!r} cannot be read: {error.strerror}",
                hint="Give the path of a k6 script, or of an archive that k6 archive made.",
            ) from error
        yield file, content
        named = _named(content, file.parent, root) if file.suffix in _SOURCE else ()
        for other in named:
            if other not in seen and os.path.isfile(other):  # noqa: PTH113
                seen.add(other)
                waiting.append(other)


def _named(content: bytes, folder: Path, root: Path) -> Iterator[Path]:
    text = content.decode(errors="replace")
    constants = dict(_CONSTANT.findall(text))
    opened = [constants[name] for name in _OPENED_CONSTANT.findall(text) if name in constants]
    for name in (*_IMPORTED.findall(text), *_RESOLVED.findall(text)):
        yield Path(os.path.normpath(folder / name))
    listed = [name for names in _PROTO_FOLDERS.findall(text) for name in _QUOTED.findall(names)]
    folders = [folder, root, *(root / name for name in listed), *folder.parents[:2]]
    for name in _PROTO.findall(text):
        yield from (Path(os.path.normpath(place / name)) for place in folders)
    # k6 takes it from the script's folder, or from the module's
    for name in (*_OPENED.findall(text), *opened):
        if not name.startswith("/") and "://" not in name:
            yield from (Path(os.path.normpath(place / name)) for place in (folder, root))
