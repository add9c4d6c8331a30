"""Opens the folder of a run: the manifest of all that is known before anything is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dfaas_lab.measure import Order
    from dfaas_lab.store import RunFolder
    from dfaas_lab.target import Target


def open_folder(
    store: str | Path, parts: Sequence[tuple[Target, Order]], *, label: str | None
) -> RunFolder:
    """Make the folder of a run of some targets, with its manifest and its plans.

    Args:
        store: The folder for results.
        parts: The targets, each with what is to be measured.
        label: A name for people.
    """
    from dfaas_lab.k6.plan import script
    from dfaas_lab.store import Store, new_run_id, provenance

    manifest = {
        "label": label,
        "targets": [target.name for target, _ in parts],
        "orders": {target.name: _described(target, order) for target, order in parts},
        "provenance": provenance(
            generators={target.generator.name: target.generator.facts() for target, _ in parts}
        ),
    }
    files = {"script.js": script()}
    for index, (_, order) in enumerate(parts):
        files[f"plan{f'-{index + 1}' if index else ''}.json"] = order.plan.redacted()
    return Store(store).create_run(new_run_id(), manifest, files)


def _described(target: Target, order: Order) -> dict[str, object]:
    return {
        "gateway": target.gateway,
        "generator": target.generator.name,
        "load": order.plan.load.rates,
        "duration_s": order.plan.load.duration_s,
        "iterations": order.iterations,
        "rest_s": order.rest_s,
        "warmup_s": order.warmup_s,
        "limit_s": order.limit_s,
        "lease_s": order.lease_s,
        "plan_digest": order.plan.digest,
    }
