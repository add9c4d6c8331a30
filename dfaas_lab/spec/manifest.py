"""A run's description in its manifest: written from a :class:`RunSpec` and read back into one.

A manifest may have come in a stranger's archive: every entry is checked by a schema when it is
read. The schema of the plain terms is made of the fields of ``RunSpec`` itself.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from dfaas_lab.errors import ConfigError
from dfaas_lab.k6.custom_script import CustomScript
from dfaas_lab.k6.plan import K6Plan
from dfaas_lab.k6.requirements import Requirements
from dfaas_lab.load import Load
from dfaas_lab.load.duration import exact_duration
from dfaas_lab.regular_file import read_regular
from dfaas_lab.spec.manifest_functions import Entry, bodies, damaged, described, functions_of
from dfaas_lab.spec.run_spec import RunSpec

if TYPE_CHECKING:
    from dfaas_lab.load import Function

_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
# Each manifest says these; what came later has a default.
_ALWAYS = ("iterations", "lease_s", "rest_s", "warmup_s")
_Rules = str | list[str] | dict[str, str | list[str]]

Stored = TypeVar("Stored", bound=BaseModel)


class _Stored(BaseModel):
    model_config = _STRICT


class StoredPlan(_Stored):
    """What a manifest says of the load, where the run had no script of its own."""

    gateway: str
    load: dict[str, float]
    functions: list[dict[str, Any]]
    duration_s: float = Field(gt=0, le=1e9)
    thresholds: dict[str, _Rules] | None = None
    served_by_header: str = "Dfaas-Node-Id"  # format 1 did not say it


class StoredScript(_Stored):
    """What a manifest says of a script; its sources are in a file of their own."""

    script: str
    duration_s: float = Field(ge=0, le=1e9)
    max_vus: int = 0  # format 1 did not say it


class StoredPlace(_Stored):
    """Where the iterations of a run are on its generator."""

    root: str
    ids: list[str]


class StoredPart(_Stored):
    """What else a manifest says of one target's part of a run, for whoever attaches to it."""

    generator: str
    plan_digest: str
    workspaces: StoredPlace


def to_manifest(spec: RunSpec) -> dict[str, object]:
    """Return what a manifest says of a run; nothing secret.

    ``limit_s`` is the time limit that was in force; it is not read back, since it follows.
    """
    plan = spec.plan
    return {
        **_plan_entries(plan),
        "duration_s": plan.duration_s,
        **{name: getattr(spec, name) for name in _terms().model_fields},
        "limit_s": spec.limit_s,
        "plan_digest": plan.digest,
    }


def files_of(spec: RunSpec, index: int) -> dict[str, bytes]:
    """Return the files beside the manifest, by name; ``index`` is the target's place in the run."""
    return {**spec.plan.stored(_suffix(index)), **bodies(spec.functions)}


def from_manifest(
    orders: Mapping[str, Entry],
    part: str,
    folder: Path,
    *,
    functions: Sequence[Function] = (),
    env: Mapping[str, str] | None = None,
) -> RunSpec:
    """Return the description of a run as it was when :func:`to_manifest` wrote it.

    Args:
        orders: The manifest's entries, by target.
        part: Which target's.
        folder: The run's folder, with bodies and scripts.
        functions: A target's functions: what is not stored, since it may be secret, is theirs.
        env: The environment of a script, whose values are not stored; None where the generator has
            it.

    Raises:
        ConfigError: It is damaged, or something that is not stored is not given.
    """
    entry = orders[part]
    terms = dict(checked(_terms(), _as_format_2(entry)))
    plan: K6Plan | CustomScript
    if entry.get("script"):
        plan = _script(folder, list(orders).index(part), checked(StoredScript, entry), env)
    else:
        plan = _plan(folder, checked(StoredPlan, entry), functions)
    try:
        return RunSpec(plan, **terms)
    except ConfigError as error:
        raise damaged(error) from error


def part_of(manifest: Entry, wanted: str) -> str:
    """Return which target's part is meant: the only one, or the one of that name.

    Raises:
        ConfigError: There are several, none of them of that name; or the run does not say.
    """
    orders = orders_of(manifest)
    if not orders:
        raise ConfigError(
            f"run {manifest.get('run_id')} does not say what was asked",
            hint="It was stored by an older dfaas_lab: measure it by run_k6().",
        )
    names = list(orders)
    if len(names) == 1:
        return str(names[0])
    if wanted in names:
        return wanted
    raise ConfigError(
        f"run {manifest.get('run_id')} measured several targets, none of them {wanted!r}",
        hint=f"Say which one: part={' or part='.join(map(repr, names))}.",
    )


def orders_of(manifest: Entry) -> dict[str, Entry]:
    """Return what was asked, by target; empty where a manifest does not say it, or oddly."""
    orders = manifest.get("orders")
    if not isinstance(orders, Mapping) or not all(isinstance(o, Mapping) for o in orders.values()):
        return {}
    return {str(name): entry for name, entry in orders.items()}


def iterations_of(manifest: Entry) -> dict[str, int]:
    """Return how many iterations were asked for, by target; without those that do not say."""
    asked = {name: order.get("iterations") for name, order in orders_of(manifest).items()}
    return {name: number for name, number in asked.items() if isinstance(number, int)}


def checked(schema: type[Stored], entry: Entry) -> Stored:
    """Return what an entry says, checked by a schema.

    Raises:
        ConfigError: It says something else; the fields are named.
    """
    try:
        return schema.model_validate(dict(entry))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise damaged(f"{place}: {first['msg']}") from error


@functools.cache
def _terms() -> type[BaseModel]:
    """The schema of the plain terms: all fields of a spec but its plan."""
    hints = get_type_hints(RunSpec)
    plain: dict[str, Any] = {
        one.name: (hints[one.name], ... if one.name in _ALWAYS else one.default)
        for one in fields(RunSpec)
        if one.name != "plan"
    }
    return create_model("StoredTerms", __config__=_STRICT, **plain)


def _as_format_2(entry: Entry) -> Entry:
    """Format 1 had one time limit, asked or not, in the place of the one that was asked."""
    if "timeout_s" in entry:
        return entry
    if not entry.get("limit_s"):
        raise damaged("limit_s: field required")
    return {**entry, "timeout_s": entry["limit_s"]}


def _plan_entries(plan: K6Plan | CustomScript) -> dict[str, object]:
    if isinstance(plan, CustomScript):
        needs = plan.requirements
        max_vus = needs.max_vus if needs else 0
        left_to_it: dict[str, object] = {"load": None, "functions": [], "thresholds": None}
        return {**left_to_it, "script": plan.script_name, "max_vus": max_vus}
    return {
        "gateway": plan.gateway,
        "load": plan.load.rates,
        "functions": described(share.function for share in plan.load),
        "script": None,
        "thresholds": plan.thresholds,
        "served_by_header": plan.served_by_header,
    }


def _plan(folder: Path, stored: StoredPlan, own: Sequence[Function]) -> K6Plan:
    known = {function.name: function for function in own}
    functions = functions_of(folder, stored.functions, known)
    try:
        load = Load.of(stored.load, duration=exact_duration(stored.duration_s), functions=functions)
        return K6Plan(load, stored.gateway, stored.thresholds, stored.served_by_header)
    except ConfigError as error:
        raise damaged(error) from error


def _script(
    folder: Path, index: int, stored: StoredScript, env: Mapping[str, str] | None
) -> CustomScript:
    try:
        content = read_regular(folder / f"script{_suffix(index)}.json", most_bytes=512 << 20)
    except OSError as error:
        raise damaged(error) from error
    script = CustomScript.from_stored(content, env)
    return script.requiring(Requirements(stored.duration_s, stored.max_vus))


def _suffix(index: int) -> str:
    return f"-{index + 1}" if index else ""
