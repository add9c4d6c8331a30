"""The parts of provisioning that are values, texts and threads: no host, no Ansible."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfaas_lab.background import run_interruptible
from dfaas_lab.config import Host
from dfaas_lab.errors import ConfigError, HostUnreachable, ProvisionError, TaskFailed
from dfaas_lab.progress import Progress, Step
from dfaas_lab.provision.ansible import PlayEnd, _end_of, kill_by_argument
from dfaas_lab.provision.events import LONGEST_DETAIL, PlaybookEvents, detail
from dfaas_lab.provision.hints import hint_for, no_ssh_hint
from dfaas_lab.provision.locks import hold_here
from dfaas_lab.provision.marker import Marker, parse_marker
from dfaas_lab.provision.playbook_run import _ansible_failed
from dfaas_lab.provision.report import ProvisionReport, TaskRow
from dfaas_lab.provision.spec import GeneratorSpec, TargetSpec, playbooks_folder

HOST = Host("10.0.0.50", user="ubuntu", key="/k", become_password="open sesame")
SPEC = GeneratorSpec(host=HOST, name="big", k6_version="1.1.0")


# --- what Ansible tells


def event(
    kind: str, task: str = "Copy k6", host: str = "host1", **data: object
) -> dict[str, object]:
    return {"event": kind, "event_data": {"host": host, "task": task, **data}}


@pytest.fixture
def progress() -> Progress:
    return Progress()


@pytest.fixture
def story(progress: Progress) -> PlaybookEvents:
    return PlaybookEvents({"host1": ("ubuntu@a", "a"), "host2": ("ubuntu@b", "b")}, progress)


def test_a_story_of_tasks_becomes_rows(story: PlaybookEvents, progress: Progress) -> None:
    story.handle({"event": "playbook_on_start"})
    story.handle(event("runner_on_start"))
    assert progress.snapshot()[0].text == "Copy k6"
    story.handle(event("runner_on_ok", res={"changed": True}, duration=1.5))
    story.handle(event("runner_on_ok", "Look at the host", res={"changed": False}, duration=0.1))
    story.handle(event("runner_on_skipped", "Tune", host="host2", res={}))
    assert story.rows == [
        TaskRow("ubuntu@a", "Copy k6", "changed", 1.5, ""),
        TaskRow("ubuntu@a", "Look at the host", "ok", 0.1, ""),
        TaskRow("ubuntu@b", "Tune", "skipped", 0.0, ""),
    ]
    assert story.failures == {}
    assert [step.done for step in progress.snapshot()] == [2, 1]


def test_a_failing_task_keeps_the_module_s_own_words(
    story: PlaybookEvents, progress: Progress
) -> None:
    story.handle(event("runner_on_failed", res={"msg": "No space left on device"}))
    error = story.failures["host1"]
    assert isinstance(error, TaskFailed)
    assert (error.host, error.task, error.detail) == ("a", "Copy k6", "No space left on device")
    assert error.failures == (error,)
    assert "Free some space" in str(error)
    assert [step.state for step in progress.snapshot()] == ["failed", "running"]


def test_an_unreachable_host_is_another_error(story: PlaybookEvents) -> None:
    said = "Failed to connect to the host via ssh: Permission denied (publickey)."
    story.handle(event("runner_on_unreachable", host="host2", res={"msg": said}))
    error = story.failures["host2"]
    assert isinstance(error, HostUnreachable)
    assert error.host == "b"
    assert "authorized_keys" in error.hint


def test_a_host_without_place_for_ansible_is_no_unreachable_one(story: PlaybookEvents) -> None:
    said = "Task failed: Failed to create temporary directory. In some cases, ..."
    story.handle(event("runner_on_unreachable", res={"msg": said}))
    error = story.failures["host1"]
    assert isinstance(error, TaskFailed)
    assert "remote_tmp" in error.hint
    assert story.rows[0].status == "failed"


def test_only_the_recap_says_who_went_through(story: PlaybookEvents) -> None:
    story.handle(event("runner_on_ok", res={}))
    assert story.passed == frozenset()
    recap = {"processed": {"host1": 1, "host2": 1, "localhost": 1}, "dark": {"host2": 1}}
    story.handle({"event": "playbook_on_stats", "event_data": {**recap, "failures": {}}})
    assert story.passed == {"host1", "localhost"}


def test_what_only_directs_ansible_is_no_task(story: PlaybookEvents) -> None:
    story.handle(event("runner_on_skipped", "Leave the targets out", task_action="meta", res={}))
    assert story.rows == []


def test_two_parts_of_one_machine_have_their_own_tasks(progress: Progress) -> None:
    story = PlaybookEvents({"host1": ("u@a", "a"), "host2": ("u@a", "a")}, progress)
    story.handle(event("runner_on_ok", "Copy k6", res={}))
    story.handle(event("runner_on_ok", "Look at the host", host="host2", res={}))
    assert [row.task for row in story.rows_of("host1")] == ["Copy k6"]
    assert [row.task for row in story.rows] == ["Copy k6", "Look at the host"]


def test_what_is_ignored_on_purpose_is_no_failure(story: PlaybookEvents) -> None:
    story.handle(event("runner_on_failed", res={"msg": "no"}, ignore_errors=True))
    assert story.failures == {}


def test_a_failure_on_this_machine_is_every_host_s(story: PlaybookEvents) -> None:
    story.handle(event("runner_on_failed", host="localhost", res={"msg": "bad variable"}))
    assert set(story.failures) == {"host1", "host2"}


def test_waiting_for_a_lock_is_told(story: PlaybookEvents, progress: Progress) -> None:
    locked = {"msg": "Failed to lock apt for exclusive operation: Could not get lock"}
    story.handle(event("runner_retry", "Install packages", res=locked))
    assert "waits for the APT lock" in progress.snapshot()[0].text
    story.handle(event("runner_retry", "Wait", res={"msg": "Status code was 503"}))
    assert "503" in progress.snapshot()[0].text


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"msg": "plain"}, "plain"),
        ({"msg": "plain", "stderr": "more"}, "plain"),
        ({"msg": "non-zero return code", "stderr": "sudo: no"}, "non-zero return code\nsudo: no"),
        ({"msg": "MODULE FAILURE", "module_stdout": "sh: 1: no"}, "MODULE FAILURE\nsh: 1: no"),
        ({"msg": "", "stdout": "out"}, "out"),
        ({}, "no result: it may be longer than what is read of Ansible"),
        ({"msg": None}, "no message"),
        (
            {
                "msg": "One or more items failed",
                "results": [
                    {"item": "prometheus", "msg": "started", "failed": False},
                    {"item": "exporter", "msg": "no such unit", "failed": True},
                    {"item": "other", "msg": "non-zero return code", "stderr": "x", "failed": True},
                ],
            },
            "exporter: no such unit\nother: non-zero return code\nx",
        ),
        ({"msg": "All items completed", "results": [{"item": 1}]}, "All items completed"),
    ],
)
def test_the_module_s_own_message(result: dict[str, object], said: str) -> None:
    assert detail(result) == said


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("The module interpreter '/usr/bin/python3' was not found.", "Install Python 3"),
        ("[Errno 28] No space left on device", "Free some space"),
        ("Incorrect sudo password", "become_password"),
        ("k6_source=apt needs root or sudo, and plain may not", "k6_source='copy'"),
        ("The checksum for /opt/x did not match abc; it was def.", "the URL and the checksum"),
        ("Failed to lock apt for exclusive operation", "let it finish"),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by 1", "let it finish"),
        ("E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend)", "finish"),
        ("E: Unable to lock directory /var/lib/apt/lists/", "let it finish"),
        ("dpkg: error: dpkg frontend is locked by another process", "let it finish"),
        ("Blocked by policy", "playbooks/tasks"),
        ("Failed to set the clock", "playbooks/tasks"),
        ("failed to transfer file to x y: dd: No space left on device", "remote_tmp"),
        ("mkdir: '/home/u/.ansible/tmp': No space left on device", "remote_tmp"),
        ('Failed to create temporary directory. ( mkdir -p "` echo /no/.ansible/tmp `"', "missing"),
        ('Failed to create temporary directory. ( mkdir -p "` echo /a  b/.a `" )', "blanks"),
        ("Timed out after 4 second(s).", "too long"),
        ("Request failed: <urlopen error [Errno 111] Connection refused>", "internet access"),
        ("Failed to update apt cache: GPG error: NO_PUBKEY 12", "k6_apt_key_url"),
        ("Something nobody thought of", "playbooks/tasks"),
    ],
)
def test_every_failure_says_what_to_do(said: str, fix: str) -> None:
    hint = hint_for(said, "Some task")
    assert fix in hint
    assert hint.endswith("Then call provision() again.")


def test_what_ssh_says_becomes_a_fix() -> None:
    assert "known-hosts" in no_ssh_hint("Host key verification failed.")
    assert "key=" in no_ssh_hint("Permission denied (publickey)")
    assert "is on" in no_ssh_hint("Connection timed out")


# --- markers


def test_a_marker_counts_with_its_k6() -> None:
    line = '{"format": 1, "k6_path": "/k6", "k6_version": "1.1.0", "playbook_digest": "d"}'
    assert parse_marker(line, "k6 v1.1.0 (x)") == Marker("d", "1.1.0", "/k6", answers=True)
    assert parse_marker(line, "k6 v1.0.0 (x)") == Marker("d", "1.1.0", "/k6", answers=False)
    assert parse_marker(line, "") == Marker("d", "1.1.0", "/k6", answers=False)
    assert parse_marker(line.replace("1,", "2,", 1), "k6 v1.1.0") is None


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "line",
    [
        json.dumps({"format": 1, "playbook_digest": "d" * 70_000}),
        json.dumps({"format": 1, "playbook_digest": "d", "k6_path": "/k" * 40_000}),
        json.dumps({"format": 1, "playbook_digest": "d", "more": ["x" * 1000] * 1000}),
        '{"format": 1, "playbook_digest": "d", "a": ' + "[" * 60_000,
        '{"format": 1, "playbook_digest": "d", "a": ' + "9" * 60_000 + "}",
        '{"format": 1, "playbook_digest": "d\\u001b[2J"}',
        '{"format": NaN, "playbook_digest": "d"}',
        '{"format": 1e999, "playbook_digest": "d"}',
    ],
    ids=range(8),
)
def test_a_marker_of_a_hostile_host_is_none(line: str) -> None:
    assert parse_marker(line, "k6 v1.1.0 " + "x" * 10**6) is None


# --- what a host makes Ansible say


@pytest.mark.timeout(20)
def test_what_a_module_says_is_cut() -> None:
    endless = "x" * 30_000_000
    for result in (
        {"msg": endless},
        {"msg": "non-zero return code", "stderr": endless},
        {"msg": "items", "results": [{"item": endless, "msg": endless, "failed": True}] * 3},
    ):
        assert len(detail(result)) <= LONGEST_DETAIL
    assert hint_for(endless, "Some task")


def test_so_is_what_ansible_itself_printed(tmp_path: Path) -> None:
    (tmp_path / "stdout").write_bytes(b"\xff" * 10**7 + b"\nthe end\n" + b"y" * 10**6)
    said = _end_of(tmp_path / "stdout")
    assert len(said) <= 64 << 10
    error = _ansible_failed(SPEC, PlayEnd(1, said))
    assert len(error.message) < LONGEST_DETAIL + 200


@given(
    st.one_of(st.text(), st.recursive(st.none() | st.text(), st.lists).map(json.dumps)), st.text()
)
def test_no_marker_can_break_us(line: str, says: str) -> None:
    assert parse_marker(line, says) is None


# --- what is asked for


def test_what_differs_is_provisioned_again() -> None:
    others = [
        replace(SPEC, k6_version="1.0.0"),
        replace(SPEC, k6_source="release"),
        replace(SPEC, install_dir="/data"),
        replace(SPEC, variables={"k6_tuning": True}),
    ]
    assert len({spec.digest() for spec in [SPEC, *others]}) == 5
    assert len({spec.key for spec in [SPEC, *others]}) == 5
    # Whoever else comes with the same wish finds it fulfilled.
    elsewhere = replace(SPEC, host=replace(HOST, address="b"), name="small")
    assert SPEC.digest() == elsewhere.digest()
    assert SPEC.key != elsewhere.key
    assert TargetSpec(host=HOST, name="t").key != SPEC.key


def test_the_digest_is_the_same_in_every_session() -> None:
    code = (
        "from dfaas_lab.config import Host; from dfaas_lab.provision.spec import GeneratorSpec;"
        "print(GeneratorSpec(host=Host('x'), name='y', k6_version='1.1.0').digest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == SPEC.digest()


def test_the_playbook_is_told_no_secret() -> None:
    told = json.dumps(SPEC.item("host1")) + json.dumps(TargetSpec(host=HOST, name="t").item("x"))
    assert "sesame" not in told
    assert SPEC.item("host1")["become_with_password"] is True


def test_a_version_may_be_written_as_k6_writes_it() -> None:
    assert replace(SPEC, k6_version="v1.1.0").wanted_version == "1.1.0"
    assert replace(SPEC, k6_version=None, k6_source="present").wanted_version == ""


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown k6_source 'snap'"):
        replace(SPEC, k6_source="snap")


def test_the_playbooks_are_there() -> None:
    assert (playbooks_folder() / "setup_global.yml").is_file()
    assert (playbooks_folder() / "teardown.yml").is_file()


def test_a_report_has_its_columns_also_without_tasks() -> None:
    report = ProvisionReport(cached=True, seconds=0.1, changed=0)
    assert report
    assert report.tasks.schema == {
        "host": pl.String,
        "task": pl.String,
        "status": pl.String,
        "seconds": pl.Float64,
        "message": pl.String,
    }
    rows = (TaskRow("a", "b", "ok", 1.0, ""),)
    assert ProvisionReport(cached=True, seconds=0.1, changed=0, rows=rows).tasks.height == 1


# --- locks, threads and processes


@pytest.fixture
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.usefixtures("_own_cache")
def test_a_host_is_held_by_one_thread_at_a_time() -> None:
    inside: list[int] = []
    most: list[int] = []
    waited = threading.Event()

    def work(keys: list[object]) -> None:
        with hold_here(list(keys), cancel=threading.Event(), waiting=waited.set):  # type: ignore[arg-type]
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.05)
            inside.pop()

    threads = [threading.Thread(target=work, args=(keys,)) for keys in (["a", "b"], ["b", "a"]) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == [1] * 6
    assert waited.is_set()


@pytest.mark.usefixtures("_own_cache")
def test_waiting_for_a_lock_ends_when_it_is_cancelled() -> None:
    cancel = threading.Event()
    with (
        hold_here(["a"], cancel=threading.Event(), waiting=lambda: None),
        pytest.raises(ProvisionError, match="interrupted"),
        hold_here(["a"], cancel=cancel, waiting=cancel.set),
    ):
        pytest.fail("both have it")
    with hold_here(["a"], cancel=threading.Event(), waiting=lambda: pytest.fail("still held")):
        pass


class RememberingView:
    """A view that keeps what it was asked to draw."""

    def __init__(self) -> None:
        self.drawn: list[tuple[Step, ...]] = []
        self.closed: list[tuple[Step, ...]] = []

    def draw(self, steps: tuple[Step, ...]) -> None:
        self.drawn.append(steps)

    def close(self, steps: tuple[Step, ...]) -> None:
        self.closed.append(steps)


def test_work_in_a_thread_is_drawn_and_its_result_returned() -> None:
    view = RememberingView()

    def work(progress: Progress, cancel: threading.Event) -> int:
        progress.update("a bar", text="on it")
        time.sleep(0.3)
        progress.finish("a bar")
        return 7

    assert run_interruptible(work, view) == 7
    assert view.drawn[0][0].text == "on it"
    assert [steps[0].state for steps in view.closed] == ["ok"]


def test_an_interrupt_lets_the_work_end_first() -> None:
    view = RememberingView()
    ended = threading.Event()

    def work(progress: Progress, cancel: threading.Event) -> None:
        signal.raise_signal(signal.SIGINT)  # taken by the main thread, as Ctrl-C is
        cancel.wait(10)
        time.sleep(0.3)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        run_interruptible(work, view)
    assert ended.is_set()
    assert len(view.closed) == 1


def test_processes_are_ended_by_what_they_were_started_with() -> None:
    mark = uuid.uuid4().hex
    code = "import time; time.sleep(60)"
    mine = subprocess.Popen([sys.executable, "-c", code, mark])
    other = subprocess.Popen([sys.executable, "-c", code, uuid.uuid4().hex])
    try:
        kill_by_argument(mark)
        assert mine.wait(5) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        for process in (mine, other):
            process.kill()
            process.wait()
