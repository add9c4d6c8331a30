"""One run as one file, to be sent to others; opened without trusting what is inside."""

from __future__ import annotations

from pathlib import Path

from dfaas_lab.store.folder import RunFolder


def save(folder: RunFolder, path: str | Path) -> Path:
    """Write a run into one zip file."""
    raise NotImplementedError


def open_archive(path: str | Path) -> RunFolder:
    """Open an archive."""
    raise NotImplementedError
