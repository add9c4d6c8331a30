"""The lock on a host itself, and what its login shell says around our own words."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfaas_lab.errors import ProvisionError
from dfaas_lab.local import LocalLab
from dfaas_lab.provision.locks import hold_there, identity
from dfaas_lab.provision.marker import read_marker
from dfaas_lab.provision.provision import provision
from dfaas_lab.remote.process import Process
from dfaas_lab.remote.remote import Remote
from tests.embedded.test_provision import host_of, spec_of


@pytest.fixture
def remote(local_lab: LocalLab) -> Iterator[Remote]:
    made = Remote(host_of(local_lab))
    yield made
    made.close()


class Holder:
    """Takes the lock of a host, and keeps it until it is told to go."""

    def __init__(self, remote: Remote, folder: Path, **more: float) -> None:
        self.holds, self.waits = threading.Event(), threading.Event()
        self._go, self._cancel = threading.Event(), threading.Event()
        self._args = (remote, str(folder))
        self._more = more
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        taken = hold_there(*self._args, cancel=self._cancel, waiting=self.waits.set, **self._more)
        with contextlib.suppress(ProvisionError), taken:  # the test is over: interrupted
            self.holds.set()
            self._go.wait(60)

    def __enter__(self) -> Holder:
        self._thread.start()
        return self

    def go(self) -> None:
        self._go.set()
        self._thread.join(20)

    def __exit__(self, *_: object) -> None:
        self._cancel.set()
        self.go()


def test_a_folder_that_is_made_meanwhile_is_locked_all_the_same(
    remote: Remote, tmp_path: Path
) -> None:
    folder = tmp_path / "deep" / "k6"
    with Holder(remote, folder) as first:
        assert first.holds.wait(20)
        folder.mkdir(parents=True)
        with Holder(remote, folder) as second:
            assert second.waits.wait(20)
            assert not second.holds.is_set()
            first.go()
            assert second.holds.wait(20)


def test_folders_side_by_side_are_held_by_two(remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with Holder(remote, tmp_path / "one") as one, Holder(remote, tmp_path / "two") as two:
        assert one.holds.wait(20)
        assert two.holds.wait(20)
        with Holder(remote, tmp_path) as both:
            assert both.waits.wait(20)
            one.go()
            two.go()
            assert both.holds.wait(20)


@pytest.mark.slow
def test_the_lock_lasts_as_long_as_its_owner_is_heard(remote: Remote, tmp_path: Path) -> None:
    with Holder(remote, tmp_path, silence_s=2.0) as first:
        assert first.holds.wait(20)
        time.sleep(5)
        with Holder(remote, tmp_path) as second:
            assert second.waits.wait(20)
            assert not second.holds.wait(1)


# --- shells with words of their own


class Talkative(Remote):
    """A host whose login shell says something before each command."""

    greeting = "echo 'mine, busy: welcome'; "

    def open(self, command: str, *, timeout: float = 30.0) -> Process:
        return super().open(self.greeting + command, timeout=timeout)


def test_what_a_shell_says_at_login_is_passed_over(local_lab: LocalLab, tmp_path: Path) -> None:
    spec = spec_of(local_lab, tmp_path)
    provision([spec])
    remote = Talkative(spec.host)
    try:
        marker = read_marker(remote, spec.workspace_root)
        assert marker is not None
        assert marker.answers
        assert "welcome" not in identity(remote)
        with Holder(remote, tmp_path) as first:
            assert first.holds.wait(20)
            with Holder(remote, tmp_path) as second:
                assert second.waits.wait(20)
                assert not second.holds.wait(1)
    finally:
        remote.close()
