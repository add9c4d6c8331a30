"""How long the imports take that a notebook begins with, above a bare interpreter."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import pytest

ROUNDS = 9


def _seconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


@pytest.mark.parametrize(
    ("code", "most"),
    [
        ("import dfaas_lab", 4.0),
        ("from dfaas_lab import Generator, Target, Function", 16.0),
    ],
)
def test_imports_cost_little(code: str, most: float) -> None:
    _seconds(code)  # the bytecode is written once
    # Turn about, so that a busy moment meets both.
    pairs = [(_seconds("pass"), _seconds(code)) for _ in range(ROUNDS)]
    added_ms = statistics.median(there - bare for bare, there in pairs) * 1000
    ratio = statistics.median(there / bare for bare, there in pairs)
    print(f"\n{code}: {added_ms:.0f} ms above a bare interpreter, {ratio:.1f} times as long")
    assert ratio <= most
