"""Workspaces: one folder per iteration on a generator, made, filled, fetched and removed."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import tarfile
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dfaas_lab.errors import (
    ConfigError,
    ResultsUnreadable,
    TransferFailed,
    WorkspaceError,
)
from dfaas_lab.remote.results_archive import ReadProcess, UnreadableArchive, unpack
from dfaas_lab.secret import SecretBytes

if TYPE_CHECKING:
    from dfaas_lab.remote.process import Process
    from dfaas_lab.remote.remote import Remote

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TRANSFER_S = 600.0
_IDLE_S = 20.0
_END_S = 5.0  # of a command whose archive is broken already
# What k6 itself wrote as the script said: the smallest files first, 200 of them, 200 MB in all.
_WRITTEN = "written"
LEFT_OUT = "left-out"
"""The file here that names what was not fetched of these."""
_LEFT_OUT = (
    f"{{ [ ! -d {_WRITTEN} ] || "
    f"find {_WRITTEN} -type f -printf '%s ./{_WRITTEN}/%P\\n' 2>/dev/null | sort -n | "
    "awk '{ all += $1 } NR > 200 || all > 200000000 "
    '{ sub(/^[0-9]+ /, ""); print; print >"/dev/stderr" }\'; }'
)
# To an empty line; of what is gone already, no process is started.
_REMOVAL = 'while read -r one && [ -n "$one" ]; do [ ! -d "$one" ] || rm -rf -- "$one"; done'


@dataclass(frozen=True)
class Workspace:
    """The path ``<root>/<uuid4>`` on a generator; any other shape is refused."""

    root: str
    id: str

    def __post_init__(self) -> None:
        if not self.root.startswith("/") or ".." in self.root.split("/") or "\0" in self.root:
            raise ConfigError(
                f"{self.root!r} cannot hold workspaces", hint="Give an absolute path, without '..'."
            )
        if not _UUID4.fullmatch(self.id):
            raise ConfigError(f"{self.id!r} is no workspace")

    @classmethod
    def new(cls, root: str) -> Workspace:
        """Return a workspace that does not exist yet."""
        return cls(root.rstrip("/") or "/", str(uuid.uuid4()))

    @property
    def path(self) -> str:
        """Its absolute path on the generator."""
        return f"{self.root}/{self.id}"


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return the files as one tar archive, readable for their owner only; it holds secrets."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o600
            archive.addfile(entry, io.BytesIO(content))
    return SecretBytes(buffer.getbuffer())


def creation(root: str) -> str:
    """Return the shell command that makes the folders and unpacks the archive of its input.

    Everything else is in its input (:func:`creation_input`): of a thousand names, no command line
    holds all, and it can be started before they are known. Without an input it makes nothing. It
    leaves the names in ``$ids``.

    A root that is a symlink, belongs to neither root nor us, or may be written by others without
    the sticky bit, is refused with exit code 73: they could change what is run. ``mkdir`` without
    ``-p`` refuses a path that is there.
    """
    root = shlex.quote(root)
    others = "the root is a symlink or belongs to someone else"
    open_to_all = "others may write to the root: it needs the sticky bit (chmod +t)"
    return (
        f"{_REMOVAL}; "
        f'cd {root} && {{ [ ! -L {root} ] && {{ [ -O . ] || [ "$(stat -c %u .)" = 0 ]; }} || '
        f"{{ echo '{others}' >&2; exit 73; }}; }} && "
        f"{{ [ -k . ] || case $(stat -c %A .) in ?????w*|????????w*) "
        f"echo '{open_to_all}' >&2; exit 73 ;; esac; }} && "
        'ids="" && while read -r id && [ -n "$id" ]; do ids="$ids $id"; done && '
        'mkdir -m 700 $ids && read -r size && head -c "$size" | tar -xf - -o'
    )


def creation_input(
    workspaces: Sequence[Workspace], archive: bytes, finished: Iterable[Workspace] = ()
) -> bytes:
    """Return the input of :func:`creation`; workspaces that are ``finished`` are removed first."""
    ids = "".join(f"{workspace.id}\n" for workspace in workspaces)
    return lines(finished) + f"\n{ids}\n{len(archive)}\n".encode() + archive


def lines(workspaces: Iterable[Workspace]) -> bytes:
    """Return the workspaces' paths as the input of a command that reads them one by one."""
    return "".join(f"{workspace.path}\n" for workspace in workspaces).encode()


def fetching(workspace: Workspace, *, without: Sequence[str]) -> str:
    """Return the command that sends the workspace's files, after it has read a line.

    Args:
        workspace: The workspace.
        without: Names that are left out.
    """
    excluded = "--no-wildcards --exclude-from=- "
    excluded += " ".join(f"--exclude=./{shlex.quote(name)}" for name in without)
    # One command, whose end is told; 1 only says that a file was still written.
    archived = f"{_LEFT_OUT} | tar -I 'gzip -1' -cf - {excluded} . || [ $? = 1 ]"
    return f"read -r _ && cd {shlex.quote(workspace.path)} && {{ {archived}; }}"


def fetch(
    remote: Remote,
    workspace: Workspace,
    into: Path,
    *,
    opened: Process,
    wanted: Mapping[str, int] | None = None,
    cut: frozenset[str] = frozenset(),
) -> None:
    """Fetch the workspace's wanted files into a folder here, as a stream.

    Args:
        remote: The generator.
        workspace: The workspace.
        into: The folder.
        opened: The command :func:`fetching`, running.
        wanted: The most bytes of each file, by its name, and of all below a folder (``name/``);
            None takes every plain file.
        cut: Names of files of which the beginning is kept where they are larger.

    Raises:
        WorkspaceError: It is not there.
        ConnectionFailed: The connection was lost; fetching again is safe.
        TransferFailed: It did not come in time.
        ResultsUnreadable: What came is no archive, or more than is allowed.
    """
    broken: Exception | None = None
    with opened as process:
        deadline = time.monotonic() + _TRANSFER_S
        process.send(b"\n")
        process.send_eof()
        stream = ReadProcess(process, deadline=deadline, idle_s=_IDLE_S)
        try:
            try:
                unpack(stream, into, wanted=wanted, cut=cut)
            except (UnreadableArchive, OSError) as error:
                if isinstance(error, TimeoutError):
                    raise
                broken = error
                _empty(into)
                deadline = min(deadline, time.monotonic() + _END_S)
            result = process.finish(deadline=deadline, idle_s=_IDLE_S)
        except TimeoutError as error:
            if broken is not None:
                raise _unreadable(remote, workspace, broken) from broken
            raise TransferFailed(
                f"{remote.host}: the results were not here within {_TRANSFER_S:g} s",
                host=remote.host.address,
                path=workspace.path,
                hint="They are kept there: lab.attach() fetches them.",
            ) from error
    if not result:
        _empty(into)
        raise gone(remote, workspace, result.stderr.decode(errors="replace"))
    if broken is not None:
        raise _unreadable(remote, workspace, broken) from broken
    (into / LEFT_OUT).write_bytes(result.stderr)


def _empty(folder: Path) -> None:
    """What is not whole is no result."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _unreadable(remote: Remote, workspace: Workspace, error: Exception) -> ResultsUnreadable:
    return ResultsUnreadable(
        f"what came from {remote.host}:{workspace.path} cannot be read: {error}",
        workspace=f"{remote.host}:{workspace.path}",
        hint="Look at the workspace, and at the free space here.",
    )


def remove(remote: Remote, *workspaces: Workspace) -> None:
    """Remove workspaces; their shape was checked when the values were made."""
    remote.run(_REMOVAL, stdin=lines(workspaces))


def gone(remote: Remote, workspace: Workspace, why: str) -> WorkspaceError:
    """The error for a workspace that cannot be used, with what the generator said."""
    root = workspace.root
    hints = (
        (
            "No space left",
            "Make room there, or give Generator(workspace_root=...) on a larger disk.",
        ),
        ("sticky bit", f"Run there: chmod +t {root}."),
        ("someone else", f"Remove {root} there, or give Generator(workspace_root=...)."),
        ("Permission denied", f"Let {remote.host.user or 'the user'} write to {root} there."),
        ("No such file", f"Run generator.provision(force=True): it makes {root}."),
    )
    hint = next((hint for word, hint in hints if word in why), "Look at the folder there.")
    return WorkspaceError(
        f"{remote.host}: the workspace {workspace.path} cannot be used: {why.strip()}",
        host=remote.host.address,
        path=workspace.path,
        hint=hint,
    )
