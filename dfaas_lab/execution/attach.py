"""Attaches to a stored run: resumes it from its manifest, whoever started it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dfaas_lab.errors import ConfigError, DfaasLabError, StoreError
from dfaas_lab.execution.node_metrics import node_metrics_of
from dfaas_lab.execution.part import Part
from dfaas_lab.execution.run_handle import DEFAULT, RunHandle
from dfaas_lab.execution.target_run import TargetRun
from dfaas_lab.remote.workspace import Workspace
from dfaas_lab.spec.manifest import StoredPart, checked, from_manifest, orders_of
from dfaas_lab.widgets import is_watched

if TYPE_CHECKING:
    from dfaas_lab.execution.iteration import Pause
    from dfaas_lab.execution.part import TargetSession
    from dfaas_lab.progress import Shown
    from dfaas_lab.spec.manifest_functions import Entry
    from dfaas_lab.store import RunFolder, Store

log = logging.getLogger("dfaas_lab")


def attach(
    folder: RunFolder,
    targets: Mapping[str, TargetSession],
    *,
    shown: Shown = DEFAULT,
    pause: Pause | None = None,
) -> RunHandle:
    """Return a handle that follows what is under way, and goes on with what is not begun.

    ``pause`` is called before each iteration that is begun from here.

    Raises:
        ConfigError: The lab does not have its target, generator or functions.
        StoreError: The run is of a dfaas_lab that wrote no workspaces down.
    """
    orders = orders_of(folder.read())
    found = _found(folder, orders, targets)
    return RunHandle(
        [
            _target_run(folder, orders, entry, target, pause, is_watched(shown))
            for entry, target in found
        ],
        folder,
        shown=shown,
    )


def newest(store: Store, targets: Mapping[str, TargetSession]) -> RunFolder:
    """Return the newest run that these targets can attach to; those of other labs are passed over.

    Raises:
        StoreError: Every run has ended, or those that have not are of other labs.
    """
    refused: list[DfaasLabError] = []
    for folder in store.open_runs():
        try:
            _found(folder, orders_of(folder.read()), targets)
        except (ConfigError, StoreError) as error:
            refused.append(error)
        else:
            return folder
    if not refused:
        raise StoreError(
            f"every run in {store.root} has ended",
            path=str(store.root),
            hint="Name one to read it: lab.attach(RUN_ID). lab.store.runs() lists all.",
        )
    raise StoreError(
        f"{len(refused)} runs in {store.root} have not ended, and none is of this lab. Of the "
        f"newest: {refused[0].message}",
        path=str(store.root),
        hint="Open the lab as it was when the run began. lab.store.runs() lists all.",
    )


def _found(
    folder: RunFolder, orders: Mapping[str, Entry], targets: Mapping[str, TargetSession]
) -> list[tuple[StoredPart, TargetSession]]:
    """What was asked of each target of a run, and the lab's target for it."""
    if not orders or any("workspaces" not in entry for entry in orders.values()):
        raise StoreError(f"run {folder.run_id} does not say where it runs", path=str(folder.path))
    stored = {name: checked(StoredPart, entry) for name, entry in orders.items()}
    return [(entry, _of_lab(targets, name, entry.generator)) for name, entry in stored.items()]


def _of_lab(targets: Mapping[str, TargetSession], name: str, generator: str) -> TargetSession:
    target = targets.get(name)
    if target is None or target.generator.name != generator:
        raise ConfigError(
            f"the run measures {name} from the generator {generator}, which this lab does not have",
            hint="Open the lab as it was when the run began.",
        )
    return target


def _target_run(
    folder: RunFolder,
    orders: Mapping[str, Entry],
    entry: StoredPart,
    target: TargetSession,
    pause: Pause | None,
    watched: bool,
) -> TargetRun:
    stored = from_manifest(orders, target.name, folder.path, functions=target.functions)
    spec = stored.on(target.gateway, target.served_by_header)
    changed = spec.plan.digest != entry.plan_digest
    if changed:
        log.warning("%s changed since the run began: nothing new of it is begun", target.name)
    places = entry.workspaces
    return TargetRun(
        Part(target, spec),
        folder=folder,
        workspaces=[Workspace(places.root, one) for one in places.ids],
        begun=True,
        closed=changed or not spec.plan.is_builtin,
        node_metrics=node_metrics_of(target),
        pause=pause,
        watched=watched,
    )
