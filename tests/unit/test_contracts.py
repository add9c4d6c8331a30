"""The contracts of import-linter name every module, so that a new one is under them, too."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
FORBIDDEN = [one for one in CONTRACTS["contracts"] if one["type"] == "forbidden"]
# Who may import what a contract forbids to all others.
ALLOWED = {
    "Only provision imports ansible_runner": {"provision"},
    "Only remote imports Fabric": {"remote"},
    "The embedded lab is imported only by the lab and the command": {
        "cli",
        "lab",
        "labs",
        "local",
        "machine",
    },
}


@pytest.mark.parametrize("contract", FORBIDDEN, ids=lambda contract: contract["name"])
def test_every_module_is_under_it(contract: dict[str, list[str]]) -> None:
    package = ROOT / "dfaas_lab"
    modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
    modules |= {path.parent.name for path in package.glob("*/__init__.py")}
    named = {name.split(".")[1] for name in contract["source_modules"]}
    assert modules - named <= ALLOWED[str(contract["name"])]
