"""What is asked becomes an order: how long each of its turns may take, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dfaas_lab import Function, Generator, Limits, Target
from dfaas_lab.errors import ConfigError
from dfaas_lab.measuring.order import Order


def _order(*functions: Function, iterations: Any = 1, **asked: Any) -> Order:
    return Order.of("http://10.0.0.60:8080", functions or [Function("env")], iterations, **asked)


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
    assert [order.rest_there_s(turn) for turn in order.turns] == [0, 1]
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
