"""What is asked becomes an order: how long each of its turns may take, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dfaas_lab import Function, Generator, Host, Limits, Target
from dfaas_lab.errors import ConfigError
from dfaas_lab.services.gateway import Gateway
from dfaas_lab.spec.run_spec import RunSpec


def _order(*functions: Function, iterations: Any = 1, **asked: Any) -> RunSpec:
    return RunSpec.of("http://10.0.0.60:8080", functions or [Function("env")], iterations, **asked)


def _target(*functions: Function, **more: Any) -> Target:
    return Target(
        "mid",
        gateway="http://10.0.0.60:8080",
        generator=Generator("10.0.0.50"),
        functions=functions or [Function("env")],
        **more,
    )


def test_a_warm_up_that_is_longer_than_an_iteration_has_the_time_it_takes() -> None:
    order = _order(duration="10s", warmup="5m")
    assert order.limit_of(0) > 300
    assert order.limit_of(1) == order.limit_s < 60


def test_a_time_limit_that_was_asked_is_that_of_an_iteration() -> None:
    order = _order(duration="10s", warmup="5m", limits=Limits(timeout="15s"))
    assert order.limit_of(0) > 300
    assert order.limit_of(1) == 15
    assert _order(warmup="5s", limits=Limits(timeout="1h")).limit_of(0) == 3600


@pytest.mark.parametrize(
    ("detached", "said"),
    [(False, "the warm-up writes about 1.0 MB"), (True, "the warm-up and 2 iterations write")],
)
def test_a_warm_up_needs_room_as_well(detached: bool, said: str) -> None:
    order = _order(load=1, duration="1s", warmup="10m", iterations=2, detached=detached)
    with pytest.raises(ConfigError, match=said):
        order.preview(memory_bytes=None, disk_bytes=500_000)
    assert order.preview(memory_bytes=None, disk_bytes=2_000_000).warmup_bytes > 500_000


def test_there_is_a_rest_between_the_warm_up_and_the_first_iteration() -> None:
    def expected_s(**more: str) -> float:
        order = _order(duration="10s", warmup="10s", iterations=2, **more)
        return order.preview(memory_bytes=None, disk_bytes=None).expected_s

    assert expected_s(rest="7s") - expected_s() == pytest.approx(14)


def test_a_short_rest_of_a_detached_run_is_no_rest_of_none() -> None:
    order = _order(rest="400ms", iterations=2, detached=True)
    assert [order.rest_there_s(turn) for turn in order.numbers] == [0, 1]
    assert _order(rest="400ms", iterations=2).rest_there_s(2) == 0  # kept from here, exactly


def test_every_iteration_sends_the_body_as_it_was_when_the_run_was_ordered(tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_text("before")
    order = _order(Function("echo", method="POST", body=file), iterations=2)
    digest, files = order.plan.digest, order.plan_of(1).files()
    file.write_text("after")
    assert order.plan_of(2).files() == files
    assert order.plan.digest == digest
    assert b"before" in files["bodies.json"]


def test_a_body_whose_file_is_missing_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        _order(Function("echo", body=tmp_path / "none"))


class Whole:
    """A whole number of another library."""

    def __index__(self) -> int:
        return 3


def test_a_number_of_iterations_may_be_of_another_library() -> None:
    count = _order(iterations=Whole()).iterations
    assert (count, type(count)) == (3, int)


@pytest.mark.parametrize("iterations", [0, -1, 2.0, True, "3", None, 10**9, 10**400])
def test_a_number_of_iterations_that_cannot_be_is_refused(iterations: object) -> None:
    with pytest.raises(ConfigError, match="iterations") as caught:
        _order(iterations=iterations)
    assert caught.value.hint


def test_a_run_of_centuries_is_refused() -> None:
    with pytest.raises(ConfigError, match="longer than ten years"):
        _target().preview(10, "300d", 50)
    with pytest.raises(ConfigError, match="longer than ten years"):
        _target().preview(10, "9999999d")


@pytest.mark.parametrize(
    "asked",
    [
        {"address": None},
        {"address": "ubuntu@10.0.0.50"},
        {"address": "10.0.0.50:2222"},
        {"port": "22"},
        {"port": True},
        {"port": 70_000},
        {"connect_timeout": -1},
        {"connect_timeout": 0},
        {"connect_timeout": float("nan")},
        {"connect_timeout": "10"},
    ],
    ids=ascii,
)
def test_a_host_that_cannot_be_is_refused(asked: dict[str, Any]) -> None:
    values = {"address": "10.0.0.50"} | asked
    with pytest.raises(ConfigError) as caught:
        Host(values.pop("address"), **values)
    assert caught.value.hint


@pytest.mark.parametrize(
    "functions", [["figlet"], "figlet", Function("figlet"), None, [], 5], ids=ascii
)
def test_what_is_no_list_of_functions_is_refused(functions: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Target("mid", gateway="http://h", generator=Generator("h"), functions=functions)
    assert "Function(" in caught.value.hint


@pytest.mark.parametrize("env", [{1: "x"}, {"A": 1}, {"A": "\ud800"}], ids=ascii)
def test_an_environment_that_cannot_be_is_refused(tmp_path: Path, env: Any) -> None:
    (tmp_path / "mine.js").write_text("")
    with pytest.raises(ConfigError, match="env") as caught:
        _order(script=tmp_path / "mine.js", env=env)
    assert caught.value.hint


@pytest.mark.parametrize(
    "url", ["http://u:pw@h:99999", "http://u:pw@h", "http://h/?token=pw", "x?token=pw"]
)
def test_no_error_shows_what_may_be_secret(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Target("mid", gateway=url, generator=Generator("h"), functions=[Function("env")])
    assert "pw" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        Gateway(url + "\x01")
    assert "pw" not in str(caught.value)
