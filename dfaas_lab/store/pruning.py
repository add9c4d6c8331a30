"""Prunes runs: chooses them and removes each as a whole."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from dfaas_lab.errors import ConfigError, StoreError
from dfaas_lab.store import manifest
from dfaas_lab.store.files import errors_as_store_error

if TYPE_CHECKING:
    from dfaas_lab.store.folder import RunFolder

# What a killed process left behind is surely nobody's after a day.
_STALE_S = 86_400.0


def chosen(
    listed: pl.DataFrame,
    *,
    older_than: timedelta | None,
    keep_last: int | None,
    runs: Iterable[str] | None,
) -> pl.DataFrame:
    """Return the rows of the runs that every condition given names; see ``Store.prune``.

    ``listed`` are all runs, oldest first. Without ``runs``, those that are under way are left.

    Raises:
        ConfigError: There is no condition, or one that cannot be.
    """
    if older_than is None and keep_last is None and runs is None:
        raise ConfigError(
            "prune() was not told what to remove",
            hint="Give older_than=timedelta(days=30), keep_last=100 or runs=[...].",
        )
    if (keep_last or 0) < 0 or (older_than or timedelta()) < timedelta():
        raise ConfigError(
            "prune() was told a number below 0",
            hint="keep_last=0 and older_than=timedelta(0) name all runs.",
        )
    if keep_last is not None:
        listed = listed.head(max(listed.height - keep_last, 0))
    if older_than is not None:
        listed = listed.filter(pl.col("created_at") < datetime.now(UTC) - older_than)
    if runs is not None:
        return listed.filter(pl.col("run_id").is_in(list(runs)))
    return listed.filter(pl.col("status").ne_missing("running"))


def removed(folder: RunFolder, *, named: bool, dry_run: bool) -> bool:
    """Remove a run, but one that a process is measuring at this moment only where it is named.

    Returns:
        Whether it is, or with ``dry_run`` would be, removed.

    Raises:
        StoreError: It cannot be removed.
    """
    if dry_run and not folder.measuring_lock.exists():
        return True
    at_once = threading.Event()
    at_once.set()
    with folder.claimed(at_once) as nobodys:
        going = nobodys or named
        if going and not dry_run:
            _remove(folder)
    return going


def _remove(folder: RunFolder) -> None:
    with errors_as_store_error(folder.path, "removing"):
        folder.staging.mkdir(parents=True, exist_ok=True)
        # Renamed first: a reader meets the whole run or none of it.
        gone = folder.path.rename(folder.staging / f"removed-{secrets.token_hex(8)}")
        _remove_tree(gone, folder.run_id)
        for lock in folder.staging.glob(f"{folder.path.name}.*lock"):
            lock.unlink(missing_ok=True)


def _remove_tree(gone: Path, run_id: str) -> None:
    """Remove a run's folder; of one that was moved to another disk, the link and what it names.

    What a link names is removed only where it says itself that it is this run.
    """
    if not gone.is_symlink():
        shutil.rmtree(gone)
        return
    place = gone.resolve()
    gone.unlink()
    with contextlib.suppress(StoreError):
        if manifest.load(place).get("run_id") == run_id:
            shutil.rmtree(place)


def sweep(staging: Path) -> None:
    """Remove what killed processes left behind."""
    for path in staging.glob("*") if staging.is_dir() else ():
        if path.is_dir() and time.time() - path.stat().st_mtime > _STALE_S:
            shutil.rmtree(path, ignore_errors=True)
