"""The PromQL queries of a target, from a YAML file: packaged, or the user's own.

A file holds, by metric, one question or a list of them; the first one that has data counts::

    cpu_fraction:
      counter: node_cpu_seconds_total{mode!~"idle|iowait"}
      per: node_cpu_seconds_total
    replicas:
      gauge: gateway_service_count
      function: function_name
      combine: max

``counter`` or ``gauge`` is a selector of series, without functions around it: what is done with
the scrapes is done here, over exactly a window. ``minus`` is subtracted from it, ``per`` divides it
(selectors of the same kind). ``function`` names the label that holds the function's name, and
``pattern`` a regular expression of which the first group is that name; ``namespace`` is the label
with its namespace. Without ``function`` there is one value per ``instance``. ``combine`` (``sum``
or ``max``) is how several series become one value, ``scale`` is multiplied. Placeholders:
``{functions}``, a regular expression of the functions' names, and ``{namespaces}``, one of their
namespaces. A question with ``{one_function}`` is asked once for each function, whose all it finds
is; ``of: NAME`` says that all is of one function.

What no selector can say is an expression of PromQL, evaluated once, at the end of a window whose
length is ``{window}``: it should look back no further::

    cpu_cores:
      promql: sum(rate(node_cpu_seconds_total{mode!="idle"}[{window}]))
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from dfaas_lab.errors import ConfigError
from dfaas_lab.regular_file import read_regular
from dfaas_lab.validation import local_path

DEFAULT_NAMESPACE = "openfaas-fn"
_FOLDER = Path(__file__).parent / "queries_of"
_COMMON = _FOLDER.with_name("queries_common.yml")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_LARGEST_BYTES = 1 << 20
_MOST_NODES = 20_000
_DEEPEST = 50
_ONE = "{one_function}"
_WINDOW = "{window}"


class Query(BaseModel):
    """One question; the module tells what its entries mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    counter: str | None = None
    gauge: str | None = None
    promql: str | None = None
    of: str | None = None
    minus: str | None = None
    per: str | None = None
    function: str | None = None
    pattern: str | None = None
    namespace: str | None = None
    instance: str = "instance"
    combine: Literal["sum", "max"] = "sum"
    scale: float = 1.0

    @model_validator(mode="after")
    def _one_kind(self) -> Query:
        if sum(one is not None for one in (self.counter, self.gauge, self.promql)) != 1:
            raise ValueError("give either 'counter', 'gauge' or 'promql'")
        if self.pattern is not None and re.compile(self.pattern).groups < 1:
            raise ValueError("'pattern' needs a group, like '(.+)-[a-z0-9]+'")
        return self

    @property
    def selector(self) -> str:
        """What is asked for."""
        return self.counter or self.gauge or ""

    @property
    def texts(self) -> dict[str, str]:
        """What may hold placeholders."""
        names = ("counter", "gauge", "promql", "minus", "per", "pattern")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def expression(self, window_s: float) -> str:
        """The PromQL for a window of this length."""
        return (self.promql or "").replace(_WINDOW, f"{max(round(window_s * 1000), 1)}ms")

    @property
    def selectors(self) -> list[str]:
        """All selectors of the question, the main one first."""
        return [one for one in (self.selector, self.minus, self.per) if one]


def _listed(given: object) -> object:
    return given if isinstance(given, list) else [given]


Queries = Mapping[str, Sequence[Query]]
_FILE = TypeAdapter(dict[str, Annotated[list[Query], BeforeValidator(_listed)]])


def packaged() -> list[str]:
    """The names of the packaged files."""
    return sorted(path.stem for path in _FOLDER.glob("*.yml"))


def queries(named: str | Path | Mapping[str, Any] | None, functions: Sequence[str] = ()) -> Queries:
    """Return the questions by metric, their placeholders filled in.

    Args:
        named: A packaged file (``kubernetes``, ``containerd``, ``local``), the path of one, or what
            such a file holds; None is ``kubernetes``.
        functions: The names of the target's functions, with ``.namespace`` where they have one.

    Raises:
        ConfigError: The file is not there, or not what the module describes; the text says where.
    """
    if isinstance(named, Mapping):
        place = Path("that are given")
        found = _checked(place, lambda: named)
    else:
        place = _place(named)
        found = (_packaged if place.parent == _FOLDER else _of_file)(place)
    return {
        metric: [each for query in asked for each in _filled(query, functions, place)]
        for metric, asked in found.items()
    }


def _of_file(place: Path) -> dict[str, list[Query]]:
    return _checked(place, lambda: content_of(place))


_packaged = functools.cache(_of_file)  # asked for at each run, and what is installed stays


def content_of(path: Path | str) -> Any:
    """Return what the YAML of a file of questions, or of a packaged one, holds, unchecked.

    Raises:
        OSError: It cannot be read.
        yaml.YAMLError: It is no YAML.
    """
    place = _place(path)
    common = _content(_COMMON) if place.parent == _FOLDER else None
    return {**common, **_content(place)} if common else _content(place)


def _content(path: Path) -> Any:
    content = read_regular(path, most_bytes=_LARGEST_BYTES)
    if _depth(content) > _DEEPEST:  # PyYAML takes seconds before it gives up
        raise yaml.YAMLError("it is nested too deep")
    loader = yaml.SafeLoader(content)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, iter(range(_MOST_NODES)))
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _depth(content: bytes) -> int:
    """How deep brackets are in brackets, those in texts included."""
    levels = (1 if bracket in b"[{" else -1 for bracket in content if bracket in b"[{]}")
    return max(itertools.accumulate(levels), default=0)


def _count(node: yaml.Node, left: Iterator[int]) -> None:
    """Refuse aliases of aliases, which a reader follows as often as they are used."""
    if next(left, None) is None:
        raise yaml.MarkedYAMLError(problem="there is too much in it", problem_mark=node.start_mark)
    for one in node.value if isinstance(node, yaml.CollectionNode) else ():
        for inner in one if isinstance(one, tuple) else (one,):
            _count(inner, left)


def _place(named: str | Path | None) -> Path:
    if named is None or named in packaged():
        return _FOLDER / f"{named or 'kubernetes'}.yml"
    return local_path(named, what="queries").absolute()


def _checked(path: Path, read: Callable[[], Any]) -> dict[str, list[Query]]:
    try:
        return _FILE.validate_python(read())
    except OSError as error:
        raise ConfigError(
            f"the queries {path} cannot be read: {error.strerror or error}",
            hint=f"Give the path of a file, or one of {', '.join(packaged())}.",
        ) from error
    except ValidationError as error:
        raise _wrong(path, "; ".join(map(_told, error.errors()[:5]))) from error
    except (yaml.YAMLError, ValueError, re.error, RecursionError) as error:
        raise _wrong(path, " ".join(str(error).split())) from error


def _told(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg']}" if place else str(problem["msg"])


def _wrong(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"the queries {path}: {what}",
        hint="Write 'metric: {counter: SELECTOR}' or '{gauge: SELECTOR}'; "
        "see help(dfaas_lab.services.queries).",
    )


def _filled(query: Query, functions: Sequence[str], place: Path) -> list[Query]:
    """The question with its placeholders filled in; one for each function where it says so."""
    if _ONE not in "".join(query.texts.values()):
        return [_with(query, functions, place)]
    return [
        _with(query, [name], place).model_copy(update={"of": query.of or name})
        for name in functions
    ]


def _with(query: Query, functions: Sequence[str], place: Path) -> Query:
    names = sorted({name.partition(".")[0] for name in functions})
    namespaces = sorted({name.partition(".")[2] or DEFAULT_NAMESPACE for name in functions})
    known = {
        "functions": _either(names),
        "one_function": names[0] if names else "",
        "namespaces": _either(namespaces),
        "window": _WINDOW,
    }

    def fill(text: str) -> str:
        unknown = [name for name in _PLACEHOLDER.findall(text) if name not in known]
        if unknown:
            raise _wrong(place, f"there is no placeholder {{{unknown[0]}}}")
        return _PLACEHOLDER.sub(lambda found: known[found[1]], text)

    return query.model_copy(update={name: fill(text) for name, text in query.texts.items()})


def _either(names: Sequence[str]) -> str:
    return "|".join(names) if names else ".*"
