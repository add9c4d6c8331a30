"""From a run's manifest back to what was asked, as ``run_k6`` takes it. Nothing is measured.

A manifest may have come in a stranger's archive: all that is read is checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dfaas_lab.config import Limits
from dfaas_lab.errors import ConfigError
from dfaas_lab.spec.manifest_functions import Entry, damaged

if TYPE_CHECKING:
    from dfaas_lab.k6.custom_script import CustomScript
    from dfaas_lab.store import RunFolder


def part_of(manifest: Entry, wanted: str) -> str:
    """Return which target's order is meant: the only one, or the one of that name.

    Raises:
        ConfigError: Several were asked, none of them of that name; or the run does not say.
    """
    orders = manifest.get("orders")
    if not isinstance(orders, Mapping) or not orders:
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


def iterations_of(manifest: Entry) -> dict[str, int]:
    """Return how many iterations were asked for, by target; without those that do not say."""
    orders = manifest.get("orders")
    if not isinstance(orders, Mapping):
        return {}
    asked = {
        str(name): order.get("iterations")
        for name, order in orders.items()
        if isinstance(order, Mapping)
    }
    return {name: number for name, number in asked.items() if isinstance(number, int)}


def insecure_of(manifest: Entry) -> list[bool]:
    """Return for each target whether certificates were not checked."""
    orders = manifest.get("orders")
    entries = orders.values() if isinstance(orders, Mapping) else ()
    return [isinstance(e, Mapping) and e.get("insecure") is True for e in entries]


def terms_of(order: Entry) -> dict[str, Any]:
    """Return how often, how long at most, and with which pauses: for any order.

    Raises:
        ConfigError: The order is damaged.
    """
    try:
        limits: dict[str, Any] = {"timeout": timedelta(seconds=order["limit_s"])}
        if order["lease_s"]:  # a detached run had none
            limits["lease"] = timedelta(seconds=order["lease_s"])
        return {
            "iterations": order["iterations"],
            "limits": Limits(**limits),
            "rest": timedelta(seconds=order["rest_s"]),
            "warmup": timedelta(seconds=order["warmup_s"]),
        }
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise damaged(error) from error


def load_of(order: Entry) -> dict[str, Any]:
    """Return load, duration and thresholds: for an order without a script of its own.

    Raises:
        ConfigError: The order is damaged.
    """
    try:
        thresholds = order["thresholds"]
        return {
            "load": dict(order["load"]),
            "duration": timedelta(seconds=order["duration_s"]),
            "thresholds": None if thresholds is None else dict(thresholds),
        }
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise damaged(error) from error


def script_of(
    folder: RunFolder, part: str, env: Mapping[str, str] | None, *, trusted: bool
) -> CustomScript:
    """Return the script of a run that was made with one of its own.

    Args:
        folder: The run's.
        part: The target's name in it.
        env: The script's environment, whose values are not stored.
        trusted: Whether a script may run that came in an archive.

    Raises:
        ConfigError: It is not trusted, is damaged, or its environment is not whole.
    """
    from dfaas_lab.k6.custom_script import CustomScript
    from dfaas_lab.store import OpenedArchive

    if isinstance(folder, OpenedArchive) and not trusted:
        raise ConfigError(
            "the run was made with a k6 script of its own, which came in an archive",
            hint=f"Read it in {folder.path}; then give reproduce(..., trust_script=True).",
        )
    index = list(folder.read()["orders"]).index(part)
    try:
        stored = (folder.path / f"script{f'-{index + 1}' if index else ''}.json").read_bytes()
        names = set(json.loads(stored)["env"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(error) from error
    if missing := sorted(names - set(env or {})):
        raise ConfigError(
            f"not stored, since it may be secret: the script's environment {', '.join(missing)}",
            hint="Give it: reproduce(..., env={...}).",
        )
    return CustomScript.from_stored(stored, env)
