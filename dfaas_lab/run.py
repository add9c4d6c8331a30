"""``Run``: a measured run. Its frames, its verdict, its charts, read from the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfaas_lab import charts
from dfaas_lab.display.bundles import chart_bundle, mimebundle, publish
from dfaas_lab.display.cards import Nested
from dfaas_lab.errors import StoreError
from dfaas_lab.printable import printable, safe_repr
from dfaas_lab.secret import sealing
from dfaas_lab.validation import local_path

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

    from dfaas_lab.analysis.doubt import Verdict
    from dfaas_lab.k6.generator_load import IterationOnHost
    from dfaas_lab.reproduce import Reproducer
    from dfaas_lab.store import RunFolder
    from dfaas_lab.stored_run import StoredRun


class Run:
    """What was measured, read from its folder in the store when it is asked for.

    ``summary`` has one row per iteration and function, ``requests`` one per HTTP request,
    ``timeline`` one per iteration, function and second.

    >>> run = Run.load(run.path)
    >>> run.label, run.status, run.summary.height
    ('first', 'ok', 6)
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    @cached_property
    def _stored(self) -> StoredRun:
        from dfaas_lab.stored_run import StoredRun

        return StoredRun(self._folder)

    @cached_property
    def _loads(self) -> list[IterationOnHost]:
        return self._stored.generator_loads(self.summary)

    @property
    def id(self) -> str:
        """The run's id, unique and sortable by time.

        >>> Run.load(run.path).id == run.id
        True
        """
        return self._folder.run_id

    @property
    def path(self) -> Path:
        """The run's folder in the store.

        >>> run.path.name == f"run_id={run.id}"
        True
        """
        return self._folder.path

    @cached_property
    def _manifest(self) -> dict[str, Any]:
        return dict(self._folder.read())

    @cached_property
    def provenance(self) -> Nested:
        """The manifest: what was asked, of whom, with which versions. Nothing secret.

        ``orders`` holds by target what was asked, ``provenance`` versions, commit, hosts and
        images, ``clock_skew`` by target how far its gateway's clock was ahead of the generator's,
        ``reproduces`` the run that this one repeats. README tells more.

        >>> run.provenance["orders"]["node1"]["load"]
        {'figlet': 10.0, 'env': 20.0}
        """
        from dfaas_lab.analysis.clock_skew import clock_skew

        found = Nested(self._manifest)
        if "clock_skew" not in found:  # it has not ended yet
            found["clock_skew"] = clock_skew(self._folder.frame("k6_metrics"))
        return found

    @property
    def label(self) -> str | None:
        """What the user called it.

        >>> run.label
        'first'
        """
        label = self._manifest.get("label")
        return None if label is None else str(label)

    @property
    def status(self) -> str:
        """The run's status: that of its worst iteration, or one that ``lab.attach`` can end.

        ``running``: its controller is at it, or was killed; ``lost``: the generator was left while
        k6 may go on there. An iteration that is not in the store is never ``ok``.

        >>> run.status
        'ok'
        """
        return self._stored.status(str(self._manifest.get("status")))

    @cached_property
    def summary(self) -> pl.DataFrame:
        """One row per iteration and function.

        ``planned = started + dropped + not_attempted`` and ``started = succeeded + failed +
        unfinished``. ``latency_ms_*`` (sent to answered) and ``response_ms_*`` (planned to
        answered: what a caller waits) are of successful requests, ``failed_latency_ms_p50`` of
        failures that were answered, ``late_ms_*`` (planned to sent) of all. ``started_at`` is when
        k6 began that function's load: of several at once some ms apart. ``achieved_rps`` is
        ``started`` by the time that the load really ran. Of a script of your own, which plans by
        itself, these are null: all that is planned, ``started``, and what follows from them.

        ``gateway_count`` is how many of these requests the gateway had by its own counter, where
        Prometheus scraped it twice within the load (what came before the first and after the last
        of these scrapes is taken from ``requests``); ``gateway_difference`` how many more than were
        started, or (negative) fewer than were answered. Why they are null is in ``node_metrics``.

        >>> run.summary.filter(function="env").select("iteration", "planned", "failed").row(0)
        (1, 20, 0)
        """
        return self._folder.frame("summary")

    @cached_property
    def requests(self) -> pl.DataFrame:
        """One row per HTTP request, in the order in which they were sent.

        ``planned_at``, ``started_at`` and ``ended_at`` are on the generator's clock; ``late_ms`` is
        from planned to sent, ``latency_ms`` from sent to answered, without ``blocked_ms`` (waiting
        for a connection), ``response_ms`` all three: from planned to answered. A function's
        requests are planned from the begin of its load (``summary.started_at``).

        Of a script of your own, ``name``, ``method`` and ``group`` are k6's, and ``tags`` is JSON
        with all tags (null in the requests of a load)::

            stage = pl.col("tags").str.json_path_match("$.stage")
            run.requests.group_by(stage).agg(pl.col("latency_ms").median())

        >>> run.requests.filter(function="env", iteration=1).height
        20
        """
        return self._folder.frame("requests")

    @cached_property
    def timeline(self) -> pl.DataFrame:
        """One row per iteration, function and second of the plan.

        A request counts in the second it was planned for, one that was sent over 10 ms late in the
        second in which it was sent. Latencies are those of successful requests.

        >>> run.timeline.filter(function="env", iteration=1)["requests"].to_list()
        [20]
        """
        return self._folder.frame("timeline")

    @cached_property
    def k6_metrics(self) -> pl.DataFrame:
        """Checks and custom metrics of the script: one row for each set of tags and group.

        >>> run.k6_metrics.columns[:4]
        ['run_id', 'target', 'iteration', 'scenario']
        """
        return self._folder.frame("k6_metrics")

    @cached_property
    def files(self) -> pl.DataFrame:
        """What a script's ``handleSummary()`` wrote: ``target, iteration, name, size, path``.

        ``size`` is in bytes. In ``path``, a name is written as every file system takes it. Of an
        iteration, 200 files and 200 MB are kept; the others are listed without size and path.
        Files with an absolute name are among them where the script's text or ``env`` names them;
        one whose name is made while it runs stays on the generator.

        >>> run.files.columns
        ['target', 'iteration', 'name', 'size', 'path']
        """
        return self._stored.script_files()

    @cached_property
    def node_metrics(self) -> pl.DataFrame:
        """What the target's Prometheus measured of each iteration's load, and of nothing else.

        ``target, iteration, time, metric, function, instance, value, reason``; the columns and the
        rule are those of ``target.metrics()``. Empty where the target has no Prometheus.

        >>> run.node_metrics.columns[:4]
        ['target', 'iteration', 'time', 'metric']
        """
        return self._folder.frame("node_metrics")

    @cached_property
    def metrics(self) -> pl.DataFrame:
        """What the generator did: one row per target and iteration, ratios 0..1, bytes, counts.

        The columns are those of :class:`dfaas_lab.k6.generator_load.HostLoad`.

        >>> run.metrics["cpu_fraction"].is_between(0, 1).all()
        True
        """
        return self._stored.generator_metrics(self._loads)

    @cached_property
    def error_budget(self) -> pl.DataFrame:
        """How much of each latency and response time can be the instrument's own doing.

        One row for each number of the summary: ``target, iteration, function, number, value,
        late_ms`` (requests sent late), ``wait_ms`` (k6's wait for a processor), ``clock_ms`` (the
        step of the generator's clock), ``instrument_ms`` (their sum, an upper limit), ``share``,
        and ``marked``: more than a tenth. See :func:`dfaas_lab.analysis.error_budget.error_budget`.

        >>> p95 = run.error_budget.filter(number="response_ms_p95", function="env")
        >>> (p95["instrument_ms"] >= p95["late_ms"]).all()
        True
        """
        from dfaas_lab.analysis.error_budget import error_budget

        return error_budget(self.summary, self.requests, self.metrics)

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the numbers can be believed, each doubt with its number, and what to know.

        The remarks tell of numbers that are as they were measured, and yet not to be taken as they
        stand: too few requests, the instrument's share (:attr:`error_budget`), a latency that does
        not get steady (:meth:`stability`).

        >>> run.verdict.word in ("VALID", "DOUBTFUL")
        True
        """
        from dfaas_lab.analysis import stability
        from dfaas_lab.analysis.error_budget import remarks_of

        more = [*remarks_of(self.error_budget), *stability.remarks_of(self.stability())]
        return replace(self._judged, remarks=(*self._judged.remarks, *more))

    @cached_property
    def _judged(self) -> Verdict:
        """The verdict without the remarks that take longer."""
        return self._stored.verdict(self._manifest, self, self._loads)

    def bounds(self) -> pl.DataFrame:
        """What each quantile of the response could be, if all that is missing had been slowest.

        See :func:`dfaas_lab.analysis.quantile_bounds.bounds_of`.

        >>> whole = run.bounds().filter(pl.col("succeeded") == pl.col("asked"))
        >>> (whole["response_ms_low"] == whole["response_ms_high"]).all()  # nothing is missing
        True
        """
        from dfaas_lab.analysis.quantile_bounds import bounds_of

        return bounds_of(self.summary, self.requests)

    def statistics(self, confidence: float = 0.95) -> pl.DataFrame:
        """Means over the iterations with intervals; see :mod:`dfaas_lab.analysis.statistics`.

        Args:
            confidence: Of the intervals, between 0 and 1.

        >>> p95 = run.statistics().filter(measure="latency_ms_p95", function="env")
        >>> p95.select("iterations", "unit").row(0)
        (3, 'iteration')
        """
        from dfaas_lab.analysis.statistics import statistics

        return statistics(self.requests, self.summary, confidence=confidence)

    def stability(self, confidence: float = 0.95) -> pl.DataFrame:
        """Whether each function's latency got steady, and a warm-up to leave out (MSER-5).

        The columns are those of :func:`dfaas_lab.analysis.stability.stability`; what is no chance
        is a remark of the verdict, too. No number is changed by it.

        Args:
            confidence: How sure all remarks together are.

        >>> run.stability().filter(function="env").select("warmup_s", "iterations").rows()
        [(0, 3)]
        """
        from dfaas_lab.analysis.stability import stability
        from dfaas_lab.analysis.statistics import check_confidence

        check_confidence(confidence)
        return stability(self.summary, self.timeline, confidence=confidence)

    def chart(self) -> alt.TopLevelMixin:
        """The run as a chart: latency over time, and what was delivered against what was asked.

        >>> save_figure(run.chart(), "run.svg").name
        'run.svg'
        """
        from dfaas_lab.charts.figure import on_show
        from dfaas_lab.widgets import forget_figure

        drawn = charts.run_chart(self.summary, self.timeline, self.requests)
        return on_show(drawn, lambda: forget_figure(self.id))

    @cached_property
    def _figure(self) -> dict[str, Any]:
        """The chart as a MIME bundle: drawing it takes a moment."""
        return chart_bundle(self.chart())

    def save(self, path: str | Path) -> Path:
        """Write the run as one archive (zip), which :meth:`load` opens anywhere.

        Args:
            path: The file; one that is there is replaced.

        >>> run.save("first.zip").name
        'first.zip'
        """
        from dfaas_lab.store import save

        return save(self._folder, path)

    @sealing("env")
    def reproduce(
        self,
        target: Reproducer,
        *,
        part: str | None = None,
        trust_script: bool = False,
        env: Mapping[str, str] | None = None,
        label: str | None = None,
        progress: bool | None = None,
    ) -> Run:
        """Run the same again: load, terms, and functions with their bodies, as they were asked.

        Header values that are not stored (they may be secret) are those of the target's function
        of that name. What differs from then (k6's version, images, hosts) is logged as a warning,
        and is in the new run's ``provenance["reproduces"]``.

        Args:
            target: Where to.
            part: Which target's part of a run of several; else the one that is called as this one.
            trust_script: Allow a script that came in an archive. It runs on the generator.
            env: The environment of a script, whose values are not stored.
            label: A name for people; the old one where left out.
            progress: As of ``run_k6``.

        Raises:
            ConfigError: Something is not stored, or not trusted; nothing was run.

        >>> again = run.reproduce(target, progress=False)
        >>> again.provenance["reproduces"]["run_id"] == run.id
        True
        """
        from dfaas_lab.reproduce import reproduce

        again: Run = reproduce(
            self._folder,
            target,
            part=part,
            trust_script=trust_script,
            env=env,
            label=label or self.label,
            progress=progress,
        )
        return again

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Open a run: an archive that :meth:`save` wrote, or a run's folder in a store.

        Args:
            path: The archive, or the folder ``run_id=...``.

        Raises:
            StoreError: It is no run, is damaged, or was written by a newer dfaas_lab.

        >>> Run.load(run.save("shared.zip")).summary.equals(run.summary)
        True
        """
        from dfaas_lab.store import RunFolder, open_archive

        place = local_path(path, what="path").absolute()  # a link has the run's name, not its place
        if not place.is_dir():
            return cls(open_archive(place))
        if not (place / "manifest.json").exists():
            raise StoreError(
                f"{place} holds no run", path=str(place), hint="Give a folder run_id=... or a zip."
            )
        folder = RunFolder.at(place)
        folder.read()  # one that is damaged or newer is refused here
        return cls(folder)

    @safe_repr
    def __repr__(self) -> str:
        from dfaas_lab.display.tables import summary_text

        try:
            label = f" {self.label!r}" if self.label else ""
            head = printable(f"Run {self.id}{label}: {self.verdict}")
            return f"{head}\n{summary_text(self.summary, self._marks())}"
        except Exception as error:  # a display never fails (rule 8), whatever is on the disk
            reason = error.message if isinstance(error, StoreError) else repr(error)
            return printable(f"Run {self.id}: cannot be read ({reason})")

    def _html(self) -> str:
        from dfaas_lab.display.tables import run_html

        found, title = self.verdict, f"run {self.id}" + (f" {self.label!r}" * bool(self.label))
        return run_html(
            found.word,
            self.summary,
            title=title,
            doubts=found.lines,
            notes=found.remarks,
            marks=self._marks(),
        )

    def _marks(self) -> list[tuple[str, int, str, str]]:
        """The numbers of which more than a tenth may be the generator's own."""
        marked = self.error_budget.filter("marked")
        return marked.select("target", "iteration", "function", "number").rows()

    def _shown(self) -> tuple[Any, Any, str]:
        return self._html, lambda: self._figure, repr(self)

    def _ipython_display_(self) -> None:
        from dfaas_lab.widgets import forget_figure

        forget_figure(self.id)
        publish(*self._shown())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Any:  # noqa: ARG002
        return mimebundle(*self._shown())
