"""``dfaas-lab serve``: the embedded lab in the foreground, for other processes to use.

The command line itself is :mod:`dfaas_lab.cli`; here is what it does.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from dfaas_lab.errors import ConfigError
from dfaas_lab.local.local_lab import start
from dfaas_lab.store.files import beside

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(path: Path | None = None, *, targets: int = 1) -> None:
    """Run an embedded lab until Ctrl-C or SIGTERM.

    What ``Lab.from_file`` needs is written as JSON, which is also YAML: to a file that only the
    user can read, or to stdout. It appears at once and whole, when the lab serves. The file is
    removed at the end.

    Args:
        path: The file to write; None prints it.
        targets: How many gateways.

    Raises:
        ConfigError: The file cannot be written; no lab was started.
    """
    if path is not None:
        _try(path)
    with _until_a_signal(), start(targets) as lab:
        text = json.dumps(lab.facts(), indent=2) + "\n"
        try:
            if path is None:
                print(text, end="", flush=True)  # noqa: T201 - it is what was asked for
            else:
                _write(path, text)
            while True:
                signal.pause()
        finally:
            if path is not None:
                path.unlink(missing_ok=True)


def _try(path: Path) -> None:
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ConfigError(
            f"the lab file {path} cannot be written: {error.strerror or error}",
            hint="Name a file in a folder that is there: --write FILE.",
        ) from error


def _write(path: Path, text: str) -> None:
    with beside(path) as part:
        part.touch(mode=0o600)
        part.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _until_a_signal() -> Iterator[None]:
    """End the block in order at a signal that asks for it; handlers are as before afterwards."""

    def enough(_number: int, _frame: FrameType | None) -> None:
        raise _EnoughError

    before = {number: signal.signal(number, enough) for number in _ENDS}
    try:
        with contextlib.suppress(_EnoughError):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _EnoughError(Exception):
    pass
