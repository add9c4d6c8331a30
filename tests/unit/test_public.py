"""What the package offers: every public name is there, and importing it loads nothing heavy."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import dfaas_lab
from dfaas_lab import Function, Generator, Lab, Target

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


def _shown(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_under_tab_is_what_the_documentation_explains(tmp_path: Path) -> None:
    """Nothing of the engine: what it needs of these objects has a leading underscore."""
    generator = Generator("10.0.0.50")
    functions = [Function("env")]
    target = Target("mid", gateway="http://h", generator=generator, functions=functions)
    lab = Lab([target], store=tmp_path)
    assert _shown(generator) == {"host", "name", "workspace_root", "provision", "check", "close"}
    arguments = set(inspect.signature(Target).parameters) - {"auth"}
    methods = {"run_k6", "start_k6", "preview", "deployed", "deploy", "metrics", "last_run"}
    assert _shown(target) == arguments | methods
    assert {
        "generator", "generators", "target", "targets", "provision", "check", "run_k6", "campaign",
        "attach", "teardown", "store", "close", "local", "from_file",
    } <= _shown(lab)  # fmt: skip
    assert not _shown(lab) & {"prepare", "look_at", "handles", "root"}


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Target, {"name", "gateway", "generator", "functions", "last_run"}),
        (Generator, {"host", "name", "workspace_root"}),
        (Lab, {"targets"}),
    ],
)
def test_attributes_are_annotated_where_tools_look(kind: type, names: set[str]) -> None:
    assert names <= set(kind.__annotations__)
