"""Starts k6 on a generator under its supervisor, which enforces time limit and lease."""

from __future__ import annotations

import posixpath
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from dfaas_lab.certificates import CA_FILE
from dfaas_lab.errors import ConnectionFailed, K6ScriptError
from dfaas_lab.k6.custom_script import FOLDER, WRITTEN, CustomScript
from dfaas_lab.k6.requirements import Requirements
from dfaas_lab.remote.prepared_command import PreparedCommand
from dfaas_lab.remote.process import CommandResult, Process
from dfaas_lab.remote.remote import Remote
from dfaas_lab.remote.workspace import Workspace, creation, creation_input, gone, packed

_SCRIPTS = ("alive.sh", "supervise.sh", "launch.sh", "follow.sh", "stop.sh")
_PLAN = ("plan.json", "bodies.json", "script.js", FOLDER, "folders", "absolute", CA_FILE)
SENT = (*_SCRIPTS, *_PLAN, "conf", "beat", "id", "room")
"""What need not be fetched. An environment is: whoever did not give it must hide it, too."""
_STOP_GRACE_S = 10
_NOT_THERE = re.compile(
    rf"/{FOLDER}/([^\"':]{{1,1000}}?)\\?[\"']?(?:: no such file or directory| couldn't be found)"
)
_MB = 1 << 20
WANTED = {
    "samples.csv": 64 << 30,
    "summary.json": 64 * _MB,
    "journal": 64 * _MB,
    "host.csv": 64 * _MB,
    "began": 4096,
    "env": 8 * _MB,
    f"{WRITTEN}/": 256 * _MB,  # the generator itself sends 200 MB of these at most
}
"""What k6 and its supervisor write that is fetched, and the most bytes of each."""

CUT = frozenset(("journal", "host.csv"))
"""Of these the beginning is kept where they are larger."""

_INSPECT_S = 60
_TIMED_OUT, _KILLED = 124, 137  # of timeout(1)


@dataclass(frozen=True)
class Terms:
    """On what terms an iteration runs, in whole seconds; a lease of 0 is none."""

    k6_path: str
    limit_s: int
    lease_s: int
    rest_s: int = 0
    options: str = ""
    script: str = "script.js"
    folder: str = ""
    """A folder of the workspace in which k6 runs: what a script writes collides with nothing."""

    @property
    def lease_grace_s(self) -> int:
        """How long before the lease's end k6 gets SIGINT, so that SIGKILL can keep the lease."""
        return min(5, max(self.lease_s // 3, 1))

    @property
    def heartbeat_s(self) -> float:
        """How often the controller says that it is there."""
        return min(5.0, self.lease_s / 6) if self.lease_s else 5.0

    def conf(self, workspace: Workspace) -> bytes:
        """The supervisor's ``conf``: shell assignments, quoted."""
        values = {
            "id": workspace.id,
            "k6_path": self.k6_path,
            "grace": _STOP_GRACE_S,
            "limit": self.limit_s,
            "lease": self.lease_s,
            "lease_grace": self.lease_grace_s,
            "rest": self.rest_s,
            "k6_options": self.options,
            "script": self.script,
            "folder": self.folder,
            "base": "../" * len(self.folder.split("/")) if self.folder else "",
        }
        return "".join(f"{k}={shlex.quote(str(v))}\n" for k, v in values.items()).encode()


def starting(first: Workspace) -> str:
    """Return the command that makes workspaces, starts their supervisor and follows the first.

    It does nothing before :func:`start` sends its input.
    """
    # In a shell of its own, which ends at once: the supervisor is nobody's child, so that no zombie
    # of it keeps who follows it waiting.
    return (
        f"{creation(first.root)} && cd {first.id} && . ./alive.sh && "
        "( setsid sh ./supervise.sh $ids </dev/null >/dev/null 2>&1 & note supervisor $! ) && "
        "{ echo ok; exec sh ./follow.sh 1; }"
    )


def start(
    remote: Remote,
    workspaces: Sequence[Workspace],
    files: Sequence[Mapping[str, bytes]],
    terms: Sequence[Terms],
    *,
    finished: Sequence[Workspace] = (),
    ahead: PreparedCommand | None = None,
) -> Process:
    """Send the workspaces, start their supervisor, and return the channel that follows the first.

    Args:
        remote: The generator.
        workspaces: The workspaces, all below one root.
        files: The files of each.
        terms: On what terms each runs.
        finished: Workspaces that are removed before.
        ahead: The command :func:`starting`, where it was started ahead.

    Raises:
        WorkspaceError: A workspace could not be made.
        ConnectionFailed: The generator was lost before the supervisor was started.
    """
    sent = creation_input(workspaces, _archive(workspaces, files, terms), finished)
    process = ahead.take() if ahead else remote.open(starting(workspaces[0]))
    try:
        process.send(sent, timeout=600)
        first = _first_word(process)
        if first != b"ok\n":
            try:
                result = process.finish(deadline=time.monotonic() + 5)
            except TimeoutError as error:  # it may begin yet: who looks again will see
                raise ConnectionFailed(
                    f"{remote.host}: k6 was not started within a minute",
                    host=remote.host.address,
                    hint="Look at the load and the disk of that host.",
                ) from error
            raise gone(remote, workspaces[0], result.stderr.decode(errors="replace"))
    except BaseException:
        process.close()
        raise
    return process


def _first_word(process: Process) -> bytes:
    """The line that says the supervisor runs; not a byte of the journal behind it."""
    word = b""
    deadline = time.monotonic() + 60
    while not word.endswith(b"\n") and time.monotonic() < deadline:
        got = process.receive(timeout=1, most=3 - len(word))
        if got == b"":
            break
        word += got or b""
    return word


def _archive(
    workspaces: Sequence[Workspace],
    files: Sequence[Mapping[str, bytes]],
    terms: Sequence[Terms],
) -> bytes:
    scripts = {name: _script(name) for name in _SCRIPTS}
    entries: dict[str, bytes] = {}
    for workspace, plan, own in zip(workspaces, files, terms, strict=True):
        state = {
            "conf": own.conf(workspace),
            "id": f"{workspace.id}\n".encode(),
            "supervisor": b" " * 31 + b"\n",
            "started": b" " * 20 + b"\n",
            "pid": b" " * 31 + b"\n",
            "beat": b"0".ljust(40) + b"\n",
            "exit": b"running \n",
            "journal": b"",
            "spare/reason": b" " * 20 + b"\n",
        }
        for name, content in {**scripts, **plan, **state}.items():
            entries[f"{workspace.id}/{name}"] = content
    return packed(entries)


def _script(name: str) -> bytes:
    return resources.files("dfaas_lab.k6").joinpath("on_generator", name).read_bytes()


def inspect(remote: Remote, root: str, k6_path: str, script: CustomScript) -> Requirements:
    """Ask the generator's k6 what a script needs; nothing of the script's functions is run.

    Raises:
        K6ScriptError: k6 refuses the script.
        WorkspaceError: There is no room for it.
    """
    workspace = Workspace.new(root)
    files = {**script.files(), "inspect.sh": _script("inspect.sh")}
    archive = packed({f"{workspace.id}/{name}": data for name, data in files.items()})
    create, sent = creation(root), creation_input([workspace], archive)
    words = shlex.join([str(_INSPECT_S), k6_path, script.script_name])
    command = f"{create} || exit 74; cd {workspace.id} && exec sh ./inspect.sh {words}"
    with remote.open(command) as process:
        process.send(sent, timeout=_INSPECT_S)
        try:
            result = process.finish(deadline=time.monotonic() + _INSPECT_S + _STOP_GRACE_S)
        except TimeoutError:
            result = CommandResult(_TIMED_OUT, b"", b"")
    said = script.secrets.masked(result.stderr.decode(errors="replace"))
    if result.exit_code == 74:
        raise gone(remote, workspace, said)
    if result.exit_code in (_TIMED_OUT, _KILLED):
        raise K6ScriptError(
            f"{remote.host}: k6 did not come to the end of {script.main} within {_INSPECT_S} s",
            exit_code=result.exit_code,
            log_tail=said,
            hint="Look for a loop without an end outside of the script's functions.",
        )
    try:
        if result:
            return Requirements.of(result.stdout)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        said = f"what k6 inspect printed cannot be read: {error}"
    raise K6ScriptError(
        f"{remote.host}: k6 refuses {script.main}",
        exit_code=result.exit_code,
        log_tail=said,
        hint=_missing(said, script) or "Correct the script.",
    )


def _missing(said: str, script: CustomScript) -> str:
    """What to do about a file that k6 did not find; empty where it misses none."""
    if not (found := _NOT_THERE.search(said)):
        return ""
    folder = posixpath.dirname(script.main)
    name = posixpath.relpath(found[1], folder or ".") if found[1] else found[0]
    return (
        f"{name!r} was not sent with it: files are sent that import, open and import.meta.resolve "
        f"name literally. Give it: files=[{name!r}], or an archive (.tar) that `k6 archive` made."
    )
