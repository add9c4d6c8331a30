"""An interrupt before anything was begun leaves a run that has ended, not one to go on with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from dfaas_lab import Lab, Run


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab.local(store=tmp_path_factory.mktemp("store")) as lab:
        lab.provision(progress=False)
        yield lab


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


@pytest.mark.parametrize(
    "moment",
    [
        ("opening", "last_run_of"),
        ("widgets", "choose_view"),
        ("handle", "start"),
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
    with _interrupt_at("measurement", "send"), pytest.raises(KeyboardInterrupt):
        lab.target.start_k6(load={"env": 5}, duration="1s", detach=True, progress=False)
    run = Run(lab.store.find(*(set(lab.store.run_ids()) - set(before))))
    assert run.status == "lost"
    assert lab.attach(run.id, progress=False).status == "interrupted"
