"""Parses the output of k6 and of its supervisor into events. It fetches nothing."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from dfaas_lab.redaction import masked

LINE_LIMIT = 64 * 1024
"""Bytes of a line that are kept; a script may log a whole body in one line."""

_KEPT_LINES = 200
_KEPT_WIDTH = 2000  # characters of a line in the tail, which ends up in an error's text


@dataclass(frozen=True)
class LogLine:
    """A line that somebody should read: neither progress nor banner."""

    text: str


@dataclass(frozen=True)
class Elapsed:
    """k6's own count, once a second.

    Attributes:
        seconds: Time since the load began.
        complete: k6 iterations that ended.
    """

    seconds: float
    complete: int


@dataclass(frozen=True)
class Stopping:
    """Somebody on our side asked k6 to end, and why."""

    reason: str


@dataclass(frozen=True)
class End:
    """How an iteration ended on the generator; nothing of it follows.

    Attributes:
        exit_code: As the shell reports it; None where nobody is left who could have said it.
        reason: Why it was asked to end; None where it was not.
        killed: Whether it did not end in time when it was asked.
        log_tail: The last lines of k6's log.
        reached: False where the generator could not be asked.
        skipped: Whether an iteration before it failed.
        disk_full: Whether its disk had no room left, and samples are missing.
    """

    exit_code: int | None
    reason: str | None = None
    killed: bool = False
    log_tail: str = ""
    reached: bool = True
    skipped: bool = False
    disk_full: bool = False


Event = LogLine | Elapsed | Stopping | End

# Before the load begins there is no time in it: "running, 0/7 VUs, ...". Numbers have a bound: more
# digits are none of k6's.
_COUNT = r"\d{1,15}"
_RUNNING = re.compile(
    rf"(?:running|paused)(?: \((?P<time>[\dhdms.]{{1,40}})\))?, {_COUNT}/{_COUNT} VUs, "
    rf"(?P<complete>{_COUNT}) complete and {_COUNT} interrupted iterations",
    re.ASCII,
)
_TIME = re.compile(
    rf"(?:({_COUNT})d)?(?:({_COUNT})h)?(?:({_COUNT})m)?({_COUNT}(?:\.\d{{1,15}})?)s", re.ASCII
)
_NOISE = re.compile(
    r"""
      [ ]{5,} (?:execution|script|output|scenarios|web[ ]dashboard):[ ].*
    | [ ]{14} \*[ ] [\w-]+ :[ ].*                                 # one scenario of the list
    | [\w.…-]+ [ ]+ (?:[^\w\s][ ])? \[[ ]{1,3} \d{1,3} %[ ]\] (?:[ ].*)?  # its bar
    """,
    re.VERBOSE,
)
_PICTURE = "/\\_|()‾"
# Lines of k6's banner are short; a longer one is somebody's, and no pattern is tried on it.
_LONGEST_NOISE = 2000


def _is_noise(line: str) -> bool:
    """Whether a line is of k6's banner: its picture, an empty line, the plan, a progress bar."""
    if len(line) > _LONGEST_NOISE:
        return False
    left = "".join(line.split()).strip(_PICTURE)
    return left in ("", "Grafana", ".io") or _NOISE.fullmatch(line) is not None


class K6Output:
    r"""The lines of one iteration, from chunks that end anywhere.

    Args:
        id: The name that the supervisor signs its own lines with; a line signed with another is
            only a line of the log.
        hide: What takes from a line what may be secret.

    Example:
        >>> output = K6Output("a1")
        >>> output.feed(b"running (0m05.0s), 010/010 VUs, 50 complete and 0 interrupted it")
        []
        >>> output.feed(b"erations\n@a1 ended 105 interrupt - -\n")[-1].reason
        'interrupt'
    """

    def __init__(
        self,
        id: str,  # noqa: A002 - the name that the files on the generator use
        hide: Callable[[str], str] = masked,
    ) -> None:
        self._hide = hide
        name = re.escape(id)
        self._ended = re.compile(rf"@{name} ended (\d{{1,3}})(?: (\S+) (\S+) (\S+))?", re.ASCII)
        self._stopping = re.compile(rf"@{name} stopping (\S+)")
        self._line = bytearray()
        self._log: deque[str] = deque(maxlen=_KEPT_LINES)
        self.offset = 0
        """Bytes fed until now: where to go on after a lost connection."""

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes; return the events of the lines that they complete."""
        self.offset += len(chunk)
        *ends, rest = chunk.split(b"\n")
        events = []
        for end in ends:
            self._extend(end)
            # Decoded only when whole: a character may be split between two chunks.
            text = self._line.decode("utf-8", errors="replace").removesuffix("\r")
            event = self._read(self._hide(text))  # k6 logs the URLs of requests that fail
            self._line.clear()
            if event is not None:
                events.append(event)
        self._extend(rest)
        return events

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of the log, long ones cut, without progress and banner."""
        return "\n".join(list(self._log)[-lines:] if lines > 0 else [])

    def _extend(self, part: bytes) -> None:
        self._line += part[: LINE_LIMIT - len(self._line)]

    def _read(self, line: str) -> Event | None:
        if found := self._ended.fullmatch(line):
            reason = None if found[2] in (None, "-") else found[2]
            return End(int(found[1]), reason, found[3] == "killed", disk_full=found[4] == "full")
        if found := self._stopping.fullmatch(line):
            return Stopping(found[1])
        if found := _RUNNING.fullmatch(line):
            return _elapsed(found)
        if _is_noise(line):
            return None
        self._log.append(line[:_KEPT_WIDTH])
        return LogLine(line)


def _elapsed(found: re.Match[str]) -> Elapsed | None:
    time = _TIME.fullmatch(found["time"] or "")
    if time is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in time.groups())
    whole_s = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return Elapsed(whole_s, int(found["complete"]))
