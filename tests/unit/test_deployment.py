"""What is sent to deploy a function: nothing that stands there is lost."""

from __future__ import annotations

import copy
import pickle

import pytest

from dfaas_lab import Function
from dfaas_lab.errors import ConfigError
from dfaas_lab.services.answers import FunctionAnswer
from dfaas_lab.services.deployment import description, is_deployed, normalised

THERE = FunctionAnswer(
    name="figlet",
    image="docker.io/lab/figlet:latest",
    envVars={"write_debug": "true"},
    labels={"com.openfaas.scale.min": "2"},
    annotations={"topic": "a"},
    limits={"memory": "128Mi"},
    requests={"cpu": "50m"},
    constraints=["node=edge"],
    secrets=["api-key"],
    readOnlyRootFilesystem=True,
)


def test_what_stands_there_is_sent_again() -> None:
    wanted = description(Function("figlet", image="lab/figlet:2", env={"mode": "x"}), THERE)
    assert wanted == {
        "service": "figlet",
        "image": "lab/figlet:2",
        "envVars": {"write_debug": "true", "mode": "x"},
        "labels": {"com.openfaas.scale.min": "2"},
        "annotations": {"topic": "a"},
        "limits": {"memory": "128Mi"},
        "requests": {"cpu": "50m"},
        "constraints": ["node=edge"],
        "secrets": ["api-key"],
        "readOnlyRootFilesystem": True,
    }


def test_a_new_function_has_its_own_settings_and_nothing_else() -> None:
    function = Function(
        "figlet.dev", image="i", labels={"a": 1}, limits={"cpu": "1"}, secrets=["s"]
    )
    assert description(function, None) == {
        "service": "figlet",
        "namespace": "dev",
        "image": "i",
        "labels": {"a": "1"},
        "limits": {"cpu": "1"},
        "secrets": ["s"],
    }


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"env": {"write_debug": True}, "secrets": ["api-key"]}, True),
        ({"env": {"write_debug": "false"}}, False),
        ({"labels": {"x": "y"}}, False),
        ({"annotations": {"topic": "b"}}, False),
        ({"limits": {"memory": "64Mi"}}, False),
        ({"secrets": ["other"]}, False),
        ({"image": "lab/figlet:2"}, False),
    ],
)
def test_what_is_there_as_it_is_wanted_is_left_alone(
    changes: dict[str, object], same: bool
) -> None:
    function = Function("figlet", **{"image": "lab/figlet", **changes})  # type: ignore[arg-type]
    assert is_deployed(function, THERE) is same


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        ("figlet", "docker.io/library/figlet:latest"),
        ("lab/figlet", "docker.io/lab/figlet:latest"),
        ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        ("a@sha256:12", "docker.io/library/a@sha256:12"),
    ],
)
def test_images_are_compared_by_their_whole_names(short: str, whole: str) -> None:
    assert normalised(short) == whole == normalised(whole)


def test_values_of_the_environment_are_not_shown() -> None:
    function = Function("f", image="i", env={"TOKEN": "CANARY"}, asynchronous=True)
    assert "CANARY" not in repr(function) + str(function.env)
    assert "asynchronous=True" in repr(function)
    assert function.route == "/async-function/f"
    for copied in (copy.deepcopy(function), pickle.loads(pickle.dumps(function))):
        assert copied == function
        assert copied.env["TOKEN"] == "CANARY"


@pytest.mark.parametrize(
    "wrong", [{"env": ["a"]}, {"labels": {"a": None}}, {"limits": {1: "a"}}, {"secrets": "api"}]
)
def test_settings_that_are_none_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Function("f", **wrong)  # type: ignore[arg-type]
