"""The schema of a lab file: its keys and their types (pydantic)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from dfaas_lab.secret import Secret
from dfaas_lab.validation import nearest

_MOST_UNKNOWN = 20
SecretText = Annotated[str, AfterValidator(Secret)]


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
            raise PydanticCustomError("unknown_key", "unknown keys", {"keys": (unknown, keys)})
        return data


def _named(key: str) -> BeforeValidator:
    """A plain string stands for a mapping with only that key."""
    return BeforeValidator(lambda data: {key: data} if isinstance(data, str) else data)


def _number(data: Any) -> Any:
    """``yes`` is no number, though Python would count with it."""
    if isinstance(data, bool):
        raise PydanticCustomError("no_number", "give a number here")
    return data


def _port(port: int) -> int:
    if not 0 < port < 65536:
        raise PydanticCustomError(
            "no_port", "{port} is no port: give a number from 1 to 65535", {"port": port}
        )
    return port


def _name_or_switch(data: Any) -> Any:
    if not isinstance(data, bool | str):
        raise PydanticCustomError("no_name", "give true, or the name of a generator")
    return data


def _listed(data: Any) -> Any:
    return [data] if isinstance(data, str) else data


class Ssh(Entry):
    """How a host is reached; the meaning is that of :class:`dfaas_lab.Host`."""

    user: str | None = None
    port: Annotated[int, BeforeValidator(_number), AfterValidator(_port)] = 22
    key: str | None = None
    jump: Annotated[Address | None, _named("address")] = None
    known_hosts: str | None = None
    host_keys: Literal["strict", "accept-new"] = "strict"
    connect_timeout: Annotated[
        float, BeforeValidator(_number), Field(gt=0, allow_inf_nan=False)
    ] = 10.0
    become: bool = True
    become_password: SecretText | None = None
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
    password: SecretText | None = None
    password_env: str | None = None


class FunctionKeys(Entry):
    """A function; the meaning is that of :class:`dfaas_lab.Function`."""

    name: str
    method: str | None = None
    path: str | None = None
    body: str | None = None
    body_file: str | None = None
    headers: dict[str, SecretText] | None = None
    timeout: str | None = None
    max_rate: Annotated[
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | None, BeforeValidator(_number)
    ] = None
    image: str | None = None
    safe_headers: list[str] | None = None
    env: dict[str, SecretText] | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    limits: dict[str, str] | None = None
    secrets: list[str] | None = None
    asynchronous: bool | None = None


FunctionEntry = Annotated[FunctionKeys, _named("name")]


class TargetKeys(Entry):
    """A target."""

    name: str
    gateway: str
    prometheus: str | None = None
    generator: str | None = None
    via: Annotated[bool | str, BeforeValidator(_name_or_switch)] = False
    host: Annotated[Address | None, _named("address")] = None
    auth: AuthKeys | None = None
    functions: list[FunctionEntry] | None = None
    install_monitoring: bool = False
    served_by_header: str | None = None
    queries_path: str | None = None
    queries: dict[str, Any] | None = None
    ca: str | None = None
    insecure: bool = False


class LimitKeys(Entry):
    """The limits of every run."""

    timeout: str | None = None
    lease: str | None = None


class CampaignKeys(Entry):
    """A campaign; what is left out is the default of ``Lab.campaign``."""

    functions: list[str] | None = None
    rates: dict[str, Any] | list[int] | None = None
    sizes: list[int] = [1, 1]
    iterations: int = 3
    duration: str = "30s"
    targets: list[str] | None = None
    cooldown: dict[str, Any] = {}
    overload: dict[str, Any] = {}
    order: str = "rising"
    seed: int | None = None
    label: str | None = None


class LabKeys(Entry):
    """The whole file."""

    generators: Annotated[list[GeneratorKeys], Field(min_length=1)]
    targets: Annotated[list[TargetKeys], Field(min_length=1)]
    functions: list[FunctionEntry] = []
    store: str | None = None
    limits: LimitKeys = LimitKeys()
    thresholds: dict[str, Annotated[list[str], BeforeValidator(_listed)]] = {}
    campaign: CampaignKeys | None = None


Ssh.model_rebuild()


def problems(error: ValidationError) -> list[tuple[tuple[str | int, ...], str]]:
    """Return each problem's place and words. The values are left out: one may be a password."""
    return [
        problem
        for detail in error.errors(include_input=False)
        for problem in (_unknown(detail) or [(_place(detail), _words(detail))])
    ]


def _place(detail: ErrorDetails) -> tuple[str | int, ...]:
    """A key that is no text is told at its mapping: it could be taken for an index."""
    place = tuple(detail["loc"])
    return place[:-2] if place[-1:] == ("[key]",) else place


def _unknown(detail: ErrorDetails) -> list[tuple[tuple[str | int, ...], str]]:
    """Each unknown key of a mapping, at its own place."""
    if detail["type"] != "unknown_key":
        return []
    unknown, valid = detail["ctx"]["keys"]
    unknown = unknown[:_MOST_UNKNOWN]  # to find the nearest takes a millisecond each
    said = {key: nearest(key, valid) for key in unknown}
    return [
        (
            (*detail["loc"], key),
            f"{words if words.endswith('?') else words + '.'} Valid keys: {', '.join(valid)}",
        )
        for key, words in said.items()
    ]


def _words(detail: ErrorDetails) -> str:
    if detail["loc"][-1:] == ("[key]",):
        return f"the key {detail['loc'][-2]!r} is no text: put it into quotes"
    plain = {
        "missing": "this key is missing",
        "string_type": "give text here (numbers, yes, no, dates and {host} need quotes)",
        "too_short": "the list is empty",
        "list_type": "give a list here",
        "dict_type": "give a mapping of keys here",
        "int_type": "give a whole number here",
        "int_parsing": "give a whole number here",
        "int_from_float": "give a whole number here",
        "float_type": "give a number here",
        "float_parsing": "give a number here",
        "bool_type": "give true or false here",
        "bool_parsing": "give true or false here",
    }
    return plain.get(detail["type"], detail["msg"])
