"""The targets that a lab file describes, with their generators. Connects to nothing."""

from __future__ import annotations

import warnings
from functools import partial

from dfaas_lab.generator import Generator
from dfaas_lab.labfile import GeneratorEntry, LabFile, TargetEntry
from dfaas_lab.target import Target


def targets_of(file: LabFile) -> list[Target]:
    """Make the targets of a lab file; what they refuse is said with its place there."""
    generators = {
        entry.name: file.source.at(("generators", index), partial(_generator, entry))
        for index, entry in enumerate(file.generators)
    }
    used = {name for entry in file.targets for name in (entry.generator, entry.via)}
    for name in generators:
        if name not in used:
            warnings.warn(f"{file.path}: no target uses the generator {name}", stacklevel=3)
    return [
        file.source.at(("targets", index), partial(_target, entry, file, generators))
        for index, entry in enumerate(file.targets)
    ]


def _generator(entry: GeneratorEntry) -> Generator:
    return Generator(
        entry.host,
        **entry.options(),  # type: ignore[arg-type]
        variables={**({"python": entry.python} if entry.python else {}), **entry.variables},
    )


def _target(entry: TargetEntry, file: LabFile, generators: dict[str, Generator]) -> Target:
    header = entry.served_by_header or "Dfaas-Node-Id"
    names = {function.name for function in entry.functions}
    return Target(
        entry.name,
        gateway=entry.gateway,
        generator=generators[entry.generator],
        functions=entry.functions,
        prometheus=entry.prometheus,
        auth=entry.auth,
        host=entry.host,
        install_monitoring=entry.install_monitoring,
        via=generators[entry.via] if entry.via else None,
        limits=file.limits,
        thresholds={name: rules for name, rules in file.thresholds.items() if name in names}
        or None,
        served_by_header=header,
        queries=entry.queries,
        ca=entry.ca,
        insecure=entry.insecure,
    )
