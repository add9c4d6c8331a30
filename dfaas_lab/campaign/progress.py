"""A campaign's progress as bars: one line per target, and one for the run under way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dfaas_lab.campaign.measure import LoopState
from dfaas_lab.campaign.preview import told_time
from dfaas_lab.display.words import count
from dfaas_lab.progress import Step


def steps_of(
    states: Mapping[str, LoopState], iterations: int, duration_s: float
) -> tuple[Step, ...]:
    """Return the bars, from how far each target is."""
    return tuple(
        step
        for target, state in states.items()
        for step in _steps(target, state, iterations, duration_s)
    )


def _steps(target: str, state: LoopState, iterations: int, duration_s: float) -> Iterator[Step]:
    passed = state.measured + state.skipped
    text = f"load {state.position} of {state.loads}"
    if state.done:
        text = f"{count(state.measured, 'load')} measured, {state.skipped} ruled out"
        yield Step(f"campaign on {target}", passed, state.loads, text, "ok")
        return
    left_s = (state.loads - passed) * iterations * max(state.iteration_s, duration_s)
    words = (text, state.load, state.text, f"at most {told_time(left_s)} left")
    yield Step(
        f"campaign on {target}", passed, state.loads, ", ".join(word for word in words if word)
    )
    handle = state.handle
    if handle is not None:
        for step in handle.progress.snapshot():
            # The same bar for every load: a campaign has hundreds of runs.
            yield replace(step, label=f"run on {target}", state="running")
