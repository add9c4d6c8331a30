"""A campaign's progress as bars: one line per target, and one for the run under way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dfaas_lab.campaign.measure import Course
from dfaas_lab.campaign.preview import told_time
from dfaas_lab.progress import Step


def steps_of(courses: Mapping[str, Course], iterations: int, duration_s: float) -> tuple[Step, ...]:
    """Return the bars.

    Args:
        courses: By target, how far it is.
        iterations: How often each load is repeated.
        duration_s: How long an iteration lasts.
    """
    return tuple(
        step
        for target, course in courses.items()
        for step in _steps(target, course, iterations, duration_s)
    )


def _steps(target: str, course: Course, iterations: int, duration_s: float) -> Iterator[Step]:
    passed = course.measured + course.skipped
    text = f"load {course.position} of {course.loads}"
    if course.done:
        text = f"{course.measured} loads measured, {course.skipped} ruled out"
        yield Step(f"campaign on {target}", passed, course.loads, text, "ok")
        return
    left_s = (course.loads - passed) * iterations * max(course.iteration_s, duration_s)
    words = (text, course.load, course.text, f"at most {told_time(left_s)} left")
    yield Step(
        f"campaign on {target}", passed, course.loads, ", ".join(word for word in words if word)
    )
    handle = course.handle
    if handle is not None:
        for step in handle.progress.snapshot():
            # The same bar for every load: a campaign has hundreds of runs.
            yield replace(step, label=f"run on {target}", state="running")
