"""A name that is wrong: the nearest right one is told, in an error of ours and of Python's."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path

import pytest

from dfaas_lab import Function, Generator, Lab, Plan, Target, names
from dfaas_lab.errors import ConfigError


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    target = Target(
        "node1",
        gateway="http://127.0.0.1:9",
        generator=Generator("127.0.0.1", name="big"),
        functions=[Function("figlet")],
    )
    return Lab([target], store=tmp_path)


def test_the_examples_are_true() -> None:
    assert doctest.testmod(names).failed == 0


@pytest.mark.parametrize("kind", [TypeError, ConfigError])
@pytest.mark.parametrize(
    "method", ["lab.run_k6", "lab.campaign", "target.run_k6", "target.start_k6", "target.preview"]
)
def test_an_option_that_does_not_exist(lab: Lab, kind: type[Exception], method: str) -> None:
    owner, _, name = method.partition(".")
    call = getattr(lab if owner == "lab" else lab.target, name)
    with pytest.raises(kind, match="did you mean 'duration'"):
        call(duraton="3s")


def test_the_same_of_a_comparison_of_a_plan_and_of_thresholds(lab: Lab) -> None:
    sides = {"a": lab.target, "b": lab.target}
    with pytest.raises(TypeError, match="did you mean 'duration'"):
        lab.run_interleaved(sides, duraton="3s")
    with pytest.raises(ConfigError, match=r"no function figlt.*did you mean 'figlet'"):
        lab.campaign(Plan(["figlt"], [1]))
    with pytest.raises(ConfigError, match="no target nod1; did you mean 'node1'"):
        lab.campaign(Plan(["figlet"], [1]), targets="nod1")
    for options in ({"load": {"figlt": 1}}, {"thresholds": {"figlt": "p(95)<9"}}):
        with pytest.raises(ConfigError, match="did you mean 'figlet'"):
            lab.run_k6(**options)


def test_a_target_that_does_not_exist(lab: Lab) -> None:
    with pytest.raises(KeyError, match="no target 'nod1'; did you mean 'node1'"):
        lab.targets["nod1"]
    with pytest.raises(ConfigError, match="no generator 'bgi'; did you mean 'big'"):
        lab.generators["bgi"]
    assert "nod1" not in lab.targets
    assert lab.targets.get("nod1") is None


def test_options_are_still_in_the_signature(lab: Lab) -> None:
    assert "duration" in inspect.signature(lab.target.run_k6).parameters


def test_cards_hold_no_markup_of_a_users(lab: Lab) -> None:
    for one in (lab, lab.target, lab.generator):
        assert "<b>" in one._repr_html_()  # type: ignore[attr-defined]
    evil = Target("<i>x", gateway="http://h", generator=lab.generator, functions=[Function("f")])
    assert "<i>" not in evil._repr_html_()


def test_an_interrupt_while_a_class_is_made_stays_one() -> None:
    class Interrupting:
        def __set_name__(self, *_: object) -> None:
            raise KeyboardInterrupt

    @names.known_options
    def run_k6() -> None:
        type("Imported", (), {"field": Interrupting()})

    with pytest.raises(KeyboardInterrupt):
        run_k6()
