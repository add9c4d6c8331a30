"""An interrupt before anything was begun leaves a run that has ended, not one to go on with."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from dfaas_lab import Lab, Run
from dfaas_lab.execution.run_handle import RunHandle


@contextmanager
def _interrupt_at(module: str, function: str) -> Iterator[None]:
    """Interrupt this thread, as Ctrl-C does, when it enters a function."""

    def look(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and (Path(code.co_filename).stem, code.co_name) == (module, function):
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)


@contextmanager
def _interrupt_after(calls: int, until: str = "wait") -> Iterator[list[int]]:
    """Interrupt this thread at one of its calls, before it enters ``RunHandle.wait``; count them.

    What is imported for the first time is passed over: that is Python's own.
    """
    count = [0]

    def look(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or "importlib" in code.co_filename:
            return
        if (Path(code.co_filename).stem, code.co_name) == ("run_handle", until):
            sys.setprofile(None)
            return
        count[0] += 1
        if count[0] == calls:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(look)
    try:
        yield count
    finally:
        sys.setprofile(None)


def test_the_opening_is_interrupted_at_any_moment(lab: Lab) -> None:
    with _interrupt_after(10**9) as count:
        lab.target.start_k6(load={"env": 5}, duration="1s").wait()
    chance = random.Random(11)
    moments = {*chance.sample(range(1, count[0]), 12), *range(count[0] - 24, count[0], 2)}
    for calls in sorted(moments):
        before = lab.store.run_ids()
        handle: RunHandle | None = None
        with _interrupt_after(calls), contextlib.suppress(KeyboardInterrupt):
            handle = lab.target.start_k6(load={"env": 5}, duration="1s")
        if handle is not None:  # it took another way, and began
            handle.stop()
            handle.wait()
        for run_id in set(lab.store.run_ids()) - set(before):
            assert Run(lab.store.find(run_id)).status in ("interrupted", "ok"), calls
    assert lab.target.run_k6(load={"env": 5}, duration="1s", progress=False).status == "ok"


@pytest.mark.parametrize(
    "moment",
    [
        ("create", "last_run_of"),
        ("widgets", "choose_view"),
        ("run_handle", "start"),
    ],
    ids="-".join,
)
def test_a_run_that_never_began_is_interrupted(lab: Lab, moment: tuple[str, str]) -> None:
    before = lab.store.run_ids()
    with _interrupt_at(*moment), pytest.raises(KeyboardInterrupt):
        lab.target.run_k6(load={"env": 5}, duration="1s")
    run = Run(lab.store.find(*(set(lab.store.run_ids()) - set(before))))
    assert run.status == "interrupted"
    assert lab.attach(run.id).requests.is_empty()  # and nothing is begun


def test_what_may_have_been_sent_is_not_said_to_run_on(lab: Lab) -> None:
    before = lab.store.run_ids()
    with _interrupt_at("target_run", "send"), pytest.raises(KeyboardInterrupt):
        lab.target.start_k6(load={"env": 5}, duration="1s", detach=True, progress=False)
    run = Run(lab.store.find(*(set(lab.store.run_ids()) - set(before))))
    assert run.status == "lost"
    assert lab.attach(run.id, progress=False).status == "interrupted"
