"""Reads a lab file: validates its keys, resolves names, refuses what cannot be."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dfaas_lab.errors import ConfigError
from dfaas_lab.labfile import legacy_format, text
from dfaas_lab.labfile.campaign_keys import campaign_of
from dfaas_lab.labfile.convert import (
    auth_of,
    function_of,
    host_at_address,
    host_of,
    limits_of,
    variables_of,
    workspace_root_of,
)
from dfaas_lab.labfile.schema import FunctionKeys, GeneratorKeys, LabKeys, TargetKeys, problems
from dfaas_lab.labfile.source import Source
from dfaas_lab.labfile.text import Place
from dfaas_lab.labfile.values import GeneratorEntry, LabFile, TargetEntry
from dfaas_lab.load import Function
from dfaas_lab.playbook_variables import check_source, check_version
from dfaas_lab.printable import printable
from dfaas_lab.regular_file import read_regular
from dfaas_lab.secret import Secret
from dfaas_lab.services.queries import packaged, queries
from dfaas_lab.validation import local_path, nearest

# A lab file has some kB; bodies of more go into files of their own (body_file).
_MOST_BYTES = 1_000_000

# The functions of the file, each made for a target's host.
MakeFunction = Callable[[str | None], Function]
Shared = Mapping[str, MakeFunction]


def read(path: str | Path, *, env: Mapping[str, str] | None = None) -> LabFile:
    """Read and check a lab file. Nothing is connected.

    Args:
        path: A YAML, TOML or JSON file; the existing tools' configuration is understood too.
        env: The environment variables for ``${NAME}`` and ``password_env``; None means ours.

    Raises:
        ConfigError: The file cannot be read, or says something that cannot be; every problem is
            named with its place, and an unknown key with the nearest valid one.
    """
    file = local_path(path, what="path").absolute()
    try:
        # Sealed, since passwords may stand in it.
        content = Secret(read_regular(file, most_bytes=_MOST_BYTES).decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            f"the lab file {file} cannot be read: {reason}",
            hint="Give the path of a YAML, TOML or JSON file that is there.",
        ) from None
    source = Source(file, os.environ if env is None else env, content)
    data = text.load(file, content)
    if file.suffix.lower() == ".toml":  # only YAML's parser, which reads JSON too, tells lines
        source = replace(source, content="")
    return _lab(source, data, stacklevel=3)


def parse(data: Mapping[str, Any], *, path: Path, env: Mapping[str, str] | None = None) -> LabFile:
    """Check a lab file's data; ``path`` is the file that its relative paths are relative to."""
    sealed = text.sealed_secrets(dict(data))
    return _lab(Source(path, os.environ if env is None else env), sealed, stacklevel=3)


def _lab(source: Source, data: dict[str, Any], *, stacklevel: int) -> LabFile:
    unused: tuple[str, ...] = ()
    if legacy_format.recognise(data):
        theirs = legacy_format.translate(data, source)
        data, unused = theirs.data, theirs.unused
        source = replace(source, theirs=theirs.places)
        if unused:
            what = f"{source.path}: not used by dfaas_lab yet: {', '.join(unused)}"
            warnings.warn(printable(what), stacklevel=stacklevel)
    try:
        keys = LabKeys.model_validate(source.expanded(data))
    except ValidationError as error:
        # Not chained: pydantic's own text may hold what was given.
        raise source.refused(*problems(error)) from None
    generators = _generators(source, keys.generators)
    targets = _targets(source, keys, [entry.name for entry in generators])
    _check_thresholds(source, keys.thresholds, targets)
    return LabFile(
        source=source,
        generators=generators,
        targets=targets,
        store=_store(source, keys.store) if keys.store else None,
        limits=limits_of(source, keys.limits),
        thresholds={name: tuple(rules) for name, rules in keys.thresholds.items()},
        campaign=campaign_of(source, keys.campaign, targets) if keys.campaign else None,
        unused=unused,
    )


def _store(source: Source, path: str) -> Path:
    place = ("store",)
    if "{host" in path:
        raise source.refused((place, "the store is that of all hosts: it has no {host}"))
    return source.file(path, None, place)


def _generators(source: Source, entries: Sequence[GeneratorKeys]) -> tuple[GeneratorEntry, ...]:
    generators = tuple(
        _generator_entry(source, entry, ("generators", index))
        for index, entry in enumerate(entries)
    )
    source.unique([generator.name for generator in generators], ("generators",))
    return generators


def _generator_entry(source: Source, keys: GeneratorKeys, place: Place) -> GeneratorEntry:
    host = host_of(source, keys, keys.host, (*place, "host"), place)
    source.at((*place, "k6_source"), partial(check_source, keys.k6_source))
    source.at((*place, "k6_version"), partial(check_version, keys.k6_version))
    return GeneratorEntry(
        name=keys.name or host.address,
        host=host,
        workspace_root=workspace_root_of(source, keys, host, (*place, "workspace_root")),
        **keys.model_dump(include={"k6_version", "k6_source"}),
        variables=variables_of(source, keys, host, (*place, "variables")),
    )


def _targets(source: Source, keys: LabKeys, generators: list[str]) -> tuple[TargetEntry, ...]:
    source.unique([entry.name for entry in keys.targets], ("targets",))
    source.unique([entry.name for entry in keys.functions], ("functions",))
    shared = {
        entry.name: partial(function_of, source, entry, ("functions", index))
        for index, entry in enumerate(keys.functions)
    }
    targets = tuple(
        _target(source, entry, ("targets", index), generators=generators, shared=shared)
        for index, entry in enumerate(keys.targets)
    )
    used = {function.name for target in targets for function in target.functions}
    for name in shared.keys() - used:
        shared[name](None)  # it is of nobody, and checked all the same
    return targets


def _target(
    source: Source,
    entry: TargetKeys,
    place: Place,
    *,
    generators: list[str],
    shared: Shared,
) -> TargetEntry:
    host = host_at_address(source, entry.host, (*place, "host")) if entry.host else None
    address = host.address if host else None
    generator = _generator(source, entry.generator, generators, (*place, "generator"))
    via = entry.via if isinstance(entry.via, str) else generator if entry.via else None
    prometheus, at_prometheus = entry.prometheus, (*place, "prometheus")
    return TargetEntry(
        **entry.model_dump(include={"name", "install_monitoring", "served_by_header", "insecure"}),
        gateway=source.url(entry.gateway, address, (*place, "gateway")),
        generator=generator,
        functions=_functions(source, entry, shared, address, place),
        prometheus=None if prometheus is None else source.url(prometheus, address, at_prometheus),
        auth=auth_of(source, entry.auth, (*place, "auth")) if entry.auth else None,
        host=host,
        via=via and _generator(source, via, generators, (*place, "via")),
        queries=_queries(source, entry, address, place),
        ca=source.file(entry.ca, address, (*place, "ca")) if entry.ca else None,
    )


def _queries(
    source: Source, entry: TargetKeys, address: str | None, place: Place
) -> Path | str | Mapping[str, Any] | None:
    """The questions themselves, a file of them, or the name of a packaged one."""
    if entry.queries is not None and entry.queries_path is not None:
        raise source.refused(((*place, "queries"), "give queries or queries_path, not both"))
    if entry.queries is not None:
        source.at((*place, "queries"), partial(queries, entry.queries))
        return entry.queries
    path = entry.queries_path
    if path is None or path in packaged():
        return path
    return source.file(path, address, (*place, "queries_path"))


def _generator(source: Source, name: str | None, generators: list[str], place: Place) -> str:
    if name in generators:
        return name
    if name is not None:
        raise source.refused((place, nearest(name, generators, "generator")))
    if len(generators) > 1:
        raise source.refused((place, f"name one of the generators: {', '.join(generators)}"))
    return generators[0]


def _functions(
    source: Source, entry: TargetKeys, shared: Shared, address: str | None, place: Place
) -> tuple[Function, ...]:
    if entry.functions is None:
        if not shared:
            raise source.refused((place, "name its functions, or give 'functions' for all"))
        return tuple(make(address) for make in shared.values())
    source.unique([function.name for function in entry.functions], (*place, "functions"))
    return tuple(
        _named(source, function, shared, (*place, "functions", index))(address)
        for index, function in enumerate(entry.functions)
    )


def _named(source: Source, keys: FunctionKeys, shared: Shared, place: Place) -> MakeFunction:
    """A bare name is one of the file's functions, where the file defines any."""
    if keys.model_fields_set != {"name"} or not shared:
        return partial(function_of, source, keys, place)
    if keys.name not in shared:
        raise source.refused((place, nearest(keys.name, shared, "function")))
    return shared[keys.name]


def _check_thresholds(source: Source, names: Iterable[str], targets: Iterable[TargetEntry]) -> None:
    """Refuse a threshold of a function that no target has: it would never be looked at."""
    known = {function.name for target in targets for function in target.functions}
    for name in names:
        if name not in known:
            raise source.refused((("thresholds", name), nearest(name, known, "function")))
