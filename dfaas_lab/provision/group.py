"""One run of a playbook for a group of hosts, and what became of each of them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dfaas_lab.errors import HostUnreachable, ProvisionError
from dfaas_lab.progress import Progress
from dfaas_lab.provision.events import Story, bar
from dfaas_lab.provision.local_k6 import local_k6
from dfaas_lab.provision.playbook import Play, PlayEnd, run_play
from dfaas_lab.provision.remote_tasks import end_tasks
from dfaas_lab.provision.report import TaskRow
from dfaas_lab.provision.spec import GeneratorSpec, Spec, TargetSpec

if TYPE_CHECKING:
    from dfaas_lab.remote.remote import Remote

_MOST_FORKS = 25


@dataclass(frozen=True)
class GroupEnd:
    """How a group's run ended.

    Args:
        rows: The tasks, of all hosts.
        ready: The hosts on which all went well.
        failures: What went wrong, by host.
    """

    rows: list[TaskRow]
    ready: list[Spec] = field(default_factory=list)
    failures: list[tuple[Spec, ProvisionError]] = field(default_factory=list)


def run_group(
    playbook: str,
    specs: Sequence[Spec],
    remotes: Mapping[Hashable, Remote],
    *,
    progress: Progress,
    cancel: threading.Event,
) -> GroupEnd:
    """Run a playbook on these hosts; whatever happens, nothing of it goes on there afterwards.

    Args:
        playbook: A file of the playbooks' folder.
        specs: The hosts, which share variables and the password for sudo.
        remotes: Our own connections to them, by key.
        progress: The bars.
        cancel: Once it is set, what runs is ended here and there.
    """
    mark = uuid.uuid4().hex
    by_name = {f"host{number}": spec for number, spec in enumerate(specs, start=1)}
    labels = {name: (str(spec.host), spec.host.address) for name, spec in by_name.items()}
    story = Story(labels, progress)
    end: PlayEnd | None = None
    try:
        play = _play(playbook, by_name, mark)
        end = run_play(play, on_event=story.hear, cancel=cancel)
    finally:
        if end is None or end.exit_code != 0:
            # An interrupt, a time limit or a dead Ansible leave modules running on the hosts.
            left = [remotes[s.key] for name, s in by_name.items() if _alive(story, name)]
            end_tasks(left, mark)
    group = GroupEnd(story.rows)
    for name, spec in by_name.items():
        _settle(group, spec, story.failures.get(name), end, progress, cancel=cancel)
    return group


def _alive(story: Story, name: str) -> bool:
    return not isinstance(story.failures.get(name), HostUnreachable)


def _settle(
    group: GroupEnd,
    spec: Spec,
    failure: ProvisionError | None,
    end: PlayEnd,
    progress: Progress,
    *,
    cancel: threading.Event,
) -> None:
    """Write down what became of a host."""
    if cancel.is_set():
        progress.finish(bar(str(spec.host)), "interrupted", "interrupted")
    elif failure is not None:
        group.failures.append((spec, failure))
    elif end.exit_code == 0 or (end.status == "failed" and _hosts_alone_failed(end)):
        group.ready.append(spec)
        progress.finish(bar(str(spec.host)), "ok", "ready")
    else:
        error = _ansible_failed(spec, end)
        progress.finish(bar(str(spec.host)), "failed", error.message.splitlines()[0])
        group.failures.append((spec, error))


def _hosts_alone_failed(end: PlayEnd) -> bool:
    """Return whether Ansible did its work and only hosts failed: bit 2 failed, 4 unreachable."""
    return end.exit_code in (2, 4, 6)


def _play(playbook: str, by_name: Mapping[str, Spec], mark: str) -> Play:
    """Return the run of a playbook for these hosts."""
    items = {name: spec.item(name) for name, spec in by_name.items()}
    own = local_k6()
    first = next(iter(by_name.values()))
    return Play(
        playbook,
        {
            **first.variables,
            "generators": [items[n] for n, s in by_name.items() if isinstance(s, GeneratorSpec)],
            "targets": [items[n] for n, s in by_name.items() if isinstance(s, TargetSpec)],
            "k6_local": str(own.path) if own else "",
            "k6_local_version": own.version if own else "",
            "k6_local_machine": own.machine if own else "",
            "run_mark": mark,
        },
        forks=min(len(by_name), _MOST_FORKS),
        become_password=first.host.become_password,
    )


def _ansible_failed(spec: Spec, end: PlayEnd) -> ProvisionError:
    tail = "\n".join(end.output.strip().splitlines()[-12:])
    error = ProvisionError(
        f"{spec.host}: ansible-playbook ended with {end.exit_code}:\n{tail}",
        hint="Look at the last lines above. Is the installation of Ansible complete?",
    )
    error.failures = (error,)
    return error
