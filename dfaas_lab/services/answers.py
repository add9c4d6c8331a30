"""What gateways and Prometheus answer, checked in one place before anything uses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from dfaas_lab.validation import is_utf8

if TYPE_CHECKING:
    import httpx

    from dfaas_lab.services.endpoint import Endpoint

T = TypeVar("T")
_MOST = 1_000_000_000


def _text(value: object) -> object:
    if isinstance(value, str) and not is_utf8(value):
        raise ValueError("half of a surrogate pair")
    return value


def _texts(value: object) -> object:
    """Go's ``null`` for an empty map; other entries than texts are left out."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return {key: text for key, text in value.items() if isinstance(text, str)}
    return value


Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[dict[Text, Text], BeforeValidator(_texts)]
Count = Annotated[int, Field(ge=0, le=_MOST)]


class FunctionAnswer(BaseModel):
    """A function in ``GET /system/functions``; what is absent was not told, which is not zero."""

    model_config = ConfigDict(extra="ignore")

    name: Text
    image: Text | None = None
    replicas: Count | None = None
    availableReplicas: Count | None = None  # noqa: N815 (OpenFaaS's name)
    createdAt: Text | None = None  # noqa: N815
    envVars: Texts = {}  # noqa: N815
    labels: Texts = {}
    annotations: Texts = {}
    limits: Texts = {}
    requests: Texts = {}
    constraints: list[Text] | None = None
    secrets: list[Text] | None = None
    envProcess: Text | None = None  # noqa: N815
    readOnlyRootFilesystem: bool | None = None  # noqa: N815


class InfoAnswer(BaseModel):
    """``GET /system/info``."""

    model_config = ConfigDict(extra="allow")


class SeriesAnswer(BaseModel):
    """A series of an answer of Prometheus."""

    metric: dict[Text, Text] = {}
    value: tuple[float, str] | None = None
    values: list[tuple[Annotated[float, Field(allow_inf_nan=False)], str]] = []


FUNCTIONS: TypeAdapter[list[FunctionAnswer] | None] = TypeAdapter(list[FunctionAnswer] | None)
FUNCTION: TypeAdapter[FunctionAnswer] = TypeAdapter(FunctionAnswer)
INFO: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class _Point(BaseModel):
    """A moment and a value: ``[1700000000.123, "1"]``."""


def checked(endpoint: Endpoint, answer: httpx.Response, kind: TypeAdapter[T]) -> T:
    """Return the checked content of an answer.

    Raises:
        ServiceError: It is no JSON, or not what that service answers.
    """
    return _told(endpoint, answer, lambda: kind.validate_python(json_of(endpoint, answer)))


def json_of(endpoint: Endpoint, answer: httpx.Response) -> Any:
    """Return an answer's JSON.

    Raises:
        ServiceError: It is none: something else answers at that URL.
    """
    try:
        return answer.json()
    except (ValueError, RecursionError) as error:
        raise endpoint.failed(
            f"the answer to {answer.request.url.path} is no JSON",
            hint=f"Something else than {endpoint.what} answers there: check the URL.",
        ) from error


def _told(endpoint: Endpoint, answer: httpx.Response, check: Callable[[], T]) -> T:
    try:
        return check()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise endpoint.failed(
            f"the answer to {answer.request.url.path} is not that of {endpoint.what}: "
            f"{f'{place}: ' if place else ''}{first['msg']}",
            hint=f"Something else than {endpoint.what} answers there: check the URL.",
        ) from error
