"""The keys that a lab file may have, and their types (pydantic). Meaning is given in ``reader``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError


class Entry(BaseModel):
    """A mapping of the file: an unknown key is refused with the nearest valid one."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            raise PydanticCustomError("no_mapping", "give a mapping of keys here")
        keys = list(cls.model_fields)
        unknown = [str(key) for key in data if key not in keys]
        if unknown:
            raise PydanticCustomError(
                "unknown_key",
                "{said}. Valid keys: {valid}",
                {
                    "said": "; ".join(nearest(key, keys) for key in unknown),
                    "valid": ", ".join(keys),
                },
            )
        return data


def nearest(name: str, valid: Iterable[str], what: str = "key") -> str:
    """Return a sentence that refuses a name and offers the nearest valid one.

    >>> nearest("metod", ["method", "path"])
    "unknown key 'metod'; did you mean 'method'?"
    """
    by_lower = {key.lower(): key for key in valid}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f"unknown {what} {name!r}" + (f"; did you mean {by_lower[close[0]]!r}?" if close else "")


def _named(key: str) -> BeforeValidator:
    """A plain string stands for a mapping with only that key."""
    return BeforeValidator(lambda data: {key: data} if isinstance(data, str) else data)


def _listed(data: Any) -> Any:
    return [data] if isinstance(data, str) else data


def _texts(data: Any) -> Any:
    """Header values may be written as numbers."""
    if not isinstance(data, dict):
        return data
    return {
        key: str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        for key, value in data.items()
    }


class Ssh(Entry):
    """How a host is reached; the meaning is that of :class:`dfaas_lab.Host`."""

    user: str | None = None
    port: int = 22
    key: str | None = None
    jump: Annotated[Address | None, _named("address")] = None
    known_hosts: str | None = None
    host_keys: Literal["strict", "accept-new"] = "strict"
    connect_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0
    become: bool = True
    become_password: str | None = None
    become_password_env: str | None = None


class Address(Ssh):
    """A host by its address."""

    address: str


class GeneratorKeys(Ssh):
    """A generator."""

    host: str
    name: str | None = None
    workspace_root: str | None = None
    k6_version: str | None = None
    k6_source: str | None = None
    python: str | None = None
    variables: dict[str, Any] = {}


class AuthKeys(Entry):
    """Who may use the gateway's ``/system`` part."""

    user: str = "admin"
    password: str | None = None
    password_env: str | None = None


class FunctionKeys(Entry):
    """A function; the meaning is that of :class:`dfaas_lab.Function`."""

    name: str
    method: str | None = None
    path: str | None = None
    body: str | None = None
    body_file: str | None = None
    headers: Annotated[dict[str, str] | None, BeforeValidator(_texts)] = None
    timeout: str | None = None
    max_rate: float | None = None
    image: str | None = None
    safe_headers: list[str] | None = None


FunctionEntry = Annotated[FunctionKeys, _named("name")]


class TargetKeys(Entry):
    """A target."""

    name: str
    gateway: str
    prometheus: str | None = None
    generator: str | None = None
    via: bool | str = False
    host: Annotated[Address | None, _named("address")] = None
    auth: AuthKeys | None = None
    functions: list[FunctionEntry] | None = None
    install_monitoring: bool = False
    served_by_header: str | None = None


class LimitKeys(Entry):
    """The limits of every run."""

    timeout: str | None = None
    lease: str | None = None


class LabKeys(Entry):
    """The whole file."""

    generators: Annotated[list[GeneratorKeys], Field(min_length=1)]
    targets: Annotated[list[TargetKeys], Field(min_length=1)]
    functions: list[FunctionEntry] = []
    store: str | None = None
    limits: LimitKeys = LimitKeys()
    thresholds: dict[str, Annotated[list[str], BeforeValidator(_listed)]] = {}


Ssh.model_rebuild()


def problems(error: ValidationError) -> list[tuple[tuple[str | int, ...], str]]:
    """Return each problem's place and words. The values are left out: one may be a password."""
    return [(tuple(detail["loc"]), _words(detail)) for detail in error.errors(include_input=False)]


def _words(detail: ErrorDetails) -> str:
    plain = {
        "missing": "this key is missing",
        "string_type": "give text here (numbers, yes, no and dates need quotes)",
        "too_short": "the list is empty",
    }
    return plain.get(detail["type"], detail["msg"])
