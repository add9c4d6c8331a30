"""A step of progress as a line of text: while it goes on, and at its end."""

from __future__ import annotations

import html
from collections.abc import Iterable

from dfaas_lab.progress import Step

_MARKS = {"running": "\u2026", "ok": "\u2713", "failed": "\u2717", "interrupted": "\u25a0"}


def sentence(step: Step) -> str:
    """Return a step's label and text, without what could steer a terminal."""
    # A task's name or a host's message may hold anything, a terminal's escape sequences too.
    # Parts of a line are separated by dots, the first one from the label too.
    between = " " if step.text.startswith("\u00b7") else ": "
    words = f"{step.label}{between}{step.text}" if step.text else step.label
    return "".join(c if c.isprintable() else " " for c in words)


def end(step: Step) -> str:
    """Return the line that stays of a step."""
    return f"{_MARKS[step.state]} {sentence(step)}"


def ends(steps: Iterable[Step]) -> dict[str, str]:
    """Return what stays of steps, as a MIME bundle."""
    return bundle([end(step) for step in steps])


def how_to_attach(runs: Iterable[str]) -> dict[str, str]:
    """Say how a run is found again: this stays where the kernel is killed."""
    return bundle(
        [f"run {one}, should this kernel end: lab.attach({one!r})" for one in sorted(runs)]
    )


def bundle(lines: list[str]) -> dict[str, str]:
    """Return lines as a MIME bundle."""
    return {
        "text/plain": "\n".join(lines),
        "text/html": "<br>".join(html.escape(line) for line in lines),
    }
