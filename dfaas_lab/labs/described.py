"""The targets that a lab file describes, with their generators. Connects to nothing."""

from __future__ import annotations

import warnings

import yaml

from dfaas_lab.errors import ConfigError
from dfaas_lab.generator import Generator
from dfaas_lab.labfile import GeneratorEntry, LabFile, TargetEntry
from dfaas_lab.labfile.schema import nearest
from dfaas_lab.provision import playbooks_folder
from dfaas_lab.target import Target

# Where provisioning puts things, beside the playbooks' own variables.
_PLACES = ("install_dir", "python", "remote_tmp")


def targets_of(file: LabFile) -> list[Target]:
    """Make the targets of a lab file."""
    generators = {entry.name: _generator(entry) for entry in file.generators}
    used = {name for entry in file.targets for name in (entry.generator, entry.via)}
    for name in generators:
        if name not in used:
            warnings.warn(f"{file.path}: no target uses the generator {name}", stacklevel=3)
    return [_target(entry, file, generators) for entry in file.targets]


def _generator(entry: GeneratorEntry) -> Generator:
    _check_variables(entry)
    return Generator(
        entry.host,
        **entry.options(),  # type: ignore[arg-type]
        variables={**({"python": entry.python} if entry.python else {}), **entry.variables},
    )


def _check_variables(entry: GeneratorEntry) -> None:
    """Refuse a variable that the playbooks do not have: Ansible would pass over it."""
    if not entry.variables:
        return
    playbooks = (playbooks_folder() / "group_vars" / "all.yml").read_text(encoding="utf-8")
    valid = [*_PLACES, *yaml.safe_load(playbooks)]
    for name in entry.variables:
        if name not in valid:
            raise ConfigError(
                f"generator {entry.name}: {nearest(name, valid, 'variable')}",
                hint="playbooks/group_vars/all.yml lists what can be set.",
            )


def _target(entry: TargetEntry, file: LabFile, generators: dict[str, Generator]) -> Target:
    given = {} if entry.served_by_header is None else {"served_by_header": entry.served_by_header}
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
        **given,
    )
