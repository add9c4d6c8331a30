"""Reads k6's samples on a generator while they grow; a failure here harms no run.

It asks once a second, over a connection that is there, for the part that is new. ``grep`` sends the
few bytes of each request that are shown; nothing else of k6 or its supervisor is touched. Above
6,000 requests a second, what is shown lags behind.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shlex
import threading
import time
from collections.abc import Iterator

from dfaas_lab.k6.live import LiveIteration, Row
from dfaas_lab.remote.process import Process
from dfaas_lab.remote.remote import Remote
from dfaas_lab.remote.workspace import Workspace

log = logging.getLogger("dfaas_lab.k6")

_EVERY_S = 1.0
_MOST_READ = 8 << 20  # bytes of the file in one look: of 6,000 requests
_MOST_SENT = 2 << 20  # bytes of an answer
_LONGEST_LINE = 1 << 16
_PATIENCE_S = 10.0
_WANTED = r"^(http_req_duration|http_req_failed|dropped_iterations|vus),[0-9]+,[0-9.e+-]+,"
_ROW = re.compile(rb"(\d+):(\w+),(\d+),([0-9.e+-]+),")
# renice: what is looked at must never take a processor from k6.
_SCRIPT = f"""exec 2>/dev/null
cd %s || exit
renice -n 10 -p $$ >&2
while read -r from most; do
wc -c <samples.csv
tail -c "+$from" samples.csv | head -c "$most" | grep -boE '{_WANTED}'
echo .
done"""


def script_for(folder: str) -> str:
    """Return the shell's part: it answers each line "FROM MOST" with the samples from there on."""
    return _SCRIPT % shlex.quote(folder)


@contextlib.contextmanager
def reading_live(remote: Remote, workspace: Workspace, iteration: LiveIteration) -> Iterator[None]:
    """Read an iteration's samples meanwhile, to their end; a failure ends it, silently."""
    over = threading.Event()
    work = (remote, workspace, iteration, over)
    threading.Thread(target=_read, args=work, name="dfaas-lab-samples", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _read(
    remote: Remote, workspace: Workspace, iteration: LiveIteration, over: threading.Event
) -> None:
    try:
        if remote.has_free_channel:
            with remote.open(script_for(workspace.path)) as process:
                LiveReader(process, iteration).until(over)
    except Exception:  # whatever it is: nobody waits for what is shown
        log.debug("the samples cannot be read live", exc_info=True)


class LiveReader:
    """Asks a shell in the workspace for what is new in its samples file."""

    def __init__(self, process: Process, iteration: LiveIteration) -> None:
        self._process = process
        self._iteration = iteration
        self._at = 0  # bytes that need not be read again

    def until(self, over: threading.Event) -> None:
        """Ask once a second, and once more when it is over: k6 has written the rest by then."""
        while not over.wait(_EVERY_S):
            self.look()
        self.look()

    def look(self) -> None:
        """Ask once.

        Raises:
            ValueError: There is no answer, or too much of one.
        """
        self._process.send(f"{self._at + 1} {_MOST_READ}\n".encode())
        self._take(self._answer())

    def _answer(self) -> bytes:
        answer = b""
        deadline = time.monotonic() + _PATIENCE_S
        while not answer.endswith(b".\n"):
            part = self._process.receive(timeout=0.5)
            answer += part or b""
            if part == b"" or len(answer) > _MOST_SENT or time.monotonic() > deadline:
                raise ValueError("no answer, or too much of one")
        return answer

    def _take(self, answer: bytes) -> None:
        """Count the rows, and go on behind the last one: the file may end within a line."""
        size, _, found = answer.partition(b"\n")
        read = min(int(size) - self._at, _MOST_READ) if size.isdigit() else 0  # no file yet
        end = max(read - _LONGEST_LINE, 0)
        rows: list[Row] = []
        for row in _ROW.finditer(found):
            rows.append((row[2].decode(), int(row[3]), float(row[4])))
            end = int(row[1]) + len(row[0]) - len(row[1]) - 1
        self._at += end
        self._iteration.add(rows)
