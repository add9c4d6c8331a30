"""Starts Prometheus or node exporter for the embedded lab.

The task (JSON on stdin) says which program and what is scraped. Each gateway has a Prometheus, so
each target has its own view; node exporter tells of this machine, which they share.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dfaas_lab.local import child, processes

_READY_S = 10.0
_HOST = "127.0.0.1"


def exporter_task(program: str) -> dict[str, Any]:
    """What a node exporter is told."""
    arguments = ["--collector.disable-defaults", "--log.level=warn"]
    arguments += [f"--collector.{name}" for name in ("cpu", "meminfo", "stat", "loadavg")]
    return {"program": program, "arguments": arguments, "port": 0}


def prometheus_task(
    program: str, name: str, scraped: dict[str, int], interval_s: float
) -> dict[str, Any]:
    """What a Prometheus is told."""
    every = f"{interval_s:g}s"
    config = {
        "global": {"scrape_interval": every, "scrape_timeout": every},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"{_HOST}:{port}"]}]}
            for job, port in scraped.items()
        ],
    }
    return {
        "program": program,
        "arguments": ["--log.level=warn"],
        "folder": f"prometheus-{name}",
        "config": config,
        "port": 0,
    }


def are_ready(ports: Iterable[int]) -> bool:
    """Wait until all these Prometheus answer that they are ready; False where one does not."""
    until = time.monotonic() + _READY_S
    for port in ports:
        while not _is_ready(port):
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
    return True


def _is_ready(port: int) -> bool:
    try:
        with socket.create_connection((_HOST, port), timeout=1.0) as link:
            link.sendall(b"GET /-/ready HTTP/1.0\r\n\r\n")
            return b" 200 " in link.recv(64)
    except OSError:
        return False


def _free_port() -> int:
    with socket.create_server((_HOST, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _command(task: dict[str, Any], directory: Path, port: int) -> list[str]:
    command = [task["program"], *task["arguments"], f"--web.listen-address={_HOST}:{port}"]
    if "folder" in task:
        folder = directory / task["folder"]
        folder.mkdir(mode=0o700, exist_ok=True)
        config = folder / "prometheus.yml"
        config.write_text(json.dumps(task["config"]), encoding="utf-8")  # JSON is YAML, too
        command += [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    return command


def main() -> None:
    """Become the program, which ends when the process manager dies."""
    task = child.task()
    directory, manager = Path(task["directory"]), task["manager"]
    port = task["port"] or _free_port()
    command = _command(task, directory, port)
    os.chdir(directory)
    processes.signal_at_parents_death(signal.SIGKILL)  # it stays across the exec
    if os.getppid() != manager:
        return
    child.announce(port=port)
    os.execve(command[0], command, {**os.environ, "GOMAXPROCS": "1"})  # noqa: S606 (no shell is meant)


if __name__ == "__main__":
    main()
