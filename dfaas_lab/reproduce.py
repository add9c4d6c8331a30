"""Reproduces a run: measures it again on a target, and reports what differs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from dfaas_lab.errors import ConfigError
from dfaas_lab.progress import Shown
from dfaas_lab.spec.manifest import from_manifest, orders_of, part_of
from dfaas_lab.spec.manifest_functions import Entry
from dfaas_lab.store import OpenedArchive, RunFolder

if TYPE_CHECKING:
    from dfaas_lab.load import Function
    from dfaas_lab.spec.run_spec import RunSpec


class Reproducer(Protocol):
    """What a run can be measured on again: a :class:`dfaas_lab.Target`."""

    name: str
    gateway: str
    served_by_header: str
    functions: tuple[Function, ...]
    last_run: Any

    def _start(self, spec: RunSpec, *, label: str | None, shown: Shown) -> Any: ...


log = logging.getLogger("dfaas_lab")

_GENERATOR = ("k6_version", "playbook_digest", "cpu_model", "cores", "memory_bytes", "kernel")
_HOST = ("cpu_model", "cores", "memory_bytes", "kernel")


def reproduce(
    folder: RunFolder,
    target: Reproducer,
    *,
    part: str | None,
    trust_script: bool,
    env: Mapping[str, str] | None,
    label: str | None,
    progress: bool | None,
) -> Any:
    """Measure the run in a folder again; see :meth:`dfaas_lab.Run.reproduce`."""
    then = folder.read()
    name = part_of(then, part or target.name)
    spec = _spec(folder, orders_of(then), name, target, env, trusted=trust_script)
    last = target.last_run
    try:
        return target._start(spec, label=label, shown=Shown(progress)).wait()
    finally:
        measured = target.last_run
        if measured is not None and measured is not last:
            _tell(then, measured, (name, target.name))


def _spec(
    folder: RunFolder,
    orders: Mapping[str, Entry],
    part: str,
    target: Reproducer,
    env: Mapping[str, str] | None,
    *,
    trusted: bool,
) -> RunSpec:
    """What was measured then, for another target.

    Raises:
        ConfigError: A script is not trusted, its environment is not whole, or it is damaged.
    """
    if orders[part].get("script") and isinstance(folder, OpenedArchive) and not trusted:
        raise ConfigError(
            "the run was made with a k6 script of its own, which came in an archive",
            hint=f"Read it in {folder.path}; then give reproduce(..., trust_script=True).",
        )
    spec = from_manifest(orders, part, folder.path, functions=target.functions, env=env or {})
    return spec.attended().on(target.gateway, target.served_by_header)


def _tell(then: Entry, run: Any, parts: tuple[str, str]) -> None:
    folder = RunFolder.at(run.path)
    try:
        found = differences(then, folder.read(), parts)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # A stranger's manifest may say anything; what was measured is good all the same.
        log.warning("what was different then is not known: %r", error)
        found = []
    for one in found:
        log.warning("%s: %s then, %s now", one["what"], one["then"], one["now"])
    folder.update(reproduces={"run_id": then["run_id"], "differences": found})


def differences(then: Entry, now: Entry, parts: tuple[str, str]) -> list[dict[str, Any]]:
    """Return what two manifests say differently, as ``what, then, now``; not what is unknown.

    ``parts`` are the target's names then and now.
    """
    old, new = _known(then, parts[0]), _known(now, parts[1])
    return [
        {"what": what, "then": value, "now": new[what]}
        for what, value in old.items()
        if what in new and new[what] != value
    ]


def _known(manifest: Entry, part: str) -> dict[str, Any]:
    """What a target's part of a run was measured with, as far as it is known, in words."""
    made = manifest.get("provenance") or {}
    name = manifest["orders"][part].get("generator")
    generator = (made.get("generators") or {}).get(name) or {}
    target = (made.get("targets") or {}).get(part) or {}
    host = target.get("host") or {}
    found = {
        "dfaas_lab": made.get("dfaas_lab"),
        "gateway's version": target.get("version"),
        **{f"generator's {key}": _rounded(key, generator.get(key)) for key in _GENERATOR},
        **{f"target's {key}": _rounded(key, host.get(key)) for key in _HOST},
        **{
            f"{key} of {function}": entry.get(key)
            for function, entry in (target.get("functions") or {}).items()
            for key in ("image", "digest")
            if entry
        },
    }
    return {what: value for what, value in found.items() if value is not None}


def _rounded(key: str, value: Any) -> Any:
    # Two boots of one host differ by some kilobytes.
    return f"{value / 1e9:.0f} GB" if key == "memory_bytes" and value else value
