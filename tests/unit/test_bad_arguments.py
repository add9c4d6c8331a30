"""Every argument of the public API refuses what it cannot be, in words.

Each argument gets values of all kinds: it takes them, or raises an error of ours.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dfaas_lab import (
    Cooldown,
    Custom,
    DfaasLabError,
    Exponential,
    Function,
    Generator,
    Host,
    Lab,
    Limits,
    Linear,
    Overload,
    Plan,
    Random,
    Run,
    Target,
)

JUNK: tuple[object, ...] = (
    None, 0, -1, 3.5, math.nan, math.inf, True, 10**30,
    "", "x", "\u00e9\0", "\ud800", "9" * 50, b"x",
    [], ["a"], [None], (1, 2), {}, {"a": 1}, {1: 2}, object(),
    Path("/nope"), dt.timedelta(seconds=-1), dt.timedelta(days=99_999),
)  # fmt: skip


def target(**given: Any) -> Target:
    usual = {
        "name": "node1",
        "gateway": "http://10.0.0.2:8080",
        "generator": Generator("10.0.0.1"),
        "functions": [Function("figlet")],
    }
    return Target(**{**usual, **given})


def options(**given: Any) -> object:
    return target()._spec(given.pop("iterations"), **given)


def campaign(**given: Any) -> object:
    return Lab([target()], store="nowhere").campaign(**given)


def interleaved(**given: Any) -> object:
    return Lab([target()], store="nowhere").run_interleaved(**given)


def named(**defaults: Any) -> dict[str, Any]:
    return defaults


PLAN = Plan(["figlet"], Linear(0, 10, step=10))
CALLS: Mapping[str, tuple[Callable[..., object], dict[str, Any]]] = {
    "Host": (Host, named(address="a", user="u", port=22, key=None, jump=None, known_hosts=None,
        host_keys="strict", connect_timeout=10.0, become=True, become_password=None)),
    "Generator": (Generator, named(host="a", user="u", port=22, key=None, name=None,
        workspace_root="/tmp/x", k6_version=None, k6_source=None)),
    "Target": (target, named(name="t", gateway="http://x", generator=Generator("10.0.0.1"),
        functions=[Function("f")], prometheus=None, auth=None, host=None, ca=None,
        insecure=False)),
    "Function": (Function, named(name="f", method="GET", path="", body=b"", headers={},
        timeout="10s", max_rate=None, image=None, env={}, labels={}, annotations={}, limits={},
        secrets=(), asynchronous=False)),
    "a header": (lambda value: Function("f", headers={"A": value}), named(value="1")),
    "Limits": (Limits, named(timeout=None, lease="60s")),
    "Lab": (Lab, named(targets=[target()], store="results")),
    "Lab.local": (Lab.local, named(targets=-1, functions="no")),
    "Lab.from_file": (Lab.from_file, named(path="/nope")),
    "Run.load": (Run.load, named(path="/nope")),
    "Linear": (Linear, named(min=0, max=10, step=1)),
    "Exponential": (Exponential, named(base=2, min_power=0, max_power=8, max_rate=None)),
    "Random": (Random, named(min=0, max=10, count=3, seed=None)),
    "Custom": (Custom, named(rates=[1])),
    "Plan": (Plan, named(functions=["a"], rates=Linear(0, 10, 1), sizes=(1, 1))),
    "Overload": (Overload, dict.fromkeys(Overload.__dataclass_fields__, 1)),
    "Cooldown": (Cooldown, dict.fromkeys(Cooldown.__dataclass_fields__, 1)),
    "Cooldown.fixed": (Cooldown.fixed, named(wait="1s")),
    "run_k6": (options, named(iterations=1, load=10, duration="3s", limits=None, rest="0s",
        warmup="0s", script=None, env=None, thresholds=None)),
    "a rate": (lambda rate: options(iterations=1, load={"figlet": rate}), named(rate=1)),
    "Lab.campaign": (campaign, named(plan=PLAN, iterations=3, duration="30s", targets=None,
        cooldown=None, overload=None, order="rising", seed=None, label=None)),
    "Lab.run_interleaved": (interleaved, named(sides={"a": None}, blocks=0, seed=None, load=1,
        duration="1s")),
    "a side": (lambda side: interleaved(sides={"a": side}, blocks=0), named(side=None)),
    "a side's options": (lambda given: interleaved(sides={"a": (target(), given)}, blocks=0),
        named(given={})),
}  # fmt: skip
CASES = [(call, argument) for call, (_, defaults) in CALLS.items() for argument in defaults]


@pytest.mark.parametrize(("name", "argument"), CASES)
def test_what_an_argument_cannot_be_is_refused_in_words(name: str, argument: str) -> None:
    call, usual = CALLS[name]
    for value in JUNK:
        if name == "Lab.local" and argument == "targets" and value is True:
            continue  # functions="no" is refused after it
        with suppress(DfaasLabError):
            call(**{**usual, argument: value})
