"""What provisioning did: a report for people, with a row for each task. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

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
    """

    cached: bool
    seconds: float
    changed: int
    rows: tuple[TaskRow, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        """Say it without digits that nobody reads."""
        took = f"seconds={self.seconds:.2f}, changed={self.changed}"
        return f"ProvisionReport(cached={self.cached}, {took}, tasks={len(self.rows)})"

    def _repr_html_(self) -> str:
        from dfaas_lab.display.cards import card, chip

        hosts = sorted({row.host for row in self.rows})
        facts = {
            "hosts": ", ".join(hosts),
            "tasks": f"{len(self.rows)}, of which {self.changed} changed something",
            "took": f"{self.seconds:.1f} s" + (", found ready: no playbook ran" * self.cached),
        }
        return card("provisioned", facts, state=chip("ready", "good"))

    @property
    def tasks(self) -> pl.DataFrame:
        """The tasks: ``host, task, status, seconds, message``."""
        return task_frame(self.rows)


def task_frame(rows: Iterable[TaskRow]) -> pl.DataFrame:
    """Return the rows as a frame with its columns in place, also where there is no row."""
    import polars as pl

    columns = {
        "host": pl.String,
        "task": pl.String,
        "status": pl.String,
        "seconds": pl.Float64,
        "message": pl.String,
    }
    return pl.DataFrame([asdict(row) for row in rows], schema=columns)
