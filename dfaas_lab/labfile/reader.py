"""From a lab file's data to its values: names are resolved, and what cannot be is refused."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dfaas_lab.config import Host, Limits
from dfaas_lab.errors import ConfigError
from dfaas_lab.labfile import existing, text
from dfaas_lab.labfile.schema import (
    AuthKeys,
    FunctionKeys,
    GeneratorKeys,
    LabKeys,
    LimitKeys,
    Ssh,
    TargetKeys,
    nearest,
    problems,
)
from dfaas_lab.labfile.source import Source
from dfaas_lab.labfile.text import Place
from dfaas_lab.labfile.values import GeneratorEntry, LabFile, TargetEntry
from dfaas_lab.load import Function, seconds


def read(path: str | Path, *, env: Mapping[str, str] | None = None) -> LabFile:
    """Read and check a lab file. Nothing is connected.

    Args:
        path: A YAML, TOML or JSON file; the existing tools' configuration is understood too.
        env: The environment variables for ``${NAME}`` and ``password_env``; None means ours.

    Raises:
        ConfigError: The file cannot be read, or says something that cannot be; every problem is
            named with its place, and an unknown key with the nearest valid one.
    """
    file = Path(path).expanduser().absolute()
    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            f"the lab file {file} cannot be read: {reason}",
            hint="Give the path of a YAML, TOML or JSON file that is there.",
        ) from error
    source = Source(file, os.environ if env is None else env, content)
    return _lab(source, text.load(file, content), stacklevel=3)


def parse(data: Mapping[str, Any], *, path: Path, env: Mapping[str, str] | None = None) -> LabFile:
    """Check a lab file's data; ``path`` is the file that its relative paths are relative to."""
    return _lab(Source(path, os.environ if env is None else env), dict(data), stacklevel=3)


def _lab(source: Source, data: dict[str, Any], *, stacklevel: int) -> LabFile:
    data = source.at((), lambda: text.expand(data, source.env))
    unused: tuple[str, ...] = ()
    if existing.recognise(data):
        theirs = data
        data, unused = source.at((), lambda: existing.translate(theirs))
        source = replace(source, content="")  # from here on places are those of our keys
        if unused:
            warnings.warn(existing.notice(source.path, unused), stacklevel=stacklevel)
    try:
        keys = LabKeys.model_validate(data)
    except ValidationError as error:
        # Not chained: pydantic's own text may hold what was given.
        raise source.refused(*problems(error)) from None
    generators = _generators(source, keys.generators)
    targets = _targets(source, keys, [entry.name for entry in generators])
    _check_thresholds(source, keys.thresholds, targets)
    return LabFile(
        path=source.path,
        generators=generators,
        targets=targets,
        store=source.file(keys.store, ("store",)) if keys.store else None,
        limits=_limits(source, keys.limits),
        thresholds={name: tuple(rules) for name, rules in keys.thresholds.items()},
        unused=unused,
    )


def _generators(source: Source, entries: Sequence[GeneratorKeys]) -> tuple[GeneratorEntry, ...]:
    names = [entry.name or entry.host for entry in entries]
    source.unique(names, ("generators",))
    return tuple(
        GeneratorEntry(
            name=name,
            host=_host(source, entry, entry.host, ("generators", index)),
            workspace_root=entry.workspace_root,
            k6_version=entry.k6_version,
            k6_source=entry.k6_source,
            python=entry.python,
            variables=entry.variables,
        )
        for index, (name, entry) in enumerate(zip(names, entries, strict=True))
    )


def _targets(source: Source, keys: LabKeys, generators: list[str]) -> tuple[TargetEntry, ...]:
    source.unique([entry.name for entry in keys.targets], ("targets",))
    source.unique([entry.name for entry in keys.functions], ("functions",))
    shared = {
        entry.name: _function(source, entry, ("functions", index))
        for index, entry in enumerate(keys.functions)
    }
    return tuple(
        _target(source, entry, ("targets", index), generators=generators, shared=shared)
        for index, entry in enumerate(keys.targets)
    )


def _target(
    source: Source,
    entry: TargetKeys,
    place: Place,
    *,
    generators: list[str],
    shared: Mapping[str, Function],
) -> TargetEntry:
    host = _host(source, entry.host, entry.host.address, (*place, "host")) if entry.host else None
    address = host.address if host else None
    generator = _generator(source, entry.generator, generators, (*place, "generator"))
    via = entry.via if isinstance(entry.via, str) else generator if entry.via else None
    prometheus = entry.prometheus
    return TargetEntry(
        name=entry.name,
        gateway=source.url(entry.gateway, address, (*place, "gateway")),
        generator=generator,
        functions=_functions(source, entry, shared, place),
        prometheus=prometheus and source.url(prometheus, address, (*place, "prometheus")),
        auth=_auth(source, entry.auth, (*place, "auth")) if entry.auth else None,
        host=host,
        via=via and _generator(source, via, generators, (*place, "via")),
        install_monitoring=entry.install_monitoring,
        served_by_header=entry.served_by_header,
    )


def _generator(source: Source, name: str | None, generators: list[str], place: Place) -> str:
    if name in generators:
        return name
    if name is not None:
        raise source.refused((place, nearest(name, generators, "generator")))
    if len(generators) > 1:
        raise source.refused((place, f"name one of the generators: {', '.join(generators)}"))
    return generators[0]


def _functions(
    source: Source, entry: TargetKeys, shared: Mapping[str, Function], place: Place
) -> tuple[Function, ...]:
    if entry.functions is None:
        if not shared:
            raise source.refused((place, "name its functions, or give 'functions' for all"))
        return tuple(shared.values())
    source.unique([function.name for function in entry.functions], (*place, "functions"))
    return tuple(
        _named(source, function, shared, (*place, "functions", index))
        for index, function in enumerate(entry.functions)
    )


def _named(
    source: Source, keys: FunctionKeys, shared: Mapping[str, Function], place: Place
) -> Function:
    """A bare name is one of the file's functions, where the file defines any."""
    if keys.model_fields_set != {"name"} or not shared:
        return _function(source, keys, place)
    if keys.name not in shared:
        raise source.refused((place, nearest(keys.name, shared, "function")))
    return shared[keys.name]


def _function(source: Source, keys: FunctionKeys, place: Place) -> Function:
    given = keys.model_dump(exclude_none=True, exclude={"name", "body_file"})
    if keys.body_file:
        if keys.body is not None:
            raise source.refused((place, "give body or body_file, not both"))
        given["body"] = source.file(keys.body_file, (*place, "body_file"))
    return source.at(place, lambda: Function(keys.name, **given))


def _host(source: Source, keys: Ssh, address: str, place: Place) -> Host:
    def path(value: str | None, key: str) -> Path | None:
        at = (*place, key)
        return source.file(source.filled(value, address, at), at) if value else None

    if "@" in address:
        raise source.refused((place, f"{address!r} is no address: give the user as 'user'"))

    def make() -> Host:
        jump = keys.jump
        return Host(
            address,
            user=keys.user,
            port=keys.port,
            key=path(keys.key, "key"),
            jump=_host(source, jump, jump.address, (*place, "jump")) if jump else None,
            known_hosts=path(keys.known_hosts, "known_hosts"),
            host_keys=keys.host_keys,
            connect_timeout=keys.connect_timeout,
            become=keys.become,
            become_password=source.secret(
                keys.become_password, keys.become_password_env, (*place, "become_password")
            ),
        )

    return source.at(place, make)


def _auth(source: Source, keys: AuthKeys, place: Place) -> tuple[str, str]:
    password = source.secret(keys.password, keys.password_env, (*place, "password"))
    if password is None:
        raise source.refused((place, "give password, or password_env: NAME"))
    return keys.user, password


def _check_thresholds(source: Source, names: Iterable[str], targets: Iterable[TargetEntry]) -> None:
    """Refuse a threshold of a function that no target has: it would never be looked at."""
    known = {function.name for target in targets for function in target.functions}
    for name in names:
        if name not in known:
            raise source.refused((("thresholds", name), nearest(name, known, "function")))


def _limits(source: Source, keys: LimitKeys) -> Limits:
    given: dict[str, str] = keys.model_dump(exclude_none=True)
    for key, value in given.items():
        source.at(("limits", key), lambda value=value, key=key: seconds(value, what=key))  # type: ignore[misc]
    return Limits(**given)
