"""A campaign on disk: one file for what was asked, one for each load and target, and a lock.

``campaigns/<id>/campaign.json`` and ``campaigns/<id>/<target>/<load_id>.json``; each is written
beside and then renamed, so that a kill at any moment leaves the old or the new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dfaas_lab.campaign.record import LoadRecord
from dfaas_lab.campaign.settings import Settings
from dfaas_lab.errors import CampaignError, StoreError
from dfaas_lab.store.files import errors_as_store_error, replace_file, safe_name
from dfaas_lab.store.manifest import damage_as_store_error, read_entries

FORMAT = 1
_WRITING = threading.Lock()  # several targets are measured by threads of one process
_NAME = "campaign.json"


@dataclass(frozen=True)
class CampaignFolder:
    """The files of one campaign, in ``<store>/campaigns/<id>``."""

    path: Path

    @property
    def id(self) -> str:
        """The campaign's id."""
        return self.path.name

    @property
    def exists(self) -> bool:
        """Whether it is stored."""
        return (self.path / _NAME).exists()

    def create(self, settings: Settings, entries: dict[str, Any]) -> None:
        """Store a campaign that is new."""
        with errors_as_store_error(self.path, "writing"):
            self.path.mkdir(parents=True, exist_ok=True)
        self._write({"id": self.id, **entries, "settings": settings.described()})

    def read(self) -> dict[str, Any]:
        """Return what is stored of the campaign itself.

        Raises:
            StoreError: It is damaged, or of a newer dfaas_lab.
        """
        found = read_entries(self.path / _NAME)
        if found.get("format") != FORMAT:
            raise StoreError(
                f"{self.path / _NAME} has format {found.get('format')!r}, this dfaas_lab reads "
                f"{FORMAT}",
                path=str(self.path),
                hint="Update dfaas_lab to read it: pip install --upgrade dfaas-lab",
            )
        with damage_as_store_error(self.path / _NAME):
            Settings.from_described(found["settings"])
        return found

    def update(self, **changes: Any) -> None:
        """Change entries; only who holds the lock does."""
        with _WRITING:
            self._write(self.read() | changes)

    def set_baseline(self, target: str, readings: dict[str, Any]) -> None:
        """Store what a target's node is like at rest."""
        with _WRITING:
            entries = self.read()
            self._write(entries | {"baselines": {**entries.get("baselines", {}), target: readings}})

    def write_load(self, target: str, record: LoadRecord) -> None:
        """Store what is known of a load."""
        folder = self.path / safe_name(target)
        with errors_as_store_error(folder, "writing"):
            folder.mkdir(exist_ok=True)
        replace_file(folder / f"{record.load.load_id}.json", _dumped(record.stored()))

    def loads(self, target: str) -> dict[str, LoadRecord]:
        """What is known of all loads of a target, by load id."""
        paths = sorted((self.path / safe_name(target)).glob("[0-9a-f]*.json"))
        return {path.stem: _record(path) for path in paths}

    def _lock(self) -> FileLock:
        return FileLock(self.path / ".lock", thread_local=False)

    @property
    def locked(self) -> bool:
        """Whether a process runs it now."""
        lock = self._lock()
        if not Path(lock.lock_file).exists():
            return False
        try:
            with lock.acquire(timeout=0):
                return False
        except Timeout:
            return True

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Be the only process that runs this campaign.

        Raises:
            CampaignError: Another one does.
        """
        lock = self._lock()
        try:
            lock.acquire(timeout=0.5)  # who asks whether it is locked holds it for a moment
        except Timeout:
            raise CampaignError(
                f"campaign {self.id} is being run by process {self.read().get('pid')} already",
                hint="Wait for it, or interrupt it; then run() goes on where it was.",
            ) from None
        try:
            self.update(status="running", pid=os.getpid())
            yield
        finally:
            lock.release()

    def _write(self, entries: dict[str, Any]) -> None:
        replace_file(self.path / _NAME, _dumped({"format": FORMAT, **entries}))


def stored_campaigns(store: Path) -> list[CampaignFolder]:
    """The campaigns of a store, oldest first."""
    found = (CampaignFolder(path) for path in sorted((store / "campaigns").glob("*")))
    return [folder for folder in found if folder.exists]


def _record(path: Path) -> LoadRecord:
    entries = read_entries(path)
    with damage_as_store_error(path):
        return LoadRecord.from_stored(entries)


def _dumped(entries: dict[str, Any]) -> bytes:
    return (json.dumps(entries, indent=1, ensure_ascii=False) + "\n").encode()
