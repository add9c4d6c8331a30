"""Monitors k6 on a generator until it has ended, through lost connections.

The supervisor there enforces time limit, lease and order. This reads what it writes, and sends it
heartbeats and the request to stop. The samples are read later, by ``results``.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from dfaas_lab.errors import CommandFailed, ConnectionFailed
from dfaas_lab.k6.launch import Terms
from dfaas_lab.k6.output import Elapsed, End, K6Output, LogLine, Stopping
from dfaas_lab.redaction import masked
from dfaas_lab.remote.liveness import UNREACHABLE_S
from dfaas_lab.remote.process import CommandResult, Process
from dfaas_lab.remote.remote import Remote
from dfaas_lab.remote.workspace import Workspace, gone

log = logging.getLogger("dfaas_lab.k6")

_POLL_S = 0.1
_RETRY_S = 0.5
_IDLE_S = 5.0


def workspace_state(remote: Remote, workspace: Workspace) -> Literal["absent", "sent", "begun"]:
    """Say how far a workspace is: not there, sent but nothing begins it, or begun (or waiting)."""
    script = (
        f"cd {shlex.quote(workspace.path)} 2>/dev/null || exit 3; . ./alive.sh; "
        "word started || [ -s ended ] || alive supervisor"
    )
    result = _read_only(remote, script)
    if result.exit_code == 3:
        return "absent"
    return "begun" if result else "sent"


def _read_only(remote: Remote, script: str) -> CommandResult:
    """Run what only looks; a host that does not answer in time is one that is lost.

    Raises:
        ConnectionFailed: It was lost, or did not end in time.
    """
    try:
        return remote.run(script, timeout=10, idle_s=_IDLE_S, check=False)
    except CommandFailed as error:
        raise ConnectionFailed(
            f"{remote.host}: no answer in time",
            host=remote.host.address,
            hint="Look at the load and the disk of that host.",
        ) from error


class K6Monitor:
    """Follows one workspace until its k6 has ended, over as many connections as it takes.

    Args:
        remote: The generator.
        workspace: Where k6 runs.
        terms: On what terms.
        process: The channel that follows it; None connects anew (to attach).
        elapsed: Called with k6's own elapsed time.
        line: Called with each line that k6 logs; it must return at once.
        hide: What takes from a line what may be secret.
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
        hide: Callable[[str], str] = masked,
    ) -> None:
        self._remote = remote
        self._workspace = workspace
        self._terms = terms
        self._process = process
        self._elapsed = elapsed
        self._line = line
        self._output = K6Output(workspace.id, hide)
        self._stop_sent_at: float | None = None
        self._acknowledged = False
        self._lost_at: float | None = None
        self._connected_at = time.monotonic()
        self._heartbeats = 0
        self._heartbeat_at = 0.0

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
            self._check_alive(process)
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
            offset = self._output.offset + 1
            self._process = self._remote.open(
                f"cd {path} && exec sh ./follow.sh {offset}",
                timeout=UNREACHABLE_S if self._stop_sent_at else 10,
            )
            self._heartbeat_at = 0.0
            self._connected_at = time.monotonic()
            if self._stop_sent_at is not None and not self._acknowledged:
                self._process.send(b"stop interrupt\n", timeout=UNREACHABLE_S)
        return self._process

    def _speak(self, process: Process, stop: threading.Event) -> None:
        now = time.monotonic()
        if stop.is_set() and self._stop_sent_at is None:
            self._stop_sent_at = now
            process.send(b"stop interrupt\n", timeout=UNREACHABLE_S)
        if now - self._heartbeat_at >= self._heartbeat_s:
            self._heartbeats += 1
            self._heartbeat_at = now
            process.send(f"beat {self._heartbeats}-{now}\n".encode(), timeout=UNREACHABLE_S)

    @property
    def _heartbeat_s(self) -> float:
        return (
            self._terms.heartbeat_s
            if self._stop_sent_at is None
            else min(self._terms.heartbeat_s, 0.5)
        )

    def _check_alive(self, process: Process) -> None:
        """Leave a connection on which no heartbeat is answered: its other end may be gone."""
        last_seen = max(process.last_seen, self._connected_at)
        if time.monotonic() - last_seen > max(3 * self._heartbeat_s, 3.0):
            process.abandon()
            raise ConnectionFailed(
                f"{self._remote.host}: no answer", host=self._remote.host.address
            )

    def _read(self, chunk: bytes) -> End | None:
        end: End | None = None
        for event in self._output.feed(chunk):
            if isinstance(event, LogLine):
                log.info("%s", event.text)
                if self._line is not None:
                    self._line(event.text)
            elif isinstance(event, Elapsed) and self._elapsed is not None:
                self._elapsed(event)
            elif isinstance(event, Stopping):
                self._acknowledged = True
            elif isinstance(event, End):
                end = event
        return end and replace(end, log_tail=self._output.tail())

    def _asked(self) -> End | None:
        """Ask the files how it stands, where the output does not tell: it ended without a word."""
        path = shlex.quote(self._workspace.path)
        script = (
            f"cd {path} || exit 3; read -r code full <exit; reason=; killed=; alive=; "
            "[ ! -f stopped/reason ] || read -r reason <stopped/reason; "
            "[ ! -f stopped/killed ] || killed=1; . ./alive.sh; "
            "if alive supervisor || alive pid; then alive=1; fi; "
            'echo "$code,$full,$reason,$killed,$alive"'
        )
        try:
            result = _read_only(self._remote, script)
        except ConnectionFailed:
            return None  # the next step connects again
        if result.exit_code == 3:
            raise gone(self._remote, self._workspace, result.stderr.decode(errors="replace"))
        words = [word.strip() for word in result.text.split(",")]
        code, full, reason, killed, alive = (words + [""] * 5)[:5]
        if code == "running" and alive:
            return None
        return End(
            int(code) if code.isdecimal() and len(code) <= 3 else None,
            reason or None,
            bool(killed),
            self._output.tail(),
            skipped=code == "skipped",
            disk_full=bool(full),
        )

    def _lost(self, error: ConnectionFailed, stop: threading.Event) -> End | None:
        now = time.monotonic()
        self._hang_up()
        if self._lost_at is None:
            self._lost_at = now
        if stop.is_set():
            self._stop_sent_at = self._stop_sent_at or now
            time.sleep(_POLL_S)
            return self._given_up(stop)
        patience = (self._terms.lease_s or 60) + 15
        if now - self._lost_at > patience:
            where = f"its data stays in {self._workspace.path} on that host, until lab.attach()"
            lease = self._terms.lease_s
            error.hint = (
                f"k6 stops there by itself within {lease} s; {where} fetches it."
                if lease
                else f"k6 goes on there; {where} follows it again."
            )
            raise error
        stop.wait(_RETRY_S)
        return None

    def _given_up(self, stop: threading.Event) -> End | None:
        """Leave a generator that is silent after a stop: its lease will end k6."""
        if not stop.is_set() or self._stop_sent_at is None:
            return None
        if time.monotonic() - max(self._stop_sent_at, self._remote.last_seen) < UNREACHABLE_S:
            return None
        return End(None, "interrupt", False, self._output.tail(), reached=False)

    def _hang_up(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(Exception):  # it is lost: closing only frees what is here
                process.close()
