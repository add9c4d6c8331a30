"""Making a target ready over HTTP: its functions deployed and answering, its Prometheus there.

The hosts themselves are made ready by the playbooks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dfaas_lab.errors import GatewayError, ServiceError
from dfaas_lab.load import Function
from dfaas_lab.services.gateway import Gateway
from dfaas_lab.services.prometheus import Prometheus

# What stands for a function that is not up: none of that name, no way to it, none running.
_NOT_UP = (404, 502, 503, 504)
_POLL_S = 0.5
_LONGEST_CALL_S = 10.0


@dataclass(frozen=True)
class SetupStep:
    """One thing that was done: ``status`` is ok, changed or failed, as in the playbooks' tasks."""

    task: str
    status: str
    seconds: float
    message: str = ""
    error: ServiceError | None = None


def set_up_target(
    gateway: Gateway,
    functions: Sequence[Function],
    prometheus: Prometheus | None = None,
    *,
    timeout_s: float = 120.0,
    say: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[SetupStep]:
    """Log in, deploy the functions that have an image, wait until all answer, ask Prometheus.

    Args:
        gateway: The target's gateway, by a way that works from here.
        functions: The target's functions; one without an image must be there already.
        prometheus: The target's Prometheus, where it has one.
        timeout_s: How long the functions may take to answer.
        say: Told in a few words what is under way.
        sleep: Waits.

    Returns:
        What was done. It ends with the first step that failed, whose ``error`` says in one line
        what the target lacks and in its hint what to do.
    """
    steps: list[tuple[str, Callable[[], str]]] = [
        ("Log in to the gateway", lambda: _log_in(gateway)),
        ("Deploy the functions", lambda: _deploy(gateway, functions)),
        ("Wait for the functions", lambda: _wait(gateway, functions, timeout_s, sleep)),
    ]
    if prometheus is not None:
        steps.append(("Check Prometheus", lambda: _look_at(prometheus)))
    return list(_carry_out(steps, say))


def _carry_out(
    steps: Sequence[tuple[str, Callable[[], str]]], say: Callable[[str], None]
) -> Iterator[SetupStep]:
    for task, work in steps:
        say(task)
        started = time.monotonic()
        try:
            message = work()
        except ServiceError as error:
            yield SetupStep(task, "failed", time.monotonic() - started, error.message, error)
            return
        status = "changed" if message.startswith("deployed ") else "ok"
        yield SetupStep(task, status, time.monotonic() - started, message)


def _log_in(gateway: Gateway) -> str:
    gateway.functions()
    return ""


def _deploy(gateway: Gateway, functions: Sequence[Function]) -> str:
    with_image = [function for function in functions if function.image is not None]
    changed = gateway.deploy(with_image) if with_image else ()
    return f"deployed {', '.join(changed)}" if changed else ""


def _wait(
    gateway: Gateway,
    functions: Sequence[Function],
    timeout_s: float,
    sleep: Callable[[float], None],
) -> str:
    """Wait until each function answers its own request; one that is scaled to none wakes up."""
    until = time.monotonic() + timeout_s
    gateway.wait_ready([f.name for f in functions], timeout_s=timeout_s, sleep=sleep)
    for function in functions:
        while (status := gateway.call(function, timeout_s=_LONGEST_CALL_S)) in _NOT_UP:
            if time.monotonic() >= until:
                raise GatewayError(
                    f"the gateway at {gateway.url}: {function.name} answers {status}",
                    url=gateway.url,
                    hint="Check the function's logs, its path, and its request by hand.",
                )
            sleep(_POLL_S)
    return ""


def _look_at(prometheus: Prometheus) -> str:
    interval_s = prometheus.scrape_interval_s()
    return "" if interval_s is None else f"scrapes every {interval_s:g} s"
