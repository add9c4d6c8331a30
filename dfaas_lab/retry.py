"""Tries a call again after an error that may pass: only what may safely be done twice."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    wait_random,
)

Result = TypeVar("Result")


def retry(
    call: Callable[[], Result],
    *,
    on: type[Exception] | tuple[type[Exception], ...] | Callable[[BaseException], bool],
    pause_s: tuple[float, float],
    within_s: float = math.inf,
    attempts: float = math.inf,
    give_up: Callable[[], bool] = lambda: False,
) -> Result:
    """Return what a call returns; raise its last error where it is not tried again.

    Args:
        call: What is tried.
        on: After which errors it is tried again: their types, or a function that says so.
        pause_s: The shortest and the longest pause between two tries; it is drawn from these.
        within_s: For how long after the first try it is tried again.
        attempts: How often it is tried.
        give_up: Asked after each error whether to end.
    """

    def over(state: RetryCallState) -> bool:
        late = (state.seconds_since_start or 0.0) >= within_s
        return late or state.attempt_number >= attempts or give_up()

    passing = (
        retry_if_exception_type(on) if isinstance(on, type | tuple) else retry_if_exception(on)
    )
    return Retrying(retry=passing, wait=wait_random(*pause_s), stop=over, reraise=True)(call)
