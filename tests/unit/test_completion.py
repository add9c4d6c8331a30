"""The names of functions complete where a load is typed, and nowhere else."""

from __future__ import annotations

import time

import pytest

from dfaas_lab import Function, Generator, Lab, Target
from dfaas_lab.completion import names_for

GENERATOR = Generator("127.0.0.1")
NEAR = Target("near", gateway="http://h", generator=GENERATOR, functions=[Function("figlet")])
FAR = Target(
    "far", gateway="http://h", generator=GENERATOR, functions=[Function("env"), Function("echo")]
)
NAMESPACE = {"near": NEAR, "far": FAR, "lab": Lab([NEAR, FAR]), "x": 3}


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("near.run_k6(load={'", ["figlet"]),
        ("far.run_k6(3, load = {\n  'env': 5,\n  'e", ["env", "echo"]),
        ("run = lab.targets['far'].start_k6(duration='3s', load={\"", ["figlet", "env", "echo"]),
        ("far.run_k6(limits=Limits(lease='9s'), load={'en", ["env"]),
        ("lab.run_k6(thresholds={'", ["figlet", "env", "echo"]),
        ("far.preview({'", ["env", "echo"]),
        ("f(x).run_k6(load={'fig", ["figlet"]),  # no variable: all that there are
    ],
)
def test_names_complete(code: str, names: list[str]) -> None:
    found = names_for(code, NAMESPACE)
    assert found is not None
    assert found[2] == names


@pytest.mark.parametrize(
    "code",
    ["open('", "print({'", "near.run_k6(label='", "near.run_k6(load={'env': '", "d = {'", ""],
)
def test_nothing_else_is_completed_here(code: str) -> None:
    assert names_for(code, NAMESPACE) is None


@pytest.mark.parametrize("code", ["a." * 5000, "a.run_k6(" * 500, "x.run_k6(" + "()" * 3000])
def test_it_is_quick_whatever_is_in_the_cell(code: str) -> None:
    began = time.process_time()
    names_for(code, NAMESPACE)
    assert time.process_time() - began < 1
