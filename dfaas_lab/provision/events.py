"""From Ansible's events to rows and errors. Pure but for the progress it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dfaas_lab.errors import HostUnreachable, ProvisionError, TaskFailed
from dfaas_lab.progress import Progress
from dfaas_lab.provision.hints import hint_for, no_ssh_hint
from dfaas_lab.provision.report import TaskRow

_STATES = {
    "runner_on_ok": "ok",
    "runner_on_skipped": "skipped",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
}
_EXPECTED_TASKS = 12  # for the bar, before it is known which tasks are included
_LONGEST_DETAIL = 2000
_SAYS_NOTHING = ("non-zero return code", "MODULE FAILURE", "Task failed.", "Failed")


class Story:
    """What a run of a playbook has told so far.

    Args:
        hosts: How people call each host of the inventory: its name there -> (label, address).
        progress: The bars, one for each host.
    """

    def __init__(self, hosts: Mapping[str, tuple[str, str]], progress: Progress) -> None:
        self.rows: list[TaskRow] = []
        self.failures: dict[str, ProvisionError] = {}
        self._hosts = hosts
        self._progress = progress
        self._done = dict.fromkeys(hosts, 0)
        for name in hosts:
            progress.update(self._bar(name), done=0, total=_EXPECTED_TASKS, text="starts")

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take an event of ansible-runner in."""
        data = event.get("event_data") or {}
        name, task = str(data.get("host", "")), str(data.get("task", ""))
        kind = event.get("event", "")
        if name not in self._hosts:
            if kind == "runner_on_failed":  # a task on this machine: none of the hosts was reached
                for each in self._hosts:
                    self._fail(each, "failed", task, data)
            return
        if kind == "runner_on_start":
            self._progress.update(self._bar(name), text=task)
        elif kind == "runner_retry":
            self._progress.update(self._bar(name), text=_waiting(task, data.get("res") or {}))
        elif kind in _STATES and not (kind == "runner_on_failed" and data.get("ignore_errors")):
            self._finish_task(name, task, _STATES[kind], data)

    def _finish_task(self, name: str, task: str, state: str, data: Mapping[str, Any]) -> None:
        result = data.get("res") or {}
        if state == "ok" and result.get("changed"):
            state = "changed"
        message = detail(result) if state in ("failed", "unreachable") else ""
        seconds = float(data.get("duration") or 0.0)
        self.rows.append(TaskRow(self._hosts[name][0], task, state, seconds, message))
        self._done[name] += 1
        total = max(_EXPECTED_TASKS, self._done[name] + 1)
        self._progress.update(self._bar(name), done=self._done[name], total=total)
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
    """Return the module's own message, with the output that explains it."""
    said = str(result.get("msg") or "").strip()
    parts = [said] if said else []
    if not said or said.startswith(_SAYS_NOTHING):
        for name in ("stderr", "module_stderr", "stdout", "module_stdout"):
            text = str(result.get(name) or "").strip()
            if text and text not in said:
                parts.append(text)
                break
    return ("\n".join(parts) or "no message")[-_LONGEST_DETAIL:]


def _waiting(task: str, result: Mapping[str, Any]) -> str:
    said = detail(result)
    if "lock" in said.lower():
        return f"{task}: waits for the APT lock, which someone else holds"
    return f"{task}: tries again ({said.splitlines()[0]})"
