"""Results of one iteration: fetched from the generator, converted to frames, and stored."""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dfaas_lab.errors import (
    ConnectionFailed,
    DfaasLabError,
    ResultsUnreadable,
    StoreError,
    WorkspaceError,
)
from dfaas_lab.k6.custom_script import RUNS_IN, WRITTEN
from dfaas_lab.k6.exit_codes import outcome_of
from dfaas_lab.k6.launch import CUT, SENT, WANTED
from dfaas_lab.k6.requests import expected_latencies
from dfaas_lab.k6.results import Frames, read
from dfaas_lab.remote.liveness import PATIENCE_S, RETRY_S
from dfaas_lab.remote.prepared_command import PreparedCommand
from dfaas_lab.remote.workspace import LEFT_OUT, Workspace, fetch, fetching
from dfaas_lab.retry import retry, uninterrupted
from dfaas_lab.status import COMPLETE

if TYPE_CHECKING:
    from collections.abc import Callable

    from dfaas_lab.k6.custom_script import CustomScript
    from dfaas_lab.k6.output import End
    from dfaas_lab.k6.plan import K6Plan
    from dfaas_lab.remote.remote import Remote
    from dfaas_lab.secret_values import SecretValues
    from dfaas_lab.store import RunFolder

log = logging.getLogger("dfaas_lab")

# A larger file is read line by line.
_WHOLE_BYTES = 256 << 20
# Where the generator puts what was written by an absolute name, as seen from the script.
_ROOT = os.path.relpath(f"{WRITTEN}/root", RUNS_IN)
_CSV_ERROR = b'msg="CSV: Error writing to file"'


@dataclass(frozen=True)
class IterationResults:
    """Where an iteration's results come from and go to.

    Args:
        remote: The generator.
        folder: The run's folder in the store.
        target: The target's name.
        latencies_s: By function, for how long requests kept their VUs; each iteration's results
            change it.
    """

    remote: Remote
    folder: RunFolder
    target: str
    latencies_s: dict[str, float] = field(default_factory=dict)

    def status(self, number: int) -> str:
        """The status of an iteration that is stored."""
        return (self.path(number) / "status").read_text().strip()

    def fetching(self, workspace: Workspace) -> PreparedCommand:
        """Start ahead what :meth:`fetch` needs there."""
        return PreparedCommand(self.remote, fetching(workspace, without=SENT))

    def fetch(
        self, workspace: Workspace, into: Path, ahead: PreparedCommand, give_up: Callable[[], bool]
    ) -> None:
        """Fetch a workspace's results, over as many connections as it takes within a minute.

        Raises:
            WorkspaceError: It is gone.
            ConnectionFailed: The generator stayed away, or ``give_up`` said so.
        """
        retry(
            lambda: fetch(
                self.remote, workspace, into, opened=ahead.take(), wanted=WANTED, cut=CUT
            ),
            on=ConnectionFailed,
            pause_s=RETRY_S,
            within_s=PATIENCE_S,
            give_up=give_up,
        )

    @uninterrupted
    def store(
        self,
        number: int,
        plan: K6Plan | CustomScript,
        fetched: Path,
        workspace: Workspace,
        end: End,
    ) -> tuple[str, DfaasLabError | None]:
        """Store what was fetched; return the iteration's status, and the error to raise for it.

        Raises:
            StoreError: It could not be stored.
        """
        secrets = _secrets(plan, fetched)
        end = replace(end, log_tail=secrets.hidden_in(end.log_tail))
        outcome = outcome_of(end.exit_code, end.reason, end.killed)
        place = f"{self.remote.host}:{workspace.path}"
        status = outcome.status
        error: DfaasLabError | None = None
        if outcome.error is not None:
            error = outcome.error(
                f"{self.remote.host}: {outcome.what}",
                exit_code=end.exit_code,
                workspace=place,
                log_tail=end.log_tail,
                hint=outcome.hint,
            )
        if end.disk_full or _was_full(fetched / "journal"):
            status, error = "failed", _disk_full(self.remote, workspace)
        kept = _kept(fetched, secrets)
        try:
            frames = self._frames(number, plan, fetched, status).hiding(secrets)
        except ResultsUnreadable as unreadable:
            unreadable.workspace, unreadable.log_tail = place, end.log_tail
            status, error, frames = "failed", error or unreadable, Frames.empty()
            if (fetched / "samples.csv").exists():
                # All that there is.
                kept["samples.csv"] = _hidden(fetched / "samples.csv", secrets)
        kept |= _left_out(fetched, secrets)
        kept["status"] = f"{status}\n".encode()
        try:
            self.folder.write_iteration(
                number, frames, kept, _written(fetched, secrets), target=self.target
            )
        except StoreError as full:
            again = f"then lab.attach({self.folder.run_id!r}) fetches it and goes on."
            full.hint = f"{full.hint}\nWhat k6 wrote is kept: {place}; {again}"
            raise
        return status, error

    def path(self, number: int) -> Path:
        """The folder of an iteration (0: the warm-up) in the store."""
        return self.folder.iteration_path(number, target=self.target)

    def _frames(
        self, number: int, plan: K6Plan | CustomScript, fetched: Path, status: str
    ) -> Frames:
        samples = fetched / "samples.csv"
        if status not in COMPLETE and not samples.exists():
            samples.touch()  # k6 did not come so far: nothing was measured, and that can be said
        frames = read(
            samples,
            run_id=self.folder.run_id,
            target=self.target,
            iteration=number,
            load=plan.load,
            scenarios=plan.functions,
            started_at=_began_at(fetched),
            status=status,
        )
        self.latencies_s.update(expected_latencies(self.latencies_s, frames.requests))
        return frames


def _began_at(fetched: Path) -> datetime:
    with contextlib.suppress(OSError, ValueError, OverflowError):
        return datetime.fromtimestamp(float((fetched / "began").read_text()), UTC)
    return datetime.now(UTC)


def _disk_full(remote: Remote, workspace: Workspace) -> WorkspaceError:
    return WorkspaceError(
        f"{remote.host}: the disk under {workspace.path} was full, and samples are missing; what "
        "was written is stored",
        host=remote.host.address,
        path=workspace.path,
        hint="Make room there, or give Generator(workspace_root=...) on a larger disk.",
    )


def _was_full(journal: Path) -> bool:
    """Whether k6 could not write its samples at some moment: it goes on, but never writes again."""
    with contextlib.suppress(OSError), journal.open("rb") as lines:
        return any(_CSV_ERROR in line and b"source=console" not in line for line in lines)
    return False


def _kept(fetched: Path, secrets: SecretValues) -> dict[str, bytes | Path]:
    """The raw files that are stored: k6's own summary and log, and what the host did."""
    kept: dict[str, bytes | Path] = {
        name: fetched / name
        for name in ("summary.json", "host.csv", "began")
        if (fetched / name).exists()
    }
    with contextlib.suppress(OSError):
        # k6 logs the URLs of requests that fail: a secret in one stays out of the store.
        log = (fetched / "journal").read_text(encoding="utf-8", errors="replace")
        kept["k6.log"] = secrets.masked(log).encode()
    return kept


def _secrets(plan: K6Plan | CustomScript, fetched: Path) -> SecretValues:
    with contextlib.suppress(OSError):
        plan = plan.knowing((fetched / "env").read_bytes())
    return plan.secrets


def _left_out(fetched: Path, secrets: SecretValues) -> dict[str, bytes | Path]:
    """The names of the files that a script wrote and that are too large to be kept."""
    said = (fetched / LEFT_OUT).read_text(errors="replace") if (fetched / LEFT_OUT).exists() else ""
    lines = (line for line in said.split("\n") if line.startswith(f"./{WRITTEN}/"))
    names = [secrets.hidden_in(_name(line)) for line in lines]
    if not names:
        return {}
    log.warning("%d files that the script wrote are too large to be kept", len(names))
    return {LEFT_OUT: "".join(f"{name}\n" for name in names).encode()}


def _written(fetched: Path, secrets: SecretValues) -> dict[str, bytes | Path]:
    """What a script wrote in its handleSummary(), by the name that it gave, without secrets."""
    kept: dict[str, bytes | Path] = {}
    for file in sorted((fetched / WRITTEN).rglob("*")):
        if file.is_file():
            name = shown = secrets.hidden_in(_name(file.relative_to(fetched)))
            number = 1
            while name in kept:  # they differed by a secret
                number += 1
                name = f"{shown} ({number})"
            kept[name] = _hidden(file, secrets)
    return kept


def _name(path: str | Path) -> str:
    """The name that a script gave to a file, by its place in the workspace."""
    name = os.path.relpath(path, RUNS_IN)
    return name.removeprefix(_ROOT) if name.startswith(f"{_ROOT}/") else name


def _hidden(file: Path, secrets: SecretValues) -> bytes | Path:
    if not secrets:
        return file
    if file.stat().st_size <= _WHOLE_BYTES:
        return secrets.hidden_in_bytes(file.read_bytes())
    copy = file.with_suffix(".hidden")
    with file.open("rb") as lines, copy.open("wb") as hidden:
        hidden.writelines(map(secrets.hidden_in_bytes, lines))
    return copy
