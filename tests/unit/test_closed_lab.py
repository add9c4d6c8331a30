"""A closed lab says so, whatever is asked of it, of its targets and of its generators."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dfaas_lab import ConfigError, Function, Generator, Lab, Plan, Target

NOW = datetime.now(UTC)
ASKED: dict[str, Callable[[Lab], Any]] = {
    "lab.provision": lambda lab: lab.provision(progress=False),
    "lab.check": lambda lab: lab.check(),
    "lab.run_k6": lambda lab: lab.run_k6(progress=False),
    "lab.campaign": lambda lab: lab.campaign(Plan(["env"], [1])),
    "lab.run_interleaved": lambda lab: lab.run_interleaved({"a": lab.target, "b": lab.target}),
    "lab.attach": lambda lab: lab.attach("20260101"),
    "lab.teardown": lambda lab: lab.teardown(progress=False),
    "target.run_k6": lambda lab: lab.target.run_k6(progress=False),
    "target.start_k6": lambda lab: lab.target.start_k6(),
    "target.deployed": lambda lab: lab.target.deployed(),
    "target.deploy": lambda lab: lab.target.deploy(),
    "target.metrics": lambda lab: lab.target.metrics(NOW, NOW),
    "generator.provision": lambda lab: lab.generator.provision(progress=False),
    "generator.check": lambda lab: lab.generator.check(),
}


def made(store: Path) -> Lab:
    generator = Generator("192.0.2.1", user="nobody")  # TEST-NET-1: nothing is there
    functions = [Function("env", image="example.org/env")]
    target = Target(
        "node1", gateway="http://192.0.2.2", generator=generator, functions=functions,
        prometheus="http://192.0.2.2:9090",
    )  # fmt: skip
    return Lab([target], store=store)


@pytest.mark.parametrize("name", ASKED)
def test_a_closed_lab_says_so_at_once(name: str, tmp_path: Path) -> None:
    lab = made(tmp_path)
    lab.close()
    with pytest.raises(ConfigError, match=r"this lab is closed\nOpen another: Lab\("):
        ASKED[name](lab)


def test_every_method_that_reaches_out_is_asked_here() -> None:
    quiet = {"lab.local", "lab.from_file", "lab.campaigns", "target.preview"}
    quiet |= {"lab.close", "generator.close"}
    every = {
        f"{kind.__name__.lower()}.{name}"
        for kind in (Lab, Target, Generator)
        for name in vars(kind)
        if not name.startswith("_") and callable(getattr(kind, name))
    }
    assert every - quiet == set(ASKED)


def test_what_reaches_out_to_nobody_still_works(tmp_path: Path) -> None:
    lab = made(tmp_path)
    lab.close()
    lab.close()
    assert lab.store.runs().is_empty()
    assert lab.campaigns().is_empty()
    assert "node1" in repr(lab)
    assert ">closed</b>" in (lab._repr_html_() or "")
    assert ">closed</b>" not in (made(tmp_path)._repr_html_() or "")
    assert lab.target.preview(5, "1s").requests == 5


def test_targets_of_a_closed_lab_can_be_in_another(tmp_path: Path) -> None:
    lab = made(tmp_path)
    lab.close()
    again = Lab(lab.targets.values(), store=tmp_path)
    assert len(again.campaign(Plan(["env"], [1])).plan) == 1
    assert again.target._session.name == "node1"
    with pytest.raises(ConfigError, match="this lab is closed"):
        lab.check()


def test_what_another_open_lab_has_stays_open(tmp_path: Path) -> None:
    lab = made(tmp_path)
    other = Lab(lab.targets.values(), store=tmp_path)
    lab.close()
    assert other.target._session.name == "node1"
    other.close()
    with pytest.raises(ConfigError, match="this lab is closed"):
        _ = other.target._session
