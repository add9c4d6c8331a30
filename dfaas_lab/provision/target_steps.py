"""The steps that make a target ready over HTTP: deploy, wait, ask Prometheus.

The hosts themselves are made ready by the playbooks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import httpx

from dfaas_lab.errors import ConfigError, ConnectionFailed, GatewayError, ServiceError
from dfaas_lab.load import Function
from dfaas_lab.services.endpoint import REDIRECT_HINT, location
from dfaas_lab.services.gateway import Gateway
from dfaas_lab.services.prometheus import Prometheus

# What stands for a function that is not up: none of that name, no way to it, none running.
_NOT_UP = (404, 502, 503, 504)
# What the watchdogs say where the function's program cannot be started.
_NOT_EXECUTABLE = ("fork/exec", "exec format error", "executable file not found")
_POLL_S = 0.5
_NOT_LET_IN = "no auth= is given: the functions are only called"
_SHORTEST_LIMIT_S = 10.0
# A gateway may need a moment to know what was just deployed.
_LONGEST_404_S = 5.0


@dataclass(frozen=True)
class SetupStep:
    """One thing that was done: ``status`` is ok, changed, skipped or failed, as in a playbook."""

    task: str
    status: str
    seconds: float
    message: str = ""
    error: ServiceError | ConfigError | None = None


def set_up_target(
    gateway: Gateway,
    functions: Sequence[Function],
    prometheus: Prometheus | None = None,
    *,
    reach: Callable[[], None] | None = None,
    timeout_s: float = 120.0,
    say: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[SetupStep]:
    """Log in, deploy the functions that have an image, wait until all answer, ask Prometheus.

    A function without an image must be there already. ``say`` is told what is under way. ``reach``
    looks from the generator, which is who measures, whether the gateway listens.

    Returns:
        What was done. It ends with the first step that failed, whose ``error`` says in one line
        what the target lacks and in its hint what to do.
    """
    work = _Setup(gateway, functions, timeout_s, sleep)
    steps: list[tuple[str, Callable[[], str | None]]] = [
        ("Log in to the gateway", work.log_in),
        ("Deploy the functions", work.deploy),
        ("Wait for the functions", work.wait),
    ]
    if prometheus is not None:
        steps.append(("Check Prometheus", lambda: _look_at(prometheus)))
    if reach is not None:
        steps.append(("Reach the gateway from the generator", reach))
    return list(_carry_out(steps, say))


def _carry_out(
    steps: Sequence[tuple[str, Callable[[], str | None]]], say: Callable[[str], None]
) -> Iterator[SetupStep]:
    for task, work in steps:
        say(task)
        started = time.monotonic()
        try:
            message = work() or ""
        except ConnectionFailed as error:  # that is the generator's own failure, told as such
            yield SetupStep(task, "skipped", time.monotonic() - started, error.message)
            continue
        except (ServiceError, ConfigError) as error:
            yield SetupStep(task, "failed", time.monotonic() - started, error.message, error)
            return
        status = "changed" if message.startswith("deployed ") else "ok"
        status = "skipped" if message == _NOT_LET_IN else status
        yield SetupStep(task, status, time.monotonic() - started, message)


@dataclass
class _Setup:
    """A target that is being set up; ``authorized`` is whether its gateway says what it has."""

    gateway: Gateway
    functions: Sequence[Function]
    timeout_s: float
    sleep: Callable[[float], None]
    authorized: bool = True

    @property
    def with_image(self) -> list[Function]:
        return [function for function in self.functions if function.image is not None]

    def log_in(self) -> str:
        """Whoever gives no password may still measure what somebody else deployed."""
        self.authorized = self.gateway.authorized()
        if not self.authorized and self.gateway.anonymous and not self.with_image:
            return _NOT_LET_IN
        self.gateway.functions()  # where we are not let in, this says why
        return ""

    def deploy(self) -> str:
        changed = self.gateway.deploy(self.with_image) if self.with_image else ()
        return f"deployed {', '.join(changed)}" if changed else ""

    def wait(self) -> str:
        """Wait until each answers its own request; one that is scaled to none wakes up."""
        until = time.monotonic() + self.timeout_s
        if self.authorized:
            names = [function.name for function in self.functions]
            self.gateway.wait_ready(names, timeout_s=self.timeout_s, sleep=self.sleep)
        for function in self.functions:
            self._call(function, until)
        return ""

    def _call(self, function: Function, until: float) -> None:
        """Call a function until it is up. A 404 that stays is the function's own."""
        patient = time.monotonic() + (_LONGEST_404_S if self.authorized else 0.0)
        while (status := self._status(function, until)) is None or status in _NOT_UP:
            now = time.monotonic()
            if status == 404 and now >= patient and self.authorized:
                return
            if now >= until or (status == 404 and now >= patient):
                raise _not_up(self.gateway, function, status)
            self.sleep(_POLL_S)

    def _status(self, function: Function, until: float) -> int | None:
        """Call a function once; None where it does not answer in time."""
        # One that sleeps takes a while to wake up, whatever it may take in a run. Longer than that
        # is asked for again and again: an interrupt is seen in between.
        timeout_s = max(function.timeout_s, _SHORTEST_LIMIT_S)
        left_s = max(until - time.monotonic(), 1.0)
        try:
            answer = self.gateway.answer(function, timeout_s=min(timeout_s, left_s))
            _refuse_no_answer(self.gateway, function, answer)
            return answer.status_code
        except GatewayError as error:
            if isinstance(error.__cause__, httpx.TimeoutException):
                return None
            raise


def _refuse_no_answer(gateway: Gateway, function: Function, answer: httpx.Response) -> None:
    """Raise for an answer that is none of the function's: a redirect, no program.

    Redirects are followed by nobody: k6 would measure them in the place of the function.
    """
    if where := location(answer):
        what, hint = f"answers {answer.status_code} and sends callers to {where}", REDIRECT_HINT
    elif answer.status_code == 500 and any(w in answer.text[:2000] for w in _NOT_EXECUTABLE):
        what = f"answers 500: {' '.join(answer.text[:300].split())}"
        hint = "Its command cannot be executed: check fprocess, its mode, and its architecture."
    else:
        return
    text = f"the gateway at {gateway.url}: {function.name} {what}"
    raise GatewayError(text, url=gateway.url, hint=hint)


def _not_up(gateway: Gateway, function: Function, status: int | None) -> GatewayError:
    said = "does not answer" if status is None else f"answers {status}"
    return GatewayError(
        f"the gateway at {gateway.url}: {function.name} {said}",
        url=gateway.url,
        hint="Check that it is deployed, its logs, its path, and its request by hand"
        + (", and Function(timeout=...)." if status is None else "."),
    )


def _look_at(prometheus: Prometheus) -> str:
    interval_s = prometheus.scrape_interval_s()
    return "" if interval_s is None else f"scrapes every {interval_s:g} s"
