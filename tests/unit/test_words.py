"""Numbers in sentences: the docstrings' examples, and what lies between them."""

from __future__ import annotations

import doctest

import pytest

from dfaas_lab.display import words


def test_the_examples_are_true() -> None:
    assert doctest.testmod(words).failed == 0


@pytest.mark.parametrize(
    ("value_ms", "said"),
    [(0.004, "0.00 ms"), (999.6, "1,000 ms"), (1000, "1.0 s"), (9.96, "10 ms")],
)
def test_latencies(value_ms: float, said: str) -> None:
    assert words.latency(value_ms) == said


def test_many_rates_are_a_range() -> None:
    assert words.rates({f"f{at}": at for at in range(8)}) == "1 to 7/s"
