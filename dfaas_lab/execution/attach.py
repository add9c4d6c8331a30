"""Takes a stored run over from the controller that began it, from what its manifest says."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dfaas_lab.config import Limits
from dfaas_lab.errors import ConfigError, StoreError
from dfaas_lab.execution.create import last_run_of
from dfaas_lab.execution.node_metrics import node_metrics_of
from dfaas_lab.execution.run_handle import RunHandle
from dfaas_lab.execution.target_run import Measurement
from dfaas_lab.k6.custom_script import CustomScript, Requirements
from dfaas_lab.remote.workspace import Workspace
from dfaas_lab.spec.manifest_functions import functions_of
from dfaas_lab.spec.run_spec import RunSpec

if TYPE_CHECKING:
    from dfaas_lab.execution.iteration import Pause
    from dfaas_lab.store import RunFolder
    from dfaas_lab.target import Target

log = logging.getLogger("dfaas_lab")


def attach(
    folder: RunFolder,
    targets: Mapping[str, Target],
    *,
    progress: bool | None = None,
    pause: Pause | None = None,
) -> RunHandle:
    """Return a handle that follows what is under way, and goes on with what is not begun.

    Args:
        folder: The run.
        targets: The lab's targets, by name.
        progress: How progress is shown to who waits for it.
        pause: Called before each iteration that is begun from here.

    Raises:
        ConfigError: The lab does not have its target, generator or functions.
        StoreError: The run is of a dfaas_lab that wrote no workspaces down.
    """
    orders: dict[str, dict[str, Any]] = folder.read().get("orders") or {}
    if not orders or any("workspaces" not in entry for entry in orders.values()):
        raise StoreError(f"run {folder.run_id} does not say where it runs", path=str(folder.path))
    several = len(orders) > 1
    own = [_of_lab(targets, name, entry) for name, entry in orders.items()]
    return RunHandle(
        [
            _measurement(folder, index, entry, target, several, pause)
            for index, (entry, target) in enumerate(zip(orders.values(), own, strict=True))
        ],
        folder,
        keep=last_run_of(own),
        progress=progress,
    )


def _of_lab(targets: Mapping[str, Target], name: str, entry: Mapping[str, Any]) -> Target:
    target = targets.get(name)
    if target is None or target.generator.name != entry["generator"]:
        raise ConfigError(
            f"the run measures {name} from the generator {entry['generator']}, which this lab "
            "does not have",
            hint="Open the lab as it was when the run began.",
        )
    return target


def _measurement(
    folder: RunFolder,
    index: int,
    entry: dict[str, Any],
    target: Target,
    several: bool,
    pause: Pause | None,
) -> Measurement:
    order = _order(folder, index, entry, target)
    changed = order.plan.digest != entry["plan_digest"]
    if changed:
        log.warning("%s changed since the run began: nothing new of it is begun", target.name)
    places = entry["workspaces"]
    return Measurement(
        order,
        target=target.name,
        generator=target.generator,
        folder=folder,
        workspaces=[Workspace(places["root"], one) for one in places["ids"]],
        several=several,
        begun=True,
        closed=changed or not order.plan.is_builtin,
        node_metrics=node_metrics_of(target),
        pause=pause,
    )


def _order(folder: RunFolder, index: int, entry: dict[str, Any], target: Target) -> RunSpec:
    limits = Limits(timeout=f"{entry['limit_s']}s", lease=f"{entry['lease_s'] or 60}s")
    rest, warmup = f"{entry['rest_s']}s", f"{entry['warmup_s']}s"
    if entry.get("script"):
        stored = folder.path / f"script{f'-{index + 1}' if index else ''}.json"
        script = CustomScript.from_stored(stored.read_bytes()).requiring(
            Requirements(entry["duration_s"], 0)
        )
        return target.order(
            entry["iterations"], script=script, limits=limits, rest=rest, detached=entry["detached"]
        )
    own = {function.name: function for function in target.functions}
    then = copy.copy(target)  # the target's functions may have changed since: those stored count
    then.functions = functions_of(folder.path, entry["functions"], own)
    return then.order(
        entry["iterations"],
        load=entry["load"],
        duration=f"{entry['duration_s']}s",
        limits=limits,
        rest=rest,
        warmup=warmup,
        thresholds=entry.get("thresholds") or {},
        detached=entry["detached"],
    )
