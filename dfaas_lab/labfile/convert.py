"""Converts keys of a lab file to values: hosts, functions, passwords, limits."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from dfaas_lab.config import Host, Limits
from dfaas_lab.labfile.schema import (
    Address,
    AuthKeys,
    FunctionKeys,
    GeneratorKeys,
    LimitKeys,
    Ssh,
)
from dfaas_lab.labfile.source import Source
from dfaas_lab.labfile.text import Place
from dfaas_lab.load import Function, seconds
from dfaas_lab.playbook_variables import PLACES, check_variable
from dfaas_lab.validation import host_address, workspace_root


def function_of(source: Source, keys: FunctionKeys, place: Place, address: str | None) -> Function:
    """A function as one target has it: the host's address may be in the path of its body."""
    given = keys.model_dump(exclude_none=True, exclude={"name", "body_file"})
    if keys.body_file:
        if keys.body is not None:
            raise source.refused((place, "give body or body_file, not both"))
        given["body"] = source.file(keys.body_file, address, (*place, "body_file"))
    return source.at(place, lambda: Function(keys.name, **given))


def host_of(source: Source, keys: Ssh, written: str, at_address: Place, place: Place) -> Host:
    """A host; its address has a place of its own, and its paths may have the address in them."""
    address = source.at(at_address, lambda: host_address(written))

    def path(value: str | None, key: str) -> Path | None:
        return source.file(value, address, (*place, key)) if value else None

    plain = keys.model_dump(include={"user", "port", "host_keys", "connect_timeout", "become"})

    def make() -> Host:
        return Host(
            address,
            **plain,
            key=path(keys.key, "key"),
            jump=host_at_address(source, keys.jump, (*place, "jump")) if keys.jump else None,
            known_hosts=path(keys.known_hosts, "known_hosts"),
            become_password=source.secret(
                keys.become_password, keys.become_password_env, (*place, "become_password")
            ),
        )

    return source.at(place, make)


def host_at_address(source: Source, keys: Address, place: Place) -> Host:
    """A host whose address is the key ``address``."""
    return host_of(source, keys, keys.address, (*place, "address"), place)


def auth_of(source: Source, keys: AuthKeys, place: Place) -> tuple[str, str]:
    """User and password."""
    password = source.secret(keys.password, keys.password_env, (*place, "password"))
    if password is None:
        raise source.refused((place, "give password, or password_env: NAME"))
    return keys.user, password


def limits_of(source: Source, keys: LimitKeys) -> Limits:
    """The limits, which must be durations."""
    given: dict[str, str] = keys.model_dump(exclude_none=True)
    for key, value in given.items():
        source.at(("limits", key), lambda value=value, key=key: seconds(value, what=key))  # type: ignore[misc]
    return Limits(**given)


def workspace_root_of(source: Source, keys: GeneratorKeys, host: Host, place: Place) -> str | None:
    """The folder of the workspaces; the host's address may be in it."""
    if keys.workspace_root is None:
        return None
    filled = source.filled(keys.workspace_root, host.address, place)
    return source.at(place, lambda: workspace_root(filled))


def variables_of(source: Source, keys: GeneratorKeys, host: Host, place: Place) -> dict[str, Any]:
    """The variables, checked; one that is a place may have the host's address in it."""
    variables = dict(keys.variables)
    if keys.python and "python" in variables:
        raise source.refused(((*place, "python"), "python is given twice: here and beside"))
    for name, value in variables.items():
        at = (*place, name)
        if name in PLACES and isinstance(value, str):
            variables[name] = source.filled(value, host.address, at)
        source.at(at, partial(check_variable, name, variables[name]))
    return {"python": keys.python, **variables} if keys.python else variables
