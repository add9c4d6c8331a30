"""One run of a playbook for a group of hosts, and the result of each host."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dfaas_lab.errors import DfaasLabError, HostUnreachable, ProvisionError, TaskFailed
from dfaas_lab.progress import Progress
from dfaas_lab.provision.ansible import Play, PlayEnd, run_play
from dfaas_lab.provision.events import LONGEST_DETAIL, PlaybookEvents, bar
from dfaas_lab.provision.local_k6 import local_k6
from dfaas_lab.provision.remote_tasks import end_tasks
from dfaas_lab.provision.report import TaskRow
from dfaas_lab.provision.spec import GeneratorSpec, Key, Spec, TargetSpec
from dfaas_lab.remote.shell import answer

if TYPE_CHECKING:
    from dfaas_lab.remote.remote import Remote

_MOST_FORKS = 25
# Ansible did its work to the end; bit 2: hosts failed, 4: hosts were unreachable.
_WENT_THROUGH = (0, 2, 4, 6)
# Ansible takes ~/.ansible/tmp, and gives its name to "echo" as words: of blanks in a row one is
# left, and marks are read. The folder in the place of a home must be ours alone: whoever could
# write there could change what is run.
_USABLE_TMP = r"""case $HOME in
*'  '* | ' '* | *' ' | *[!A-Za-z0-9/._\ @+,:=-]*) ;;
*) [ -d "$HOME" ] && [ -w "$HOME" ] && exit 0 ;;
esac
d=/var/tmp/dfaas-lab-ansible-$(id -u)
mkdir -m 700 "$d" 2>/dev/null
[ -d "$d" ] && [ ! -L "$d" ] && [ -O "$d" ] && chmod 700 "$d" && echo "$d"
:"""


@dataclass(frozen=True)
class GroupEnd:
    """How a group's run ended.

    Args:
        rows: The tasks, of all hosts.
        ready: The hosts on which all went well, each with its own tasks.
        failures: What went wrong, by host.
    """

    rows: list[TaskRow]
    ready: list[tuple[Spec, tuple[TaskRow, ...]]] = field(default_factory=list)
    failures: list[tuple[Spec, ProvisionError]] = field(default_factory=list)


def run_group(
    playbook: str,
    specs: Sequence[Spec],
    remotes: Mapping[Key, Remote],
    *,
    progress: Progress,
    cancel: threading.Event,
) -> GroupEnd:
    """Run a playbook on hosts that share their variables and the password for sudo.

    Whatever happens, nothing of it goes on there afterwards.
    """
    mark = uuid.uuid4().hex
    by_name = {f"host{number}": spec for number, spec in enumerate(specs, start=1)}
    labels = {name: (spec.label, spec.host.address) for name, spec in by_name.items()}
    events = PlaybookEvents(labels, progress)
    end: PlayEnd | None = None
    try:
        play = _play(playbook, by_name, remotes, mark)
        end = run_play(play, on_event=events.handle, cancel=cancel)
    finally:
        if end is None or end.exit_code != 0:
            # An interrupt, a time limit or a dead Ansible leave modules running on the hosts.
            gone = {n for n, e in events.failures.items() if isinstance(e, HostUnreachable)}
            end_tasks([remotes[s.key] for n, s in by_name.items() if n not in gone], mark)
    group = GroupEnd(events.rows)
    for name, spec in by_name.items():
        if cancel.is_set():
            progress.finish(bar(spec.label), "interrupted", "interrupted")
        else:
            _settle(group, spec, events, name, end, progress)
    return group


def _settle(
    group: GroupEnd, spec: Spec, events: PlaybookEvents, name: str, end: PlayEnd, progress: Progress
) -> None:
    """Write down what became of a host: it is ready only where Ansible's recap says so."""
    failure = events.failures.get(name)
    if failure is None and name in events.passed and end.exit_code in _WENT_THROUGH:
        group.ready.append((spec, events.rows_of(name)))
        progress.finish(bar(spec.label), "ok", "ready")
        return
    if failure is None:
        failure = _ansible_failed(spec, end)
        progress.finish(bar(spec.label), "failed", failure.message.splitlines()[0])
    group.failures.append((spec, failure))


def _play(
    playbook: str, by_name: Mapping[str, Spec], remotes: Mapping[Key, Remote], mark: str
) -> Play:
    """Return the run of a playbook for these hosts."""
    items = {name: spec.item(name) for name, spec in by_name.items()}
    for name, item in items.items():
        item["remote_tmp"] = item.get("remote_tmp") or usable_tmp(remotes[by_name[name].key])
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


def usable_tmp(remote: Remote) -> str:
    """Return a folder for Ansible where the user's home is missing, read-only or oddly named.

    Empty where the home will do, and where it cannot be told: then Ansible says what is wrong.
    """
    try:
        return answer(remote, _USABLE_TMP).strip()
    except DfaasLabError:
        return ""


def _ansible_failed(spec: Spec, end: PlayEnd) -> TaskFailed:
    tail = "\n".join(end.output.strip().splitlines()[-12:])[-LONGEST_DETAIL:]
    return TaskFailed(
        f"{spec.label}: ansible-playbook ended with {end.exit_code} and never finished it:\n{tail}",
        host=spec.host.address,
        task="ansible-playbook",
        detail=tail,
        hint="Look at the last lines above. Is the installation of Ansible complete?",
    )
