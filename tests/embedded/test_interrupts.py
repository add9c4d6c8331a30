"""An interrupt before anything was begun leaves a run that has ended, not one to go on with."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from dfaas_lab import Lab, Run

NEVER = 10**9


@contextmanager
def _interrupt_at(call: int, since: Callable[[], object] = lambda: True) -> Iterator[list[int]]:
    """Interrupt this thread, as Ctrl-C does, at one of its calls; count them.

    What is imported for the first time is passed over: that is Python's own.

    Args:
        call: At which, counted from 1.
        since: Whether what is of interest has come; calls before are not counted.
    """
    count = [0]

    def look(frame: FrameType, event: str, _: object) -> None:
        if event != "call" or "importlib" in frame.f_code.co_filename or not since():
            return
        count[0] += 1
        if count[0] == call:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(look)
    try:
        yield count
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("moments", [6, pytest.param(24, marks=pytest.mark.slow)])
def test_the_opening_is_interrupted_at_any_moment(lab: Lab, moments: int) -> None:
    with _interrupt_at(NEVER) as count:
        handle = lab.target.start_k6(load={"env": 5}, duration="1s")
    handle.wait()
    chance = random.Random(11)
    last = range(count[0] - moments, count[0], 2)
    for call in sorted({*chance.sample(range(1, count[0]), moments // 2), *last}):
        before = lab.store.run_ids()
        handle = None
        with contextlib.suppress(KeyboardInterrupt), _interrupt_at(call):
            handle = lab.target.start_k6(load={"env": 5}, duration="1s")
        if handle is not None:  # it took another way, and began
            handle.stop()
            handle.wait()
        for run_id in set(lab.store.run_ids()) - set(before):
            run = Run(lab.store.find(run_id))
            if run.status == "running":  # it had begun; only the handle was lost on its way back
                run = lab.attach(run_id, progress=False)
            assert run.status in ("interrupted", "ok"), call
    assert lab.target.run_k6(load={"env": 5}, duration="1s", progress=False).status == "ok"


@pytest.mark.parametrize("call", [2, 4, 7])
def test_a_run_that_is_interrupted_before_it_began_has_ended(lab: Lab, call: int) -> None:
    """From the moment on at which the target knows of it, one call after the other."""
    before, known = lab.store.run_ids(), lab.target.last_run
    opened = _interrupt_at(call, lambda: lab.target.last_run is not known)
    with opened, pytest.raises(KeyboardInterrupt):
        lab.target.run_k6(load={"env": 5}, duration="1s")
    run = Run(lab.store.find(*(set(lab.store.run_ids()) - set(before))))
    assert run.status == "interrupted"
    assert lab.attach(run.id).requests.is_empty()  # and nothing is begun


def test_what_may_have_been_sent_is_not_said_to_run_on(lab: Lab) -> None:
    before, known = lab.store.run_ids(), lab.target.last_run
    opened = _interrupt_at(2, lambda: lab.target.last_run is not known)
    with opened, pytest.raises(KeyboardInterrupt):
        lab.target.start_k6(load={"env": 5}, duration="1s", detach=True, progress=False)
    run = Run(lab.store.find(*(set(lab.store.run_ids()) - set(before))))
    assert run.status == "lost"
    assert lab.attach(run.id, progress=False).status == "interrupted"
