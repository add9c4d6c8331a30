"""Builds generators and targets from a lab file. It connects to nothing."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

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
    return Generator(**_given(entry))


def _target(entry: TargetEntry, file: LabFile, generators: dict[str, Generator]) -> Target:
    names = {function.name for function in entry.functions}
    thresholds = {name: rules for name, rules in file.thresholds.items() if name in names}
    used = {
        role: generators[name] for role in ("generator", "via") if (name := getattr(entry, role))
    }
    return Target(**_given(entry) | used, limits=file.limits, thresholds=thresholds or None)


def _given(entry: GeneratorEntry | TargetEntry) -> dict[str, Any]:
    """The arguments that the file gives."""
    return {name: value for name, value in vars(entry).items() if value is not None}
