"""The campaign object of the user: preview, run, outcomes, charts, export."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfaas_lab import charts
from dfaas_lab.background import Job, joined, noted
from dfaas_lab.campaign import csv_export, csv_import
from dfaas_lab.campaign.measure import TargetLoop
from dfaas_lab.campaign.outcomes import outcomes_of
from dfaas_lab.campaign.preview import CampaignPreview, preview_of
from dfaas_lab.campaign.progress import steps_of
from dfaas_lab.display.cards import card, chip
from dfaas_lab.display.words import span
from dfaas_lab.errors import ConfigError, DfaasLabError, Interrupted
from dfaas_lab.names import near
from dfaas_lab.printable import safe_html, safe_repr
from dfaas_lab.progress import draw_until
from dfaas_lab.store import Store
from dfaas_lab.widgets import choose_view

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

    from dfaas_lab.campaign.files import CampaignFolder
    from dfaas_lab.campaign.record import LoadRecord
    from dfaas_lab.campaign.settings import Settings
    from dfaas_lab.load.plan import Plan
    from dfaas_lab.progress import ProgressView
    from dfaas_lab.target import Target

log = logging.getLogger("dfaas_lab.campaign")


class Campaign:
    """A plan that is measured on some targets; ``lab.campaign(plan)`` makes one.

    It survives interrupts and kills: :meth:`run` goes on exactly where it was, from any process
    with the same store.

    Args:
        targets: The targets, by name.
        store: The folder of the results.
        folder: The campaign's own files; they are made by the first ``run()``.
        settings: What is asked.
        label: A name for people.
        options: Other options of the runs.
        progress: How progress is shown: None chooses, False shows nothing.

    >>> campaign = lab.campaign(label="study")  # the stored one
    >>> campaign.status, campaign.outcomes.height  # 4 loads of 2 functions
    ('finished', 8)
    """

    def __init__(
        self,
        targets: Mapping[str, Target],
        store: Path,
        folder: CampaignFolder,
        settings: Settings,
        *,
        label: str | None,
        options: Mapping[str, Any],
        progress: bool | None,
    ) -> None:
        self._targets = dict(targets)
        self._store = Store(store)
        self._folder = folder
        self._settings = settings
        self._options = dict(options)
        self._progress = progress
        self.label = label
        self._seen = "new", "no load measured"

    @property
    def id(self) -> str:
        """The campaign's id, unique and sortable by time.

        >>> lab.campaigns()["campaign_id"].to_list() == [campaign.id]
        True
        """
        return self._folder.id

    @property
    def path(self) -> Path:
        """The folder of its own files in the store; the runs are beside, as any.

        >>> campaign.path.name == campaign.id
        True
        """
        return self._folder.path

    @property
    def plan(self) -> Plan:
        """The plan.

        >>> len(campaign.plan)
        4
        """
        return self._settings.plan

    @property
    def status(self) -> str:
        """``new``, ``running``, ``interrupted`` (also after a kill), ``failed`` or ``finished``.

        >>> campaign.status
        'finished'
        """
        return status_of(self._folder)

    def preview(self) -> CampaignPreview:
        """Say what the campaign costs: loads, time, data. Connects to nothing.

        >>> campaign.preview().loads
        {'node1': 4}
        """
        return preview_of(self._settings, self._plans(), self._known())

    def run(self) -> Campaign:
        """Measure what is not measured yet, and return the campaign.

        Several targets are measured side by side. A Kernel Interrupt ends it when what is under way
        is stored; a second one leaves at once. ``run()`` again goes on.

        Raises:
            CampaignError: Another process runs it.
            CooldownTimeout: A node did not become idle.
            ResumeMismatch: What is stored is not what is asked.
            DfaasLabError: It cannot go on: the generator has no k6, the disk is full ...

        >>> campaign.run().status  # it had ended: nothing is measured again
        'finished'
        """
        if self.status == "finished":
            return self
        if not self._folder.exists:
            now = datetime.now(UTC).isoformat()
            self._folder.create(
                self._settings, {"label": self.label, "status": "new", "created_at": now}
            )
        try:
            with self._folder.running():
                self._note_progress()
                self._run_targets()
        finally:
            self._note_progress()
        return self

    def _run_targets(self) -> None:
        stop = threading.Event()
        loops = [
            TargetLoop(target, self._folder, self._settings, self._store, self._options, stop)
            for target in self._targets.values()
        ]
        jobs = [Job(loop.run) for loop in loops]
        view = choose_view(self._progress)
        try:
            for job in jobs:
                job.start()
            self._wait(jobs, loops, view)
        except KeyboardInterrupt:
            stop.set()
            self._wait(jobs, loops, view)
            raise noted(self._interrupted(), _errors(jobs)) from None
        finally:
            stop.set()
            view.close(self._steps(loops))
            self._folder.update(status=_ended(loops, _errors(jobs)))
        if errors := _errors(jobs):
            raise joined(errors)

    def _interrupted(self) -> Interrupted:
        self._note_progress()
        return Interrupted(
            f"campaign {self.id}: {self._seen[1]}, and what was under way is stored.\n"
            "run() goes on exactly there, here or from another process with this store."
        )

    def _wait(
        self, jobs: Sequence[Job[None]], loops: Sequence[TargetLoop], view: ProgressView
    ) -> None:
        def ended(within_s: float) -> bool:
            time.sleep(within_s)
            return all(job.done.is_set() for job in jobs if job.begun)

        draw_until(ended, view, lambda: self._steps(loops))

    def _steps(self, loops: Sequence[TargetLoop]) -> Any:
        settings = self._settings
        return steps_of(
            {name: loop.state for name, loop in zip(self._targets, loops, strict=True)},
            settings.iterations,
            settings.duration_s,
        )

    @property
    def outcomes(self) -> pl.DataFrame:
        """One row per target, load, iteration and function, with the node's own metrics.

        The summary's columns, where ``iteration`` is the load's, and ``load_id, cpu_cores,
        cpu_fraction, memory_bytes, memory_fraction, power_watts, replicas, rest_s, overloaded,
        reasons, skipped``, the idle values with the prefix ``idle_``, ``function_cpu_cores,
        function_memory_bytes, function_power_watts``, then ``function_overloaded, doubts`` and
        ``not_measured`` (why a value of the node is null). Node values are means over the
        iteration's window. A load that is ruled out by an overloaded one has ``skipped`` true and
        nulls; ``reasons`` names the overloaded one.

        >>> campaign.outcomes.filter(function="env").select("rate_rps", "skipped").row(0)
        (5.0, False)
        """
        return outcomes_of(self._store, self._settings, self._plans(), self._known())

    def chart(self) -> alt.TopLevelMixin:
        """The campaign as charts: latency and success against rate, the node, time.

        >>> save_figure(campaign.chart(), "campaign.pdf").name
        'campaign.pdf'
        """
        return charts.campaign_chart(self.outcomes, self._settings.overload)

    def frontier(self, a: str, b: str) -> alt.TopLevelMixin:
        """The overload frontier of two functions: measured, overloaded and skipped loads.

        Args:
            a: A function of the plan, on the x axis.
            b: Another, on the y axis.

        Raises:
            ConfigError: The plan does not have them together.

        >>> save_figure(campaign.frontier("env", "figlet"), "frontier.svg").name
        'frontier.svg'
        """
        for name in (a, b):
            if name not in self.plan.functions:
                raise ConfigError(
                    f"the plan has no function {name!r}{near(str(name), self.plan.functions)}",
                    hint=f"Its functions are: {', '.join(self.plan.functions)}.",
                )
        planned = a != b and self.plan.sizes[1] > 1
        return charts.frontier_chart(self.outcomes, a, b, planned=planned)

    def export_csv(self, folder: str | Path) -> list[Path]:
        """Write the files that existing analyses read: ``results.csv, skipped.csv, index.csv``.

        Of several targets each has a folder of its own below. A second export adds what is new.
        CPU is 100 times cores, memory in bytes and in percent, latency in ms, power in watts (the
        existing tools' own queries give microwatts).

        Args:
            folder: Where to; made if it is not there.

        Returns:
            The paths of the files.

        >>> [path.name for path in campaign.export_csv("exported")]
        ['results.csv', 'skipped.csv', 'index.csv']
        """
        return csv_export.export_csv(self.outcomes, folder, functions=self.plan.functions)

    @staticmethod
    def import_csv(folder: str | Path, *, target: str | None = None) -> pl.DataFrame:
        """Read such files, also those of existing tools, as outcomes.

        Args:
            folder: Holds ``index.csv`` and the files that it names, or ``results.csv`` alone.
            target: What to call the node; None means the folder's name.

        >>> written = campaign.export_csv("imported")
        >>> Campaign.import_csv("imported", target="node1").height
        8
        """
        return csv_import.import_csv(folder, target=target)

    def _plans(self) -> dict[str, Plan]:
        plan = self._settings.plan
        return {name: plan.limited(target.functions) for name, target in self._targets.items()}

    def _known(self) -> dict[str, dict[str, LoadRecord]]:
        return {name: self._folder.loads(name) for name in self._targets}

    def _note_progress(self) -> Campaign:
        """Note how far it is, for who shows it: a display asks no disk."""
        with contextlib.suppress(DfaasLabError, OSError):  # who runs it will be told
            known = self._known().values()
            done = sum(not record.missing for own in known for record in own.values())
            loads = sum(len(plan) for plan in self._plans().values())
            others = loads - done if self.status == "finished" else 0
            ruled_out = f", {others} ruled out" if others else ""
            self._seen = self.status, f"{done} of {loads} loads measured{ruled_out}"
        return self

    @safe_repr
    def __repr__(self) -> str:
        label = f" {self.label!r}" if self.label else ""
        targets = ", ".join(self._targets)
        return f"Campaign {self.id}{label} on {targets}: {', '.join(self._seen)}"

    @safe_html
    def _repr_html_(self) -> str:
        settings, (status, measured) = self._settings, self._seen
        facts = {
            "label": self.label,
            "measured": measured,
            "targets": ", ".join(self._targets),
            "functions": ", ".join(self.plan.functions),
            "each load": f"{settings.iterations} \u00d7 {span(settings.duration_s)}",
            "results": str(self.path),
        }
        return card(f"campaign {self.id}", facts, state=chip(status))


def status_of(folder: CampaignFolder) -> str:
    """The status of a stored campaign; one that says it is running may have been killed."""
    if not folder.exists:
        return "new"
    said = str(folder.read().get("status"))
    return "interrupted" if said == "running" and not folder.locked else said


def _errors(jobs: Sequence[Job[None]]) -> list[BaseException]:
    return [job.error for job in jobs if job.error is not None]


def _ended(loops: Sequence[TargetLoop], errors: Sequence[BaseException]) -> str:
    if errors:
        return "failed"
    return "finished" if all(loop.state.done for loop in loops) else "interrupted"
