"""What the embedded lab costs: its start, a command, a request."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import fabric
import httpx
import paramiko
import psutil
import pytest

from dfaas_lab.local import LocalLab, start


@pytest.fixture(scope="module")
def local_lab() -> Iterator[LocalLab]:
    with start() as lab:
        yield lab


def median_ms(work: Callable[[], object], times: int) -> float:
    def once() -> float:
        started = time.perf_counter()
        work()
        return (time.perf_counter() - started) * 1e3

    return statistics.median(once() for _ in range(times))


def cycle() -> None:
    with start():
        pass


def execute(transport: paramiko.Transport) -> None:
    with transport.open_session() as channel:
        channel.exec_command("true")
        assert channel.recv_exit_status() == 0


def test_start_and_end() -> None:
    print(f"\nlab: start and end {median_ms(cycle, 5):.0f} ms")


def test_commands(local_lab: LocalLab) -> None:
    keys = {"key_filename": str(local_lab.ssh.key), "look_for_keys": False, "allow_agent": False}
    where = {"port": local_lab.ssh.port, "user": local_lab.ssh.user, "connect_kwargs": keys}
    with fabric.Connection(local_lab.ssh.host, **where) as connection:
        connection.open()
        connection.transport.sock.setsockopt(6, 1, 1)
        print(f"\nssh: a command {median_ms(lambda: execute(connection.transport), 50):.1f} ms")


def test_requests(local_lab: LocalLab) -> None:
    gateway = local_lab.gateways[0]
    process = next(
        child
        for child in psutil.Process(local_lab.manager_pid).children()
        if "dfaas_lab.local.gateway" in child.cmdline()
    )
    with httpx.Client(base_url=gateway.url) as client, ThreadPoolExecutor(4) as pool:
        for name in ("echo", "env", "figlet", "sha512sum", "primes"):
            alone_ms = median_ms(lambda name=name: client.get(f"/function/{name}"), 20)
            print(f"\ngateway: {name} {alone_ms:.1f} ms", end="")
        before, started = process.cpu_times(), time.perf_counter()
        codes = set(pool.map(lambda _: client.get("/function/echo").status_code, range(1000)))
        wall_s, after = time.perf_counter() - started, process.cpu_times()
    own_ms = after.user + after.system - before.user - before.system
    print(f"\ngateway: echo {1000 / wall_s:.0f} requests/s, {own_ms:.2f} ms of CPU each, {codes}")
