"""Which hosts share a run of Ansible, and which runs are made at the same time. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from dfaas_lab.provision.spec import Spec

Wave = list[list[Spec]]


def waves_of(specs: Iterable[Spec], machine_of: Callable[[Spec], Hashable]) -> list[Wave]:
    """Return the runs: those of a wave at the same time, one wave after the other.

    Hosts share a run where they share variables and the password for sudo. A machine that is named
    twice (as a generator and as a target, or by two users) comes once in a wave: two runs there
    would fight over APT and over the list of what was installed.

    Args:
        specs: What is to be done.
        machine_of: What tells the machines apart.
    """
    waves: list[dict[Hashable, list[Spec]]] = []
    coming: dict[Hashable, int] = {}  # how often a machine came already
    for spec in specs:
        machine = machine_of(spec)
        number = coming.get(machine, 0)
        coming[machine] = number + 1
        if number == len(waves):
            waves.append({})
        together = (spec.host.become_password, repr(sorted(spec.variables.items())))
        waves[number].setdefault(together, []).append(spec)
    return [list(wave.values()) for wave in waves]
