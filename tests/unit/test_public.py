"""What the package offers: every public name is there, and importing it loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import dfaas_lab

HEAVY = (
    "altair",
    "ansible_runner",
    "fabric",
    "paramiko",
    "ipywidgets",
    "polars",
    "httpx",
    "asyncssh",
)


@pytest.mark.parametrize("name", dfaas_lab.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(dfaas_lab, name) is not None


def test_no_other_name_is_there() -> None:
    with pytest.raises(AttributeError, match="nobody"):
        _ = dfaas_lab.nobody


@pytest.mark.parametrize(
    "code", ["import dfaas_lab", "from dfaas_lab import Function, Generator, Host, Limits, Target"]
)
def test_importing_it_loads_nothing_heavy(code: str) -> None:
    told = f"import sys; {code}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
