"""Measures one target: its iterations in order, each stored before the next begins."""

from __future__ import annotations

import contextlib
import functools
import logging
import shlex
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dfaas_lab.display import words
from dfaas_lab.errors import (
    CommandFailed,
    ConnectionFailed,
    DfaasLabError,
    ResultsUnreadable,
    StoreError,
    TransferFailed,
)
from dfaas_lab.execution.iteration import Found, Iteration, Lost, NotStarted, Started
from dfaas_lab.execution.iteration_results import IterationResults
from dfaas_lab.execution.messages import end_line, so_far
from dfaas_lab.execution.metrics_collection import MetricsCollection
from dfaas_lab.k6.launch import start
from dfaas_lab.k6.live import LiveSeries
from dfaas_lab.k6.live_reader import reading_live
from dfaas_lab.remote.liveness import PATIENCE_S, RETRY_S, Liveness
from dfaas_lab.remote.workspace import Workspace, lines, remove
from dfaas_lab.retry import retry, uninterrupted
from dfaas_lab.run import Run
from dfaas_lab.status import COMPLETE, worst

if TYPE_CHECKING:
    from collections.abc import Callable

    from dfaas_lab.execution.iteration import Pause
    from dfaas_lab.execution.node_metrics import NodeMetrics
    from dfaas_lab.execution.part import Part
    from dfaas_lab.k6.output import Elapsed
    from dfaas_lab.progress import Progress, StepState
    from dfaas_lab.remote.prepared_command import PreparedCommand
    from dfaas_lab.store import RunFolder

log = logging.getLogger("dfaas_lab")

# After these, what k6 wrote is on the generator, and can be fetched by whoever attaches.
_STILL_THERE = (
    ConnectionFailed,
    CommandFailed,
    TransferFailed,
    ResultsUnreadable,
    StoreError,
    OSError,
)

# In the target's cache: by function, for how long requests kept their VUs.
_LATENCIES = "latencies"


class TargetRun:
    """One target's part of a run.

    Args:
        part: The target, and what is to be measured on it.
        folder: Where the results go.
        workspaces: One for each iteration of the order.
        line: Called with each line that k6 logs.
        begun: Whether another controller may have begun it, or everything was sent already.
        closed: Whether nothing new may be begun, only brought home.
        pause: Called before each iteration that is begun from here.
        node_metrics: Collects the target's own metrics of each iteration, where it has any.
        watched: Whether somebody looks while it goes on: then its samples are read live.
    """

    def __init__(
        self,
        part: Part,
        *,
        folder: RunFolder,
        workspaces: Sequence[Workspace],
        line: Callable[[str], None] | None = None,
        begun: bool = False,
        closed: bool = False,
        pause: Pause | None = None,
        node_metrics: NodeMetrics | None = None,
        watched: bool = False,
    ) -> None:
        spec, generator, target = part.spec, part.target.generator, part.target.name
        self._spec = spec
        self.name = target
        self.set_last_run = part.target.set_last_run
        self._generator = generator
        seen = part.target.cache.setdefault(_LATENCIES, {})
        self._results = IterationResults(generator.remote, folder, target, seen)
        self._folder = folder
        self._liveness = Liveness(generator.remote)
        before = None if pause is None else functools.partial(pause, folder.run_id)
        self._iterations = [
            Iteration(number, workspace, spec, generator, self._results, self._liveness, before)
            for number, workspace in zip(spec.numbers, workspaces, strict=True)
        ]
        self._line = line
        self._begun = begun or spec.detached
        self._closed = closed or spec.detached
        # Whether an iteration begins from here as soon as the one before is stored.
        self._at_once = not (self._begun or self._closed or spec.rest_s or pause)
        self._ahead: PreparedCommand | None = None
        self._finished: list[Workspace] = []
        self._metrics = MetricsCollection(node_metrics, at_once=pause is not None)
        self._statuses: list[str] = []
        self.live = LiveSeries(self._total_s) if watched else None
        """What is measured while it goes on; None where nobody looks."""
        self.over = False
        """Whether ``run`` has ended."""
        self.read: Run | None = None
        """The run as it was then, with what has been read of it."""

    @property
    def _total_s(self) -> float:
        return self._spec.iterations * self._spec.plan.duration_s + self._spec.warmup_s

    @property
    def status(self) -> str:
        """The worst status of the iterations so far; ``lost`` where the generator was left."""
        return worst(self._statuses or ["interrupted"])

    @property
    def silent_s(self) -> float:
        """For how long the generator has been asked and said nothing, in seconds."""
        return self._liveness.silent_s

    def send(self) -> None:
        """Send all iterations of a detached run and start their supervisor.

        Raises:
            WorkspaceError: There is no room for them.
            ConnectionFailed: The generator was lost.
        """
        k6_path = self._generator.k6_path()
        start(
            self._generator.remote,
            [iteration.workspace for iteration in self._iterations],
            [iteration.files() for iteration in self._iterations],
            [iteration.terms(k6_path) for iteration in self._iterations],
        ).close()

    def ended(self) -> bool:
        """Ask whether the last iteration of a detached run has ended on the generator."""
        path = shlex.quote(self._iterations[-1].workspace.path)
        script = (
            f'cd {path} 2>/dev/null || exit 0; read -r code _ <exit; [ "$code" != running ] || '
            "{ . ./alive.sh; word supervisor && ! alive supervisor && ! alive pid; }"
        )
        return bool(self._generator.remote.run(script, check=False))

    def run(self, progress: Progress, stop: threading.Event) -> None:
        """Measure all iterations; ``stop`` ends it early, with what was measured stored.

        Raises:
            DfaasLabError: An iteration failed; what it measured is stored.
        """
        progress.update(
            self.name,
            total=self._total_s,
            text=f"connecting \u00b7 run {self._folder.run_id}",
            run_id=self._folder.run_id,
        )
        removal = threading.Thread(target=self._remove, args=(stop,), daemon=True)
        try:
            try:
                error = self._all(progress, stop)
                removal.start()
            finally:
                self._close_ahead()
                self._metrics.finish()
            removal.join()
            if error is not None:
                raise error
        except Lost:
            end = "ends there with its lease, if it runs" if self._spec.lease_s else "goes on"
            log.warning("%s does not answer: k6 %s", self._generator.host, end)
            self._statuses.append("lost")
        except BaseException as failure:
            if self.status in COMPLETE or not self._statuses:  # not that of an iteration that ended
                # Where nothing could be stored, what was measured is still on the generator.
                self._statuses.append("lost" if isinstance(failure, _STILL_THERE) else "failed")
            progress.finish(self.name, "failed", self._end_line())
            raise
        finally:
            self.over = True
        measured = sum(status in COMPLETE for status in self._statuses)
        if measured < self._spec.iterations and self.status in COMPLETE:
            self._statuses.append("interrupted")
        done: StepState = "ok" if self.status in COMPLETE else "interrupted"
        progress.finish(self.name, done, self._end_line())

    @uninterrupted
    def _end_line(self) -> str:
        self.read = Run(self._folder)
        return end_line(self.read, self.name, self._spec)

    def _all(self, progress: Progress, stop: threading.Event) -> DfaasLabError | None:
        """Go through the iterations to the first that did not go well; return its error."""
        error: DfaasLabError | None = None
        for index, iteration in enumerate(self._iterations):
            if stop.is_set() and self._begun:
                # What ended before is brought home first, but k6 ends now.
                self._stop_there(self._iterations[index:])
            following = next(iter(self._iterations[index + 1 :]), None)
            status, error = self._one(iteration, following, progress, stop)
            if iteration.number or status not in COMPLETE:
                self._statuses.append(status)
            # Of what another controller began, each may have ended well: it is brought home.
            if status not in COMPLETE or error is not None or (stop.is_set() and not self._begun):
                if self._spec.detached:
                    self._leave(self._iterations[index + 1 :])
                break
        if error is not None:
            self._generator.invalidate_k6()
        return error

    def _one(
        self,
        iteration: Iteration,
        following: Iteration | None,
        progress: Progress,
        stop: threading.Event,
    ) -> tuple[str, DfaasLabError | None]:
        if self._results.path(iteration.number).exists():
            status: str = self._results.status(iteration.number)
            error: DfaasLabError | None = None
        else:
            began = iteration.begin(
                stop,
                unsure=self._begun,
                closed=self._closed,
                ahead=self._ahead,
                finished=self._finished[-1:],
            )
            self._close_ahead()
            if isinstance(began, NotStarted):
                return "interrupted", None
            # Where one was not begun by another controller, no later one was either.
            self._begun = self._spec.detached or isinstance(began, Found)
            with contextlib.closing(self._results.fetching(iteration.workspace)) as fetching:
                with self._read_live(iteration):
                    end = iteration.follow(
                        began.process if isinstance(began, Started) else None,
                        stop,
                        elapsed=lambda event: self._tell(progress, iteration, event),
                        line=self._line,
                    )
                if end.skipped:
                    self._finished.append(iteration.workspace)
                    return "interrupted", None
                if following is not None and self._at_once and not stop.is_set():
                    self._ahead = following.starting()
                status, error = iteration.fetch_results(end, fetching, stop)
        if iteration.number:
            self._metrics.add(iteration.number, self._results.path(iteration.number))
        if error is None and status not in ("failed", "timed_out"):  # those are the evidence
            self._finished.append(iteration.workspace)
            # The next one removes it before it begins, or the run's end.
            if following is not None and self._ahead is None:
                self._remove(stop)
        return status, error

    def _close_ahead(self) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.close()

    def _stop_there(self, iterations: Sequence[Iteration]) -> None:
        """Ask the first of these that has not ended to end; its supervisor begins no other."""
        script = (
            'while read -r one; do cd "$one" 2>/dev/null || continue; [ -s ended ] && continue; '
            "sh ./stop.sh interrupt; break; done"
        )
        paths = lines(iteration.workspace for iteration in iterations)
        with contextlib.suppress(DfaasLabError), self._liveness.asking():
            self._generator.remote.run(script, stdin=paths, timeout=10, check=False)

    def _leave(self, iterations: Sequence[Iteration]) -> None:
        """Leave the rest of a detached run: nothing goes on, and what never began is removed."""
        if not iterations:
            return
        self._stop_there(iterations)
        paths = lines(iteration.workspace for iteration in iterations)
        script = (
            'while read -r one; do up=; read -r up <"$one/started"; '
            '[ -n "$up" ] || printf \'%s\\0\' "$one"; done | xargs -0 rm -rf --'
        )
        with contextlib.suppress(DfaasLabError), self._liveness.asking():
            within_s = 30 + 0.1 * len(iterations)  # of a busy disk
            self._generator.remote.run(script, stdin=paths, timeout=within_s, check=False)

    def _remove(self, stop: threading.Event) -> None:
        """Remove workspaces whose results are safe here; what stays there harms nobody."""
        workspaces, self._finished = self._finished, []
        if not workspaces:
            return
        with self._liveness.asking():
            try:
                retry(
                    lambda: remove(self._generator.remote, *workspaces),
                    on=ConnectionFailed,
                    pause_s=RETRY_S,
                    within_s=PATIENCE_S,
                    give_up=stop.is_set,
                )
            except DfaasLabError as error:
                log.warning("%s keeps a workspace: %s", self._generator.host, error)

    def _read_live(self, iteration: Iteration) -> contextlib.AbstractContextManager[None]:
        if self.live is None:
            return contextlib.nullcontext()
        found = self.live.begin(self._before_s(iteration), iteration.plan.duration_s)
        return reading_live(self._generator.remote, iteration.workspace, found)

    def _before_s(self, iteration: Iteration) -> float:
        """The planned time before an iteration, without rests."""
        if not iteration.number:
            return 0.0
        return self._spec.warmup_s + (iteration.number - 1) * self._spec.plan.duration_s

    def _tell(self, progress: Progress, iteration: Iteration, event: Elapsed) -> None:
        spec, plan = self._spec, iteration.plan
        what = f"iteration {iteration.number}/{spec.iterations}" if iteration.number else "warm-up"
        elapsed_s = min(event.seconds, plan.duration_s)
        done_s = self._before_s(iteration) + elapsed_s
        left_s = self._total_s - done_s + spec.rest_s * (spec.iterations - max(iteration.number, 1))
        said = [what, _elapsed(event.seconds, plan.duration_s)]
        said += so_far(None if self.live is None else self.live.numbers())
        said += [f"{words.span(max(round(left_s), 1))} left"] if left_s > 0 else []
        # An iteration of our script is one request; of another one, who knows.
        said += [words.count(event.complete, "request" if plan.is_builtin else "script iteration")]
        said += [f"run {self._folder.run_id}"]
        progress.update(self.name, done=done_s, text=" \u00b7 ".join(said))


def _elapsed(seconds: float, duration_s: float) -> str:
    """Say how far an iteration is; a script may not say how long it lasts."""
    if not duration_s:
        return words.span(round(seconds))
    return f"{min(seconds, duration_s):.0f} of {words.span(duration_s)}"
