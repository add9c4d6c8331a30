"""Schemas of what gateways and Prometheus answer, checked before anything uses it."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from dfaas_lab.validation import is_utf8

if TYPE_CHECKING:
    import httpx

    from dfaas_lab.services.endpoint import Endpoint

T = TypeVar("T")
_MOST = 1_000_000_000
_NEVER = 1
# What 64 MiB of JSON can hold takes gigabytes, so its values are counted first: by what stands
# before each, since nothing is parsed yet. Points are cheap, objects are not.
_MOST_VALUES = 4_000_000
_MOST_OBJECTS = 200_000


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
    """A function in ``GET /system/functions``; what is absent was not told, which is not zero.

    Kubernetes tells no ``availableReplicas`` at zero, and faasd never.
    """

    model_config = ConfigDict(extra="ignore")

    name: Text
    image: Annotated[Text, BeforeValidator(lambda image: "" if image is None else image)] = ""
    replicas: Count | None = None
    availableReplicas: Count | None = None  # noqa: N815 (OpenFaaS's name)
    createdAt: Text | None = None  # noqa: N815
    envVars: Texts = Field({}, repr=False)  # noqa: N815
    labels: Texts = {}
    annotations: Texts = {}
    limits: Texts = {}
    requests: Texts = {}
    constraints: list[Text] | None = None
    secrets: list[Text] | None = None
    envProcess: Text | None = None  # noqa: N815
    readOnlyRootFilesystem: bool | None = None  # noqa: N815

    @property
    def is_waiting(self) -> bool:
        """Whether it is known to have no available replica, though it should have one."""
        return self.availableReplicas == 0 and self.replicas != 0

    def facts(self) -> dict[str, str | int | None]:
        """What is worth keeping beside a measurement; ``digest`` is None where it has none."""
        return {
            "image": self.image,
            "digest": self.image.partition("@")[2] or None,  # figlet@sha256:...
            "created_at": self.createdAt,
            "replicas": self.replicas,
        }


def _number(text: object) -> object:
    """Prometheus writes ``NaN``, ``+Inf`` and ``-Inf``; not a number means not measured."""
    if not isinstance(text, str):
        raise ValueError("a value is a text")
    value = float(text)
    return None if math.isnan(value) else value


def _moment(text: object) -> object:
    """Go's time of never, the year 1, and what is no time are told as None."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.year > _NEVER and moment.tzinfo else None


Scraped = Annotated[datetime | None, BeforeValidator(_moment)]
Moment = Annotated[float, Field(ge=0, lt=253_402_300_799)]  # what Python's datetime can hold
Value = Annotated[float | None, BeforeValidator(_number)]


class SeriesAnswer(BaseModel):
    """A series of an answer of Prometheus: points of a moment and a value."""

    metric: dict[Text, Text] = {}
    value: tuple[Moment, Value] | None = None
    values: list[tuple[Moment, Value]] = []

    @property
    def points(self) -> list[tuple[float, float | None]]:
        """All its points."""
        return self.values if self.value is None else [self.value]


class ResultAnswer(BaseModel):
    """``data`` of ``/api/v1/query`` and ``/api/v1/query_range``."""

    resultType: Literal["vector", "matrix"]  # noqa: N815 (Prometheus's name)
    result: list[SeriesAnswer]


class ScalarAnswer(BaseModel):
    """``data`` of a query whose result has no labels."""

    resultType: Literal["scalar", "string"]  # noqa: N815
    result: tuple[Moment, Value]


class ScrapedAnswer(BaseModel):
    """One of ``activeTargets``."""

    labels: dict[Text, Text] = {}
    health: Text | None = None
    scrapeInterval: Text | None = None  # noqa: N815
    lastError: Text = ""  # noqa: N815
    lastScrape: Scraped = None  # noqa: N815


class TargetsAnswer(BaseModel):
    """``data`` of ``/api/v1/targets``."""

    activeTargets: list[ScrapedAnswer]  # noqa: N815


class ConfigAnswer(BaseModel):
    """``data`` of ``/api/v1/status/config``."""

    yaml: Text = ""


class PrometheusAnswer(BaseModel):
    """What surrounds every answer of Prometheus."""

    status: Literal["success", "error"]
    error: Text = "no reason given"
    data: Any = None


FUNCTIONS: TypeAdapter[list[FunctionAnswer] | None] = TypeAdapter(list[FunctionAnswer] | None)
FUNCTION: TypeAdapter[FunctionAnswer] = TypeAdapter(FunctionAnswer)
INFO: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
PROMETHEUS: TypeAdapter[PrometheusAnswer] = TypeAdapter(PrometheusAnswer)
RESULT: TypeAdapter[ResultAnswer | ScalarAnswer] = TypeAdapter(ResultAnswer | ScalarAnswer)
TARGETS: TypeAdapter[TargetsAnswer] = TypeAdapter(TargetsAnswer)
CONFIG: TypeAdapter[ConfigAnswer] = TypeAdapter(ConfigAnswer)


def checked(endpoint: Endpoint, answer: httpx.Response, kind: TypeAdapter[T], data: Any = ...) -> T:
    """Return the checked content of an answer, or of a part of it.

    Raises:
        ServiceError: It is no JSON, or not what that service answers.
    """
    path = answer.request.url.path
    hint = f"Something else than {endpoint.what} answers there: check the URL."
    try:
        return kind.validate_python(_parsed(endpoint, answer) if data is ... else data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        said = f"{place}: {first['msg']}" if place else str(first["msg"])
        what = f"the answer to {path} is not that of {endpoint.what}: {said[:300]}"
        raise endpoint.failed(what, hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise endpoint.failed(f"the answer to {path} is no JSON", hint=hint) from error


def _parsed(endpoint: Endpoint, answer: httpx.Response) -> Any:
    content = answer.content
    objects, values = content.count(b"{"), sum(map(content.count, (b",", b":", b"[", b"{")))
    if values > _MOST_VALUES or objects > _MOST_OBJECTS:
        raise endpoint.failed(
            f"the answer to {answer.request.url.path} has {values:,} values in {objects:,} objects",
            hint=f"Ask for less: {_MOST_VALUES:,} in {_MOST_OBJECTS:,} are the most.",
        )
    return answer.json()
