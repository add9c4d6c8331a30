"""Converts Ansible's events to rows and errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dfaas_lab.errors import HostUnreachable, ProvisionError, TaskFailed
from dfaas_lab.progress import Progress
from dfaas_lab.provision.hints import hint_for, is_apt_lock, no_ssh_hint, was_authorized
from dfaas_lab.provision.report import TaskRow
from dfaas_lab.redaction import masked

_STATES = {
    "runner_on_ok": "ok",
    "runner_on_skipped": "skipped",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
}
_EXPECTED_TASKS = 12  # for the bar, before it is known which tasks are included
LONGEST_DETAIL = 2000
_LONGEST_ITEM = 80
_SAYS_NOTHING = ("non-zero return code", "MODULE FAILURE", "Task failed.", "Failed")


class PlaybookEvents:
    """What a run of a playbook has told so far.

    Args:
        hosts: How people call each host of the inventory: its name there -> (label, address).
        progress: The bars, one for each host.
    """

    def __init__(self, hosts: Mapping[str, tuple[str, str]], progress: Progress) -> None:
        self.passed: frozenset[str] = frozenset()
        """The hosts that the recap calls good; none before the playbook's own end."""
        self.failures: dict[str, ProvisionError] = {}
        self._rows: dict[str, list[TaskRow]] = {name: [] for name in hosts}
        self._hosts = hosts
        self._progress = progress
        for name in hosts:
            progress.update(self._bar(name), done=0, total=_EXPECTED_TASKS, text="starts")

    @property
    def rows(self) -> list[TaskRow]:
        """The tasks of all hosts, one host after the other."""
        return [row for rows in self._rows.values() for row in rows]

    def rows_of(self, name: str) -> tuple[TaskRow, ...]:
        """Return the tasks of one host."""
        return tuple(self._rows[name])

    def handle(self, event: Mapping[str, Any]) -> None:
        """Take an event of ansible-runner in."""
        data = event.get("event_data") or {}
        name, task = str(data.get("host", "")), str(data.get("task", ""))
        kind = event.get("event", "")
        if kind == "playbook_on_stats":
            bad = {*(data.get("failures") or ()), *(data.get("dark") or ())}
            self.passed = frozenset(data.get("processed") or ()) - bad
        elif name in self._hosts:
            self._handle_host(name, kind, task, data)
        elif kind == "runner_on_failed":  # a task on this machine: none of the hosts was reached
            for each in self._hosts:
                self._fail(each, "failed", task, data)

    def _handle_host(self, name: str, kind: str, task: str, data: Mapping[str, Any]) -> None:
        if kind == "runner_on_start":
            self._progress.update(self._bar(name), text=task)
        elif kind == "runner_retry":
            self._progress.update(self._bar(name), text=_waiting(task, data.get("res") or {}))
        elif data.get("task_action") == "meta":
            return  # it directs Ansible, and does nothing on a host
        elif kind in _STATES and not (kind == "runner_on_failed" and data.get("ignore_errors")):
            self._finish_task(name, task, _STATES[kind], data)

    def _finish_task(self, name: str, task: str, state: str, data: Mapping[str, Any]) -> None:
        result = data.get("res") or {}
        if state == "ok" and result.get("changed"):
            state = "changed"
        if state == "unreachable" and was_authorized(detail(result)):
            state = "failed"
        message = detail(result) if state in ("failed", "unreachable") else ""
        seconds = float(data.get("duration") or 0.0)
        row = TaskRow(self._hosts[name][0], task, state, seconds, message)
        self._rows[name].append(row)
        done = len(self._rows[name])
        total = max(_EXPECTED_TASKS, done + 1)
        self._progress.update(self._bar(name), done=done, total=total)
        if message or state in ("failed", "unreachable"):
            self._fail(name, state, task, data)

    def _fail(self, name: str, state: str, task: str, data: Mapping[str, Any]) -> None:
        label, address = self._hosts[name]
        said = detail(data.get("res") or {})
        self._progress.finish(self._bar(name), "failed", f"{task}: {said.splitlines()[0]}")
        if state == "unreachable":
            self.failures[name] = HostUnreachable(
                f"{label}: not reachable in the task {task!r}: {said}",
                host=address,
                hint=no_ssh_hint(said),
            )
        else:
            self.failures[name] = TaskFailed(
                f"{label}: the task {task!r} failed: {said}",
                host=address,
                task=task,
                detail=said,
                hint=hint_for(said, task),
            )

    def _bar(self, name: str) -> str:
        return bar(self._hosts[name][0])


def bar(label: str) -> str:
    """Return the label of a host's bar."""
    return f"provision {label}"


def detail(result: Mapping[str, Any]) -> str:
    """Return the module's own message, with the output that explains it.

    Of a loop these are the messages of the items that failed, each with its item.
    """
    items = [one for one in result.get("results") or () if isinstance(one, Mapping)]
    failed = [one for one in items if one.get("failed") or one.get("unreachable")]
    parts = [f"{str(one.get('item', ''))[:_LONGEST_ITEM]}: {_said(one)}" for one in failed]
    # A module names the URL that it was given, with the password in it.
    return masked(("\n".join(parts) or _said(result))[-LONGEST_DETAIL:])


def _said(result: Mapping[str, Any]) -> str:
    said = str(result.get("msg") or "").strip()
    parts = [said] if said else []
    if not said or said.startswith(_SAYS_NOTHING):
        for name in ("stderr", "module_stderr", "stdout", "module_stdout"):
            text = str(result.get(name) or "").strip()
            if text and text not in said:
                parts.append(text)
                break
    if parts:
        return "\n".join(parts)
    return "no message" if result else "no result: it may be longer than what is read of Ansible"


def _waiting(task: str, result: Mapping[str, Any]) -> str:
    said = detail(result)
    if is_apt_lock(said):
        return f"{task}: waits for the APT lock, which someone else holds"
    return f"{task}: tries again ({said.splitlines()[0]})"
