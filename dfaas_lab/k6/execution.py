"""One iteration on a generator: k6 sent, started, followed through lost connections, brought home.

The supervisor on the generator owns limit, lease and order; this follows it and gives it the
controller's words. What the numbers mean is ``results``' business, keeping them the store's.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from dfaas_lab.errors import ConnectionFailed
from dfaas_lab.k6.journal import Elapsed, Ended, Journal, LogLine, Stopping
from dfaas_lab.remote.process import Process
from dfaas_lab.remote.remote import Remote
from dfaas_lab.remote.workspace import Workspace, create_command, gone, packed

log = logging.getLogger("dfaas_lab.k6")

_SCRIPTS = ("supervise.sh", "launch.sh", "follow.sh", "stop.sh")
_SENT = (*_SCRIPTS, "plan.json", "bodies.json", "script.js", "conf", "env", "beat", "id")
_POLL_S = 0.1
_STOP_GRACE_S = 10
_UNREACHABLE_S = 3.0
_RETRY_S = 0.5


@dataclass(frozen=True)
class Terms:
    """On what terms an iteration runs, in whole seconds; a lease of 0 is none."""

    k6_path: str
    limit_s: int
    lease_s: int
    rest_s: int = 0
    options: str = ""

    @property
    def lease_grace_s(self) -> int:
        """How long before the lease's end k6 gets SIGINT, so that SIGKILL can keep the lease."""
        return min(5, max(self.lease_s // 3, 1))

    @property
    def beat_s(self) -> float:
        """How often the controller says that it is there."""
        return min(5.0, max(self.lease_s, 1) / 6)

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
        }
        return "".join(f"{k}={shlex.quote(str(v))}\n" for k, v in values.items()).encode()


@dataclass(frozen=True)
class End:
    """How an iteration ended on the generator.

    ``exit_code`` is None where nobody is left who could have said it; ``reason`` is that of a stop
    which was asked for; ``reached`` is False where the generator could not be asked.
    """

    exit_code: int | None
    reason: str | None
    killed: bool
    log_tail: str
    reached: bool = True


def sent_names() -> Sequence[str]:
    """The names of the files that were sent: what need not be fetched."""
    return _SENT


def start(
    remote: Remote,
    workspaces: Sequence[Workspace],
    files: Mapping[str, bytes],
    terms: Sequence[Terms],
) -> Process:
    """Send the workspaces, start their supervisor, and return the channel that follows the first.

    Raises:
        WorkspaceError: A workspace could not be made.
        ConnectionFailed: The generator was lost before the supervisor was started.
    """
    archive = _archive(workspaces, files, terms)
    ids = " ".join(shlex.quote(workspace.path) for workspace in workspaces)
    command = (
        f"{create_command(workspaces, len(archive))} && cd {workspaces[0].id} && "
        f"{{ setsid sh ./supervise.sh {ids} </dev/null >/dev/null 2>&1 & "
        "echo $! >supervisor; echo ok; exec sh ./follow.sh 1; }"
    )
    process = remote.open(command)
    try:
        process.send(archive, timeout=600)
        first = _first_word(process)
        if first != b"ok\n":
            result = process.finish(deadline=time.monotonic() + 5)
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
    workspaces: Sequence[Workspace], files: Mapping[str, bytes], terms: Sequence[Terms]
) -> bytes:
    scripts = {name: _script(name) for name in _SCRIPTS}
    entries: dict[str, bytes] = {}
    for workspace, own in zip(workspaces, terms, strict=True):
        state = {
            "conf": own.conf(workspace),
            "id": f"{workspace.id}\n".encode(),
            "beat": b"0\n",
            "exit": b"running \n",
            "journal": b"",
        }
        for name, content in {**scripts, **files, **state}.items():
            entries[f"{workspace.id}/{name}"] = content
    return packed(entries)


def _script(name: str) -> bytes:
    return resources.files("dfaas_lab.k6").joinpath(name).read_bytes()


class Following:
    """Follows one workspace until its k6 has ended, over as many connections as it takes.

    Args:
        remote: The generator.
        workspace: The workspace.
        terms: On what terms it runs.
        process: The channel that follows it; None connects anew (to attach).
        elapsed: Called with k6's own elapsed time.
        line: Called with each line that k6 logs.
    """

    def __init__(
        self,
        remote: Remote,
        workspace: Workspace,
        terms: Terms,
        *,
        process: Process | None = None,
        elapsed: Callable[[Elapsed], None] | None = None,
        line: Callable[[str], None] | None = None,
    ) -> None:
        self._remote = remote
        self._workspace = workspace
        self._terms = terms
        self._process = process
        self._elapsed = elapsed
        self._line = line
        self._journal = Journal(workspace.id)
        self._stop_sent_at: float | None = None
        self._acknowledged = False
        self._lost_at: float | None = None
        self._beats = 0
        self._beat_at = 0.0

    def until_end(self, stop: threading.Event) -> End:
        """Follow until k6 has ended; ``stop`` asks it to end.

        Raises:
            ConnectionFailed: The generator was lost, and stayed lost beyond the lease.
            WorkspaceError: The workspace is gone.
        """
        try:
            while True:
                end = self._step(stop)
                if end is not None:
                    return end
        finally:
            if self._process is not None:
                self._process.close()

    def _step(self, stop: threading.Event) -> End | None:
        try:
            process = self._connected()
            self._speak(process, stop)
            chunk = process.receive(timeout=_POLL_S)
            self._lost_at = None
        except ConnectionFailed as error:
            return self._lost(error, stop)
        if chunk is None:
            return self._given_up(stop)
        if chunk == b"":
            self._hang_up()
            return self._asked()
        return self._read(chunk)

    def _connected(self) -> Process:
        if self._process is None:
            path = shlex.quote(self._workspace.path)
            offset = self._journal.offset + 1
            self._process = self._remote.open(
                f"cd {path} && exec sh ./follow.sh {offset}",
                timeout=_UNREACHABLE_S if self._stop_sent_at else 10,
            )
            self._beat_at = 0.0
            if self._stop_sent_at is not None and not self._acknowledged:
                self._process.send(b"stop interrupt\n")
        return self._process

    def _speak(self, process: Process, stop: threading.Event) -> None:
        now = time.monotonic()
        if stop.is_set() and self._stop_sent_at is None:
            self._stop_sent_at = now
            process.send(b"stop interrupt\n", timeout=_UNREACHABLE_S)
        if now - self._beat_at >= self._terms.beat_s:
            self._beats += 1
            self._beat_at = now
            process.send(f"beat {self._beats}-{now}\n".encode(), timeout=_UNREACHABLE_S)

    def _read(self, chunk: bytes) -> End | None:
        ended = False
        for event in self._journal.feed(chunk):
            if isinstance(event, LogLine):
                log.info("%s", event.text)
                if self._line is not None:
                    self._line(event.text)
            elif isinstance(event, Elapsed) and self._elapsed is not None:
                self._elapsed(event)
            elif isinstance(event, Stopping):
                self._acknowledged = True
            elif isinstance(event, Ended):
                ended = True
        return self._asked() if ended else None

    def _asked(self) -> End | None:
        """Ask the files how it stands: they are the truth, the journal only a notice."""
        path = shlex.quote(self._workspace.path)
        script = (
            f"cd {path} || exit 3; read -r code _ <exit; reason=; killed=; alive=; "
            "[ ! -f stopped/reason ] || read -r reason <stopped/reason; "
            "[ ! -f stopped/killed ] || killed=1; read -r s <supervisor; "
            '[ -z "$s" ] || ! kill -0 "$s" 2>/dev/null || alive=1; '
            'read -r k 2>/dev/null <pid && kill -0 "$k" 2>/dev/null && alive=1; '
            'echo "$code,$reason,$killed,$alive"'
        )
        try:
            result = self._remote.run(script, timeout=10, check=False)
        except ConnectionFailed:
            return None  # the next step connects again
        if result.exit_code == 3:
            raise gone(self._remote, self._workspace, result.stderr.decode(errors="replace"))
        code, reason, killed, alive = (result.text.split(",") + [""] * 4)[:4]
        if code.strip() == "running" and alive:
            return None
        number = int(code) if code.strip().isdigit() else None
        return End(number, reason or None, bool(killed), self._journal.tail())

    def _lost(self, error: ConnectionFailed, stop: threading.Event) -> End | None:
        now = time.monotonic()
        self._hang_up()
        if self._lost_at is None:
            self._lost_at = now
        if stop.is_set():
            self._stop_sent_at = self._stop_sent_at or now
            return self._given_up(stop)
        patience = max(self._terms.lease_s, 60) + 15
        if now - self._lost_at > patience:
            error.hint = (
                f"k6 stops there by itself within {self._terms.lease_s} s; its data stays in "
                f"{self._workspace.path} on that host."
            )
            raise error
        stop.wait(_RETRY_S)
        return None

    def _given_up(self, stop: threading.Event) -> End | None:
        """Leave a generator that does not answer to a stop: its lease will end k6."""
        if not stop.is_set() or self._acknowledged or self._stop_sent_at is None:
            return None
        if time.monotonic() - self._stop_sent_at < _UNREACHABLE_S:
            return None
        return End(None, "interrupt", False, self._journal.tail(), reached=False)

    def _hang_up(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(Exception):  # it is lost: closing only frees what is here
                process.close()
