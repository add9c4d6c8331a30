"""What the package offers: every public name is there, and importing it loads nothing heavy."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import dfaas_lab
from dfaas_lab import Function, Generator, Lab, Run, Target

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


_OF_TARGET = {"run_k6", "start_k6", "preview", "deployed", "deploy", "metrics", "last_run"}
_OF_LAB = {
    "targets", "target", "generators", "generator", "store", "local", "from_file", "provision",
    "check", "run_k6", "run_interleaved", "campaign", "campaigns", "attach", "teardown", "close",
}  # fmt: skip
_OF_RUN = {
    "id", "label", "status", "path", "load", "save", "chart", "verdict", "provenance", "reproduce",
    "summary", "requests", "timeline", "metrics", "node_metrics", "k6_metrics", "files", "bounds",
    "statistics", "error_budget", "stability",
}  # fmt: skip


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    generator = Generator("10.0.0.50")
    target = Target("mid", gateway="http://h", generator=generator, functions=[Function("env")])
    return Lab([target], store=tmp_path)


def test_under_tab_is_what_the_documentation_explains(lab: Lab) -> None:
    """Nothing of the engine: what it needs of these objects has a leading underscore."""
    arguments = set(inspect.signature(Target).parameters) - {"auth"}
    assert _shown(lab.generator) == {
        "host", "name", "workspace_root", "provision", "check", "close",
    }  # fmt: skip
    assert _shown(lab.target) == arguments | _OF_TARGET
    assert _shown(lab) == _OF_LAB
    assert _shown(Run(lab.store.create_run("1"))) == _OF_RUN


def test_attributes_are_annotated_where_tools_look(lab: Lab) -> None:
    for thing in (lab, lab.target, lab.generator, Run(lab.store.create_run("1"))):
        attributes = {name for name in vars(thing) if not name.startswith("_")}
        assert attributes == set(inspect.get_annotations(type(thing)))


@pytest.mark.parametrize("kind", [Generator, Target, Lab, Run])
def test_whatever_else_is_shown_says_what_it_is(kind: type) -> None:
    assert [name for name in _shown(kind) if not inspect.getdoc(getattr(kind, name))] == []
