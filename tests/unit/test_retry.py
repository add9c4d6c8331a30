"""What is tried again, how often, and what ends it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dfaas_lab.errors import ConfigError, ConnectionFailed
from dfaas_lab.retry import retry

AT_ONCE = (0.0, 0.0)


def failing(times: int, error: BaseException) -> tuple[list[int], Callable[[], str]]:
    tries: list[int] = []

    def call() -> str:
        tries.append(len(tries))
        if len(tries) <= times:
            raise error
        return "done"

    return tries, call


LOST = ConnectionFailed("lost", host="h")


def test_an_error_that_passes_is_tried_again() -> None:
    tries, call = failing(2, LOST)
    assert retry(call, on=ConnectionFailed, pause_s=AT_ONCE) == "done"
    assert len(tries) == 3


@pytest.mark.parametrize("error", [ConfigError("no"), KeyboardInterrupt()])
def test_other_errors_come_at_once(error: BaseException) -> None:
    tries, call = failing(9, error)
    with pytest.raises(type(error)):
        retry(call, on=(ConnectionFailed, OSError), pause_s=AT_ONCE)
    assert len(tries) == 1


def test_it_ends_with_the_last_error() -> None:
    for limit, most in (({"attempts": 3}, 3), ({"within_s": 0.0}, 1)):
        tries, call = failing(9, LOST)
        with pytest.raises(ConnectionFailed) as caught:
            retry(call, on=ConnectionFailed, pause_s=AT_ONCE, **limit)
        assert caught.value is LOST
        assert len(tries) == most


def test_whoever_gives_up_is_asked_after_each_error() -> None:
    tries, call = failing(9, LOST)
    with pytest.raises(ConnectionFailed):
        retry(call, on=ConnectionFailed, pause_s=AT_ONCE, give_up=lambda: len(tries) == 4)
    assert len(tries) == 4


def test_a_function_may_tell_which_errors_pass() -> None:
    tries, call = failing(2, LOST)
    with pytest.raises(ConnectionFailed):
        retry(call, on=lambda error: len(tries) < 2, pause_s=AT_ONCE)
    assert len(tries) == 2
