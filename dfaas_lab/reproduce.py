"""Measures a run again on a target, and tells what is different this time."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dfaas_lab.spec.manifest import load_of, part_of, script_of, terms_of
from dfaas_lab.spec.manifest_functions import Entry, functions_of

if TYPE_CHECKING:
    from dfaas_lab.run import Run
    from dfaas_lab.store import RunFolder
    from dfaas_lab.target import Target

log = logging.getLogger("dfaas_lab")

_GENERATOR = ("k6_version", "playbook_digest", "cpu_model", "cores", "memory_bytes", "kernel")
_HOST = ("cpu_model", "cores", "memory_bytes", "kernel")


def reproduce(
    folder: RunFolder,
    target: Target,
    *,
    part: str | None,
    trust_script: bool,
    env: Mapping[str, str] | None,
    **given: Any,
) -> Run:
    """Measure the run in a folder again; see :meth:`dfaas_lab.Run.reproduce`.

    ``given`` is passed on to ``target.run_k6``.
    """
    then = folder.read()
    name = part_of(then, part or target.name)
    order = then["orders"][name]
    terms = terms_of(order) | given
    again = copy.copy(target)  # the target's own functions stay as they are
    again.last_run, again.thresholds = None, None
    if order.get("script"):
        terms |= {"script": script_of(folder, name, env, trusted=trust_script)}
    else:
        own = {function.name: function for function in target.functions}
        again.functions = functions_of(folder.path, order.get("functions", [{}]), own)
        terms |= load_of(order)
    try:
        return again.run_k6(**terms)
    finally:
        measured: Run | None = again.last_run
        if measured is not None:
            target.last_run = measured
            _tell(then, measured, (name, target.name))


def _tell(then: Entry, run: Run, parts: tuple[str, str]) -> None:
    from dfaas_lab.store import RunFolder

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
    """Return what was different at two times, as ``what, then, now``; not what is unknown.

    Args:
        then: The manifest of a run.
        now: That of its repetition.
        parts: The target's name then and now.
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
