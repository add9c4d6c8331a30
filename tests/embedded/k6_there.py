"""Finds the k6 that run in a generator's workspaces, by where they are."""

from __future__ import annotations

import time

import psutil


def k6_there(workspace_root: str) -> list[psutil.Process]:
    """Return the k6 processes whose working directory is a workspace below that root."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == "k6" and process.cwd().startswith(f"{workspace_root}/"):
                found.append(process)
        except psutil.Error:
            continue  # it has just ended
    return found


def wait_for_k6(workspace_root: str, count: int, within_s: float = 30.0) -> list[psutil.Process]:
    """Wait until so many run, and return them."""
    until = time.monotonic() + within_s
    while len(found := k6_there(workspace_root)) != count:
        assert time.monotonic() < until, f"{len(found)} k6 run, not {count}"
        time.sleep(0.05)
    return found
