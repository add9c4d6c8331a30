"""One execution of a function: a process with the body on stdin, the answer on stdout.

As OpenFaaS's classic watchdog does it. Nothing is known of HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dfaas_lab.local import processes


class End(Enum):
    """How an execution came to its end."""

    EXITED = "exited"
    TIMED_OUT = "timed out"
    ABANDONED = "abandoned"


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What an execution gave."""

    end: End
    exit_code: int
    output: bytes
    error: bytes
    duration_s: float


@dataclass
class Usage:
    """What the executions of a function take of the machine."""

    cpu_s: float = 0.0
    running: set[int] = field(default_factory=set)

    def add(self, cpu_s: float) -> None:
        """Count the CPU time of an execution that has ended."""
        self.cpu_s += cpu_s

    def memory_bytes(self) -> int:
        """What the processes hold that run now (their resident sets)."""
        return sum(map(processes.resident_bytes, self.running))


async def execute(
    command: Sequence[str],
    body: bytes,
    *,
    env: Mapping[bytes, bytes],
    timeout_s: float,
    gone: Coroutine[Any, Any, None],
    usage: Usage | None = None,
) -> Execution:
    """Run a command once, and kill it at its time limit or when nobody waits for it any more.

    The three streams are memory files: any size passes with no work for the event loop while the
    process runs, which halves the gateway's own time (0.9 ms in all for ``cat``). How much may be
    written is limited by RLIMIT_FSIZE. ``gone`` is done when the client has left.

    Raises:
        OSError: It cannot be started.
    """
    started = time.perf_counter()
    with _files(3) as (stdin, stdout, stderr):
        _fill(stdin, body)
        pid = processes.spawn(list(command), env=env, stdin=stdin, stdout=stdout, stderr=stderr)
        usage = usage or Usage()
        usage.running.add(pid)
        try:
            end, exit_code = await _wait(pid, timeout_s, gone, usage)
        finally:
            usage.running.discard(pid)
        return Execution(
            end=end,
            exit_code=exit_code,
            output=_content(stdout),
            error=_content(stderr),
            duration_s=time.perf_counter() - started,
        )


async def _wait(
    pid: int, timeout_s: float, gone: Coroutine[Any, Any, None], usage: Usage
) -> tuple[End, int]:
    loop = asyncio.get_running_loop()
    exited: asyncio.Future[int] = loop.create_future()
    processes.on_exit(loop, pid, exited.set_result, usage.add)
    left = loop.create_task(gone)
    try:
        both: set[asyncio.Future[Any]] = {exited, left}
        await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if exited.done():
            return End.EXITED, exited.result()
        end = End.ABANDONED if left.done() else End.TIMED_OUT
        processes.kill_group(pid)
        return end, await exited
    finally:
        left.cancel()
        if not exited.done():  # this task is cancelled
            processes.kill_group(pid)


def _fill(descriptor: int, body: bytes) -> None:
    rest = memoryview(body)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.lseek(descriptor, 0, os.SEEK_SET)


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


@contextlib.contextmanager
def _files(count: int) -> Iterator[list[int]]:
    descriptors = [os.memfd_create("dfaas-lab") for _ in range(count)]
    try:
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
