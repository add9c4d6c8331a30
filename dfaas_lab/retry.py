"""Tries a call again that an error or an interrupt ended: only what may safely be done twice."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    wait_random,
)

Result = TypeVar("Result")
Given = ParamSpec("Given")


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


def uninterrupted(call: Callable[Given, Result]) -> Callable[Given, Result]:
    """Decorate what computes with polars in a thread: an interrupt does not end it there.

    Python raises KeyboardInterrupt in the main thread only, and it is for the main thread to end
    the others. polars also raises it in every other thread that is in a query at that moment.
    """

    @functools.wraps(call)
    def again(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        while True:
            try:
                return call(*args, **kwargs)
            except KeyboardInterrupt:
                if threading.current_thread() is threading.main_thread():
                    raise

    return again
