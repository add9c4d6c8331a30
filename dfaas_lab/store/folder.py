"""The folder of one run: its manifest, its iterations and its frames."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from filelock import FileLock, Timeout

from dfaas_lab import schemas
from dfaas_lab.errors import StoreError
from dfaas_lab.k6.results import Frames
from dfaas_lab.store import manifest, parquet
from dfaas_lab.store.files import errors_as_store_error, replace_file, safe_name, staged
from dfaas_lab.store.manifest import Manifest

if TYPE_CHECKING:
    import polars as pl

FRAMES = ("summary", "requests", "timeline", "k6_metrics")
_ALWAYS = FRAMES[:3]
# Outside runs/, or other readers' runs/**/*.parquet would meet torn files.
STAGING = ".staging"
WRITTEN = "written"
"""The folder of an iteration that holds what a script of the user's own wrote."""
# No leading zero: iteration=01 is not another way to write iteration=1.
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
# What may be below an iteration: a target's folder, and below it one for each generator of several.
_LEVELS = ("target=*", "target=*/generator=*")
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}")


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run.

    Args:
        path: ``<store>/runs/run_id=<id>``.
        staging: Where folders are written before they are renamed; on the same disk.
    """

    path: Path
    staging: Path

    @classmethod
    def at(cls, path: Path) -> RunFolder:
        """The folder of a run in a store, by its path."""
        # A notebook may change its working directory; its runs stay where they are.
        path = path.absolute()
        return cls(path, path.parent.parent / STAGING)

    @property
    def run_id(self) -> str:
        """The last part of its path."""
        return self.path.name.removeprefix("run_id=")

    @property
    def measuring_lock(self) -> Path:
        """The file that is locked by who measures this run."""
        return self.staging / f"{self.path.name}.measuring.lock"

    def read(self) -> Manifest:
        """Return the manifest.

        Raises:
            StoreError: It is damaged, was written by a newer dfaas_lab, or the run is not there any
                more.
        """
        self._check_there()
        return manifest.load(self.path)

    def _check_there(self) -> None:
        if not (self.path / manifest.NAME).is_file():
            raise StoreError(
                f"the run {self.run_id} is not in {self.path.parent}",
                path=str(self.path),
                hint="It was removed or moved since, or its disk went away; lab.store.runs() lists "
                "what is there.",
            )

    def update(self, **changes: object) -> Manifest:
        """Change entries of the manifest and return it; safe beside other processes."""
        self._check_there()
        with errors_as_store_error(self.path, "changing the manifest of"):
            self.staging.mkdir(exist_ok=True)
            lock = FileLock(self.staging / f"{self.path.name}.lock")
        with lock:
            changed = self.read() | changes
            replace_file(self.path / manifest.NAME, manifest.dump(changed))
        return changed

    @contextlib.contextmanager
    def claimed(self, give_up: threading.Event) -> Iterator[bool]:
        """Be the only process that measures this run; waits for another, or until ``give_up``."""
        with errors_as_store_error(self.path, "claiming"):
            self.path.lstat()  # one that is damaged may be claimed, to be removed
            self.staging.mkdir(exist_ok=True)
        lock = FileLock(self.measuring_lock, thread_local=False)
        with contextlib.suppress(Timeout):  # tried at least once: who shall stop a run must hold it
            lock.acquire(threading.TIMEOUT_MAX, 0.2, cancel_check=give_up.is_set)
        try:
            yield lock.is_locked
        finally:
            lock.release()

    def iteration_path(self, iteration: int, *, target: str) -> Path:
        """The folder of a target's iteration (0: the warm-up): where it is, or where it will be.

        Format 1 had no folder for the target where a run had only one.
        """
        folder = self.path / (f"iteration={iteration}" if iteration else "warmup")
        present = folder / f"target={safe_name(target)}"
        return folder if _holds_results(folder) and not present.exists() else present

    def write_iteration(
        self,
        iteration: int,
        frames: Frames,
        files: Mapping[str, bytes | Path] | None = None,
        written: Mapping[str, bytes | Path] | None = None,
        *,
        target: str,
    ) -> Path:
        """Store a finished iteration, whole or not at all, and return its folder.

        Args:
            iteration: From 1; 0 is the warm-up: kept, but in no frame.
            frames: What was measured.
            files: Raw files by name: their content, or the path of a file to copy.
            written: What a script of the user's own wrote, by any name: in a folder of its own.
            target: The name of the target that was measured.

        Raises:
            StoreError: It is stored already, or the disk is full.
        """
        final = self.iteration_path(iteration, target=target)
        self._check_there()
        # A rename needs one disk: a run that is a link may be on another than the store.
        staging = self.path.resolve() / STAGING if self.path.is_symlink() else self.staging
        with staged(staging, final, within=self.path) as beside:
            for name, frame in _frames(frames):
                # Named apart, so that other readers' runs/**/requests.parquet takes no warm-up.
                file = beside / f"{'' if iteration else 'warmup_'}{name}.parquet"
                file.write_bytes(parquet.packed(frame))
            for name, content in (files or {}).items():
                _write_raw(beside / plain_name(name), content)
            for name, content in (written or {}).items():
                (beside / WRITTEN).mkdir(exist_ok=True)
                _write_raw(beside / WRITTEN / safe_name(name), content)
        return final

    def parts(self) -> Iterator[Path]:
        """The folders of all finished iterations (and targets), in order.

        Raises:
            StoreError: The run is not there any more.
        """
        self._check_there()
        for iteration in self.iterations():
            yield from _parts(self.path / f"iteration={iteration}")

    def named_parts(self) -> Iterator[tuple[int, str, Path]]:
        """The same with the iteration's number and the target's name."""
        targets = manifest.head_of(self.read())[0].targets or []
        # A folder's name is escaped, and a long one is cut.
        names = {safe_name(name): name for name in targets}
        for part in self.parts():
            keys = dict(key.split("=", 1) for key in part.relative_to(self.path).parts)
            folder = keys.get("target")
            only = next(iter(targets), "")  # format 1 did not say it
            target = only if folder is None else names.get(folder, unquote(folder))
            yield int(keys["iteration"]), target, part

    def iterations(self) -> list[int]:
        """The numbers of the finished iterations."""
        found = self.path.glob("iteration=*")
        names = {path.name.removeprefix("iteration="): path for path in found}
        # A writer that was killed may have left an iteration's folder, with nothing in it yet.
        return sorted(int(n) for n, path in names.items() if _NUMBER.fullmatch(n) and _parts(path))

    def finished(self, targets: Sequence[str]) -> list[int]:
        """The numbers of the iterations that all of these targets have finished."""
        return [
            number
            for number in self.iterations()
            if all(self.iteration_path(number, target=name).is_dir() for name in targets)
        ]

    def frame(self, name: str) -> pl.DataFrame:
        """Read one frame of all finished iterations: ``"requests"``.

        Columns that an older format did not have are null.

        Raises:
            StoreError: A file is damaged, was written by a newer dfaas_lab, or the run is not there
                any more.
        """
        return parquet.read(self._files(name), getattr(schemas, name.upper()))

    def whole_files(self, name: str) -> list[Path]:
        """The Parquet files of one frame, made sure that they can be scanned.

        Raises:
            StoreError: A file is damaged, was written by a newer dfaas_lab, or the run is not there
                any more.
        """
        files = self._files(name)
        for file in files:
            parquet.check(file, getattr(schemas, name.upper()))
        return files

    def _files(self, name: str) -> list[Path]:
        self.read()  # one of a newer format is refused
        files = (part / f"{name}.parquet" for part in self.parts())
        return [file for file in files if file.is_file()]


def _parts(iteration: Path) -> list[Path]:
    """The folders below that of an iteration that hold results, in order; in format 1 itself."""
    found = [iteration, *(part for level in _LEVELS for part in iteration.glob(level))]
    return sorted(part for part in found if _holds_results(part))


def _holds_results(folder: Path) -> bool:
    return any((folder / f"{kind}summary.parquet").is_file() for kind in ("", "warmup_"))


def _frames(frames: Frames) -> Iterator[tuple[str, pl.DataFrame]]:
    for name in FRAMES:
        frame: pl.DataFrame = getattr(frames, name)
        if name in _ALWAYS or not frame.is_empty():
            yield name, frame


def _write_raw(path: Path, content: bytes | Path) -> None:
    if isinstance(content, Path):
        shutil.copyfile(content, path)
    else:
        path.write_bytes(content)


def plain_name(name: str) -> str:
    """Return a file's name if it is one that archives and other systems take."""
    if not PLAIN_NAME.fullmatch(name):
        raise StoreError(f"{name!r} is no plain file name", path=name)
    return name
