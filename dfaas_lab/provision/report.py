"""``ProvisionReport``: a row for each task; and failures joined to one error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from dfaas_lab.display.cards import card, chip
from dfaas_lab.errors import (
    CommandFailed,
    DfaasLabError,
    HostUnreachable,
    ProvisionError,
    RemoteError,
    TaskFailed,
)
from dfaas_lab.printable import safe_html, safe_repr
from dfaas_lab.provision.spec import Spec
from dfaas_lab.remote.shell import SHELL_HINT

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class TaskRow:
    """A task of the playbook on a host: ``status`` is ok, changed, skipped, failed, unreachable."""

    host: str
    task: str
    status: str
    seconds: float
    message: str


@dataclass(frozen=True)
class ProvisionReport:
    """What provisioning did. It is true: a failure is an error instead.

    Args:
        cached: Whether no playbook ran: it was done before, in this session or another one.
        seconds: How long this call took.
        changed: How many tasks changed something in this call.
        rows: The tasks, of the run that is reported.

    >>> report = generator.provision(progress=False)
    >>> report.cached, report.tasks.columns
    (True, ['host', 'task', 'status', 'seconds', 'message'])
    """

    cached: bool
    seconds: float
    changed: int
    rows: tuple[TaskRow, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return True

    @safe_repr
    def __repr__(self) -> str:
        """Say it without digits that nobody reads."""
        took = f"seconds={self.seconds:.2f}, changed={self.changed}"
        return f"ProvisionReport(cached={self.cached}, {took}, tasks={len(self.rows)})"

    @safe_html
    def _repr_html_(self) -> str:
        hosts = sorted({row.host for row in self.rows})
        bad = [row for row in self.rows if row.status in ("failed", "unreachable")]
        changed = dict.fromkeys(row.task for row in self.rows if row.status == "changed")
        facts = {
            "hosts": ", ".join(hosts),
            "tasks": f"{len(self.rows)}, of which {self.changed} changed something",
            "changed": "; ".join(changed) if self.changed else "",
            "took": f"{self.seconds:.1f} s" + (", found ready: no playbook ran" * self.cached),
        }
        troubles = [f"{row.host}: {row.task}: {row.status}: {row.message}" for row in bad]
        return card("provisioned", facts, state=chip("ready", "good"), troubles=troubles)

    @property
    def tasks(self) -> pl.DataFrame:
        """The tasks: ``host, task, status, seconds, message``.

        >>> set(report.tasks["status"]) <= {"ok", "changed", "skipped"}
        True
        """
        import polars as pl

        columns = dict.fromkeys(("host", "task", "status"), pl.String)
        schema = {**columns, "seconds": pl.Float64, "message": pl.String}
        return pl.DataFrame([asdict(row) for row in self.rows], schema=schema)


def joined(failures: Sequence[ProvisionError], of: int) -> ProvisionError:
    """Return one error for these, which are one or more."""
    if len(failures) == 1:
        return failures[0]
    text = "\n".join(str(failure) for failure in failures)
    return ProvisionError(
        f"{len(failures)} of {of} failed:\n{text}",
        failures=tuple(failures),
        hint="What succeeded stays. Call it again after the fixes.",
    )


def failure_of(spec: Spec, error: DfaasLabError) -> ProvisionError:
    """Return what kept us from a host, before its playbook, as the failure of that host."""
    if isinstance(error, ProvisionError):
        return error
    failure: ProvisionError
    host, text = spec.host.address, error.message
    if isinstance(error, CommandFailed):  # it was reached
        hint = f"{error.hint or SHELL_HINT} Then call provision() again."
        failure = TaskFailed(text, host=host, task="Look at the host", detail=text, hint=hint)
    else:
        said = text if isinstance(error, RemoteError) else f"{spec.label}: {text}"
        failure = HostUnreachable(said, host=host, hint=error.hint)
    failure.__cause__ = error
    return failure
