"""A real Prometheus for tests: Debian's binary, fetched without root into a cache of the user's."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dfaas_lab.local import binaries

SCRAPE_INTERVAL_S = 0.5


def binary() -> Path:
    """Return the path of ``prometheus``; skip the test, with the reason, where there is none."""
    found = binaries.find()
    if found is None:
        pytest.skip("no prometheus here, and none could be fetched")
    return Path(found.prometheus)


@contextlib.contextmanager
def running(folder: Path, *metrics: str) -> Iterator[str]:
    """Run a Prometheus on loopback that scrapes these ``host:port``; yields its URL."""
    config = folder / "prometheus.yml"
    targets = ", ".join(f"'{address}'" for address in metrics)
    config.write_text(
        f"global: {{scrape_interval: {SCRAPE_INTERVAL_S * 1000:g}ms}}\n"
        f"scrape_configs: [{{job_name: gateway, static_configs: [{{targets: [{targets}]}}]}}]\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                str(binary()),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        wait_ready(f"http://{address}", process, folder / "log")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)


def wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"prometheus did not start:\n{log.read_text()[-2000:]}")
