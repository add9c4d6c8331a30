"""``Store``: all runs in one folder. Makes, finds, lists and scans them."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dfaas_lab import schemas
from dfaas_lab.errors import StoreError
from dfaas_lab.status import OPEN
from dfaas_lab.store import listing, manifest, parquet, pruning
from dfaas_lab.store.files import errors_as_store_error, replace_file, staged
from dfaas_lab.store.folder import STAGING, RunFolder, plain_name
from dfaas_lab.store.manifest import FORMAT, Manifest
from dfaas_lab.validation import local_path

if TYPE_CHECKING:
    import polars as pl

log = logging.getLogger("dfaas_lab")

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def new_run_id(now: datetime | None = None) -> str:
    """Return an id that sorts by time and is unique: ``20261123T094512-3f9a2c``.

    Args:
        now: The time; None means the clock.
    """
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    return f"{moment:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


class Store:
    """A folder of results. Making one touches no disk; the folder is made by the first run.

    The layout is ``runs/run_id=<id>/iteration=<N>/target=<name>/requests.parquet`` and so on (hive
    style), so polars, DuckDB and pandas read it without dfaas_lab: ``runs/**/requests.parquet``,
    with or without hive partitioning. The files hold all columns themselves. Runs that an earlier
    dfaas_lab wrote (format 1) have no folder for the target where there was only one: beside them,
    other readers take the files without hive partitioning.

    Args:
        root: The folder.

    >>> Store("elsewhere").runs().height
    0
    """

    def __init__(self, root: str | Path = "results") -> None:
        # A notebook may change its folder (%cd) while results are on their way.
        self.root = local_path(root, what="store").absolute()

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    def create_run(
        self,
        run_id: str,
        manifest_: Mapping[str, object] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> RunFolder:
        """Make the folder of a run, with its manifest and the files of the whole run.

        Args:
            run_id: As of :func:`new_run_id`.
            manifest_: What is known of the run so far; nothing secret.
            files: Raw files by name (``plan.json``, ``script.js``).

        Raises:
            StoreError: There is such a run, or it cannot be written.

        >>> Store("made").create_run(new_run_id(), {"label": "by hand"}).read()["status"]
        'running'
        """
        folder = self._folder(run_id)
        self._check_format(write=True)
        entries: Manifest = {
            "run_id": run_id,
            "created_at": datetime.now(UTC).isoformat(),
            "status": "running",
            **(manifest_ or {}),
        }
        with staged(folder.staging, folder.path) as beside:
            (beside / manifest.NAME).write_bytes(manifest.dump(entries))
            for name, content in (files or {}).items():
                (beside / plain_name(name)).write_bytes(content)
        return folder

    def find(self, run_id: str) -> RunFolder:
        """Return the folder of a run; a unique beginning of its id is enough.

        Raises:
            StoreError: There is none, or several.

        >>> lab.store.find(run.id).path == run.path
        True
        """
        self._check_format()
        ids = [run for run in self.run_ids() if run.startswith(run_id)]
        exact = [run for run in ids if run == run_id] or ids
        if len(exact) == 1:
            return self._folder(exact[0])
        problem = "several runs begin with" if exact else "there is no run"
        raise StoreError(
            f"{problem} {run_id!r} in {self.root}",
            path=str(self.root),
            hint="lab.store.runs() lists them.",
        )

    def run_ids(self) -> list[str]:
        """The ids of all runs, oldest first.

        >>> run.id in lab.store.run_ids()
        True
        """
        paths = (path for path in (self.root / "runs").glob("run_id=*") if path.is_dir())
        ids = (path.name.removeprefix("run_id=") for path in paths)
        return sorted(run_id for run_id in ids if _RUN_ID.fullmatch(run_id))

    def open_runs(self) -> Iterator[RunFolder]:
        """The runs that have not ended, newest first.

        >>> list(lab.store.open_runs())
        []
        """
        for run_id in reversed(self.run_ids()):
            folder = self.find(run_id)
            with contextlib.suppress(StoreError):  # an odd or damaged one is passed over
                if folder.read().get("status") in OPEN:
                    yield folder

    def runs(self) -> pl.DataFrame:
        """Return one row per run, newest first.

        ``run_id, created_at, label, status, targets, iterations`` (finished ones), ``path`` and
        ``problem`` (null, or what of its manifest cannot be read). Then what was asked of its first
        target, ``load`` in words and ``duration_s``, and what came of it: ``requests``,
        ``verdict`` and ``latency_ms_p95`` (of all successful requests, pooled); null for runs that
        have not ended, or are older than these columns.

        >>> lab.store.runs().filter(label="first").select("status", "load", "requests").row(0)
        ('ok', 'figlet 10/s, env 20/s', 90)
        """
        self._check_format()
        return listing.of(self._folder(run_id) for run_id in reversed(self.run_ids()))

    def scan_requests(self, runs: str | Iterable[str] | None = None) -> pl.LazyFrame:
        """Return the requests of all runs (or of these), read only when and where needed.

        Args:
            runs: Ids, or their unique beginnings. Without them, a run that cannot be read is left
                out with a warning: of a year's runs, the others are still worth reading.

        Raises:
            StoreError: One of ``runs`` is not there, is damaged, or of a newer dfaas_lab.

        >>> requests = lab.store.scan_requests([run.id])
        >>> requests.group_by("function").len().sort("function").collect().rows()
        [('env', 60), ('figlet', 30)]
        """
        return self._scan("requests", schemas.REQUESTS, runs)

    def scan_summaries(self, runs: str | Iterable[str] | None = None) -> pl.LazyFrame:
        """Return the summaries of all runs (or of these), as :meth:`scan_requests` does.

        >>> lab.store.scan_summaries(run.id).collect().height
        6
        """
        return self._scan("summary", schemas.SUMMARY, runs)

    def prune(
        self,
        *,
        older_than: timedelta | None = None,
        keep_last: int | None = None,
        runs: str | Iterable[str] | None = None,
        dry_run: bool = False,
    ) -> pl.DataFrame:
        """Remove runs, and what killed processes left behind; return the rows of those removed.

        A run is removed when every condition given says so. One that is under way is left, unless
        it is named in ``runs``.

        Args:
            older_than: Only runs that are older.
            keep_last: Keep so many of the newest.
            runs: Only these ids (or this one).
            dry_run: Remove nothing, only say what would be.

        Raises:
            ConfigError: There is no condition, or one that cannot be.

        >>> lab.store.prune(older_than=timedelta(days=30), keep_last=100, dry_run=True).height
        0
        """
        named = None if runs is None else _listed(runs)
        chosen = pruning.chosen(
            self.runs().reverse(), older_than=older_than, keep_last=keep_last, runs=named
        )
        gone = [
            pruning.removed(self._folder(run_id), named=named is not None, dry_run=dry_run)
            for run_id in chosen["run_id"]
        ]
        if not dry_run:
            pruning.sweep(self.root / STAGING)
        return chosen.filter(gone)

    def export(
        self,
        folder: str | Path,
        *,
        runs: str | Iterable[str] | None = None,
        format: Literal["csv", "parquet"] = "csv",  # noqa: A002 - what a user would call it
    ) -> list[Path]:
        """Write ``requests`` and ``summary`` of all runs (or of these) as one file each.

        Args:
            folder: Where to; made if it is not there.
            runs: Ids of runs; None means all.
            format: ``"csv"`` or ``"parquet"``.

        Returns:
            The paths of the files.

        >>> [path.name for path in lab.store.export("all", runs=[run.id])]
        ['requests.csv', 'summary.csv']
        """
        ids = runs if runs is None else _listed(runs)
        scans = {"requests": self.scan_requests(ids), "summary": self.scan_summaries(ids)}
        where = local_path(folder, what="folder")
        return [parquet.export(scan, where, name, format) for name, scan in scans.items()]

    def _folder(self, run_id: str) -> RunFolder:
        if not _RUN_ID.fullmatch(run_id):
            raise StoreError(f"{run_id!r} is no run id", path=str(self.root))
        return RunFolder.at(self.root / "runs" / f"run_id={run_id}")

    def _scan(self, name: str, schema: pl.Schema, runs: str | Iterable[str] | None) -> pl.LazyFrame:
        self._check_format()
        if runs is None:
            parts = [self._readable(run_id, name) for run_id in self.run_ids()]
        else:
            found = dict.fromkeys(map(self.find, _listed(runs)))
            parts = [folder.whole_files(name) for folder in found]
        return parquet.scan([file for files in parts for file in files], schema)

    def _readable(self, run_id: str, name: str) -> list[Path]:
        """The files of a run, or none and a warning that names it."""
        try:
            return self._folder(run_id).whole_files(name)
        except StoreError as error:
            log.warning("run %s is left out: %s", run_id, error)
            return []

    def _check_format(self, *, write: bool = False) -> None:
        """Refuse a store that a newer dfaas_lab wrote; write the format down in a new one."""
        path = self.root / "store.json"
        with errors_as_store_error(path, "opening"):
            if path.exists():
                manifest.migrated(manifest.parsed(path.read_bytes(), path), path)
            elif write:
                self.root.mkdir(parents=True, exist_ok=True)
                replace_file(path, json.dumps({"format": FORMAT}).encode() + b"\n")


def _listed(runs: str | Iterable[str]) -> list[str]:
    return [runs] if isinstance(runs, str) else list(runs)
