"""Creates a run: its folder and a manifest of all that is known before it is measured."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dfaas_lab.background import Job
from dfaas_lab.errors import StoreError
from dfaas_lab.execution.environment import environment
from dfaas_lab.execution.finalize import finalize
from dfaas_lab.execution.node_metrics import node_metrics_of
from dfaas_lab.execution.preflight import preflight_all
from dfaas_lab.execution.run_handle import DEFAULT, RunHandle
from dfaas_lab.execution.target_run import TargetRun
from dfaas_lab.k6.log_callback import LogCallback
from dfaas_lab.progress import Shown
from dfaas_lab.remote.workspace import Workspace
from dfaas_lab.spec.manifest import files_of, to_manifest
from dfaas_lab.store import Store, new_run_id, provenance
from dfaas_lab.widgets import is_watched

if TYPE_CHECKING:
    from dfaas_lab.execution.iteration import Pause
    from dfaas_lab.execution.part import Part
    from dfaas_lab.store import RunFolder


def create_run(
    store: str | Path,
    parts: Sequence[Part],
    *,
    label: str | None,
    live: Callable[[str], None] | None = None,
    shown: Shown = DEFAULT,
    seed: int | None = None,
    campaign: Mapping[str, object] | None = None,
    pause: Pause | None = None,
) -> RunHandle:
    """Check that targets can be measured, and make a run of them: stored, nothing begun.

    Args:
        store: The folder for results.
        parts: The targets, each with what is to be measured.
        label: A name for people.
        live: Called with each line that k6 logs; of several targets, with the target's name.
        shown: How it is shown while it goes on.
        seed: The seed of what chose these orders at random, if anything did.
        campaign: Which campaign this run belongs to, and which load of it this is.
        pause: Called before each iteration.

    Raises:
        DfaasLabError: One cannot be measured; see :func:`preflight`.
    """
    parts, origin = _looked_at(parts, seed)
    several = len(parts) > 1
    # Named before anything is begun, so that whoever attaches finds them.
    workspaces = [
        [Workspace.new(part.target.generator.workspace_root) for _ in part.spec.numbers]
        for part in parts
    ]
    run_id = new_run_id()
    try:
        folder = _open_folder(store, run_id, parts, workspaces, label, origin, campaign)
        log_callback = None if live is None else LogCallback(live)
        line = None if log_callback is None else log_callback.emit
        target_runs = [
            TargetRun(
                part,
                folder=folder,
                workspaces=own,
                line=_prefixed(line, part.target.name) if several else line,
                node_metrics=node_metrics_of(part.target),
                pause=pause,
                watched=is_watched(shown),
            )
            for part, own in zip(parts, workspaces, strict=True)
        ]
        return RunHandle(target_runs, folder, shown=shown, log_callback=log_callback, new=True)
    except BaseException:  # an interrupt: nobody who attaches later shall begin it
        with contextlib.suppress(StoreError):  # it may have no folder yet
            finalize(Store(store).find(run_id), status="interrupted")
        raise


def _prefixed(tell: Callable[[str], None] | None, name: str) -> Callable[[str], None] | None:
    return None if tell is None else lambda line: tell(f"{name}: {line}")


def _looked_at(parts: Sequence[Part], seed: int | None) -> tuple[Sequence[Part], dict[str, object]]:
    """Return what can be measured as it was asked, and the run's provenance."""
    here = Job(partial(provenance, seed))
    here.start()  # it asks git meanwhile
    parts = preflight_all(parts)
    facts = environment([part.target for part in parts])
    here.done.wait()
    return parts, here.result() | facts


def _open_folder(
    store: str | Path,
    run_id: str,
    parts: Sequence[Part],
    workspaces: Sequence[Sequence[Workspace]],
    label: str | None,
    origin: dict[str, object],
    campaign: Mapping[str, object] | None,
) -> RunFolder:
    manifest = {
        "label": label,
        **({} if campaign is None else {"campaign": dict(campaign)}),
        "targets": [part.target.name for part in parts],
        "orders": {
            part.target.name: _described(part, own)
            for part, own in zip(parts, workspaces, strict=True)
        },
        "provenance": origin,
    }
    files: dict[str, bytes] = {}
    for index, part in enumerate(parts):
        files |= files_of(part.spec, index)
    return Store(store).create_run(run_id, manifest, files)


def _described(part: Part, workspaces: Sequence[Workspace]) -> dict[str, object]:
    target = part.target
    return {
        **to_manifest(part.spec),
        "gateway": target.gateway,
        "generator": target.generator.name,
        "workspaces": {
            "root": target.generator.workspace_root,
            "ids": [workspace.id for workspace in workspaces],
        },
    }
