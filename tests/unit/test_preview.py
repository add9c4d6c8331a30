"""What a preview says follows from the plan alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dfaas_lab import Function, Generator, Target
from dfaas_lab.errors import ConfigError


@pytest.fixture
def target() -> Target:
    functions = [Function("env"), Function("slow", timeout="30s")]
    return Target(
        "mid",
        gateway="http://10.0.0.60:8080",
        generator=Generator("10.0.0.50"),
        functions=functions,
    )


def test_it_counts_what_would_be_asked(target: Target) -> None:
    preview = target.preview({"env": 10, "slow": 2}, "30s", 3)
    assert preview.requests == (10 + 2) * 30 * 3
    assert preview.expected_s == pytest.approx(90, abs=3)


def test_vus_cover_the_longest_latency(target: Target) -> None:
    # Little's law: a rate times the time limit of a request.
    assert target.preview({"env": 10, "slow": 2}, "30s").max_vus >= 10 * 10 + 2 * 30


def test_a_slower_function_may_take_longer_at_the_end(target: Target) -> None:
    quick, slow = target.preview({"env": 1}, "30s"), target.preview({"slow": 1}, "30s")
    assert slow.longest_s - slow.expected_s > quick.longest_s - quick.expected_s
    assert quick.longest_s > quick.expected_s + 10


def test_rests_count(target: Target) -> None:
    without, rested = target.preview(1, "30s", 5), target.preview(1, "30s", 5, rest="10s")
    assert rested.expected_s - without.expected_s == pytest.approx(40)


def test_what_cannot_be_is_refused(target: Target) -> None:
    with pytest.raises(ConfigError, match="negative"):
        target.preview(-1, "30s")


def test_it_says_when_it_would_end(target: Target) -> None:
    preview = target.preview({"env": 12}, "30s", 2, rest="10s")
    left = (preview.ends_at - datetime.now(UTC)).total_seconds()
    assert left == pytest.approx(preview.expected_s, abs=5)


@pytest.mark.parametrize(
    ("memory", "disk", "said"),
    [
        (30_000_000, None, "122 VUs need at least 58.3 MB of memory; the generator has 30.0 MB"),
        (None, 100_000, "about 0.6 MB of samples; the generator has 0.1 MB free"),
        (None, None, None),
        (10**9, 10**9, None),
    ],
)
def test_what_a_generator_has_no_room_for_is_refused(
    target: Target, memory: int | None, disk: int | None, said: str | None
) -> None:
    preview = target.preview({"env": 12}, "30s")
    if said is None:
        preview.refuse_impossible(memory_bytes=memory, disk_bytes=disk)
        return
    with pytest.raises(ConfigError, match=said) as refused:
        preview.refuse_impossible(memory_bytes=memory, disk_bytes=disk)
    assert refused.value.hint


def test_it_says_it_to_a_person(target: Target) -> None:
    assert "360 requests in 1 iterations" in str(target.preview({"env": 12}, "30s"))
