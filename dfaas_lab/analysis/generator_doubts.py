"""Doubts about a run that come from its generator: CPU, memory, open files. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from dfaas_lab.analysis.doubt import Finding, Kind

if TYPE_CHECKING:
    from dfaas_lab.k6.generator_load import HostLoad, IterationOnHost

# A busy second harms where k6 had to wait in it; of older runs only the mean is known.
_CPU, _CPU_WORST, _WAITED_MS, _CORE = 0.80, 0.90, 100.0, 0.98
_STEAL = 0.05
_THROTTLED_MS = 10.0
_MEMORY, _FILES = 0.10, 0.90
# k6's threads wait a little wherever there is other work. What counts is what each request had to
# wait: more than 5 ms, or a tenth of its response.
_WAIT_MS, _WAIT_SHARE = 5.0, 0.1
_LEAST_RATE_RPS = 20.0  # below it k6's own housekeeping is most of what waits

_BUSY = "Stop other work on the generator, ask for less, or take a host with more cores."
_KINDS = {
    "cpu": Kind("generator CPU", f"at most {_CPU:.0%}", _BUSY, "processor"),
    "worst": Kind(
        "generator CPU in the worst second", f"at most {_CPU_WORST:.0%}", _BUSY, "processor"
    ),
    "core": Kind("busiest core of the generator CPU", f"below {_CORE:.0%}", _BUSY, "processor"),
    "wait": Kind(
        "k6's wait for a CPU, per request",
        f"at most {_WAIT_MS:g} ms or a tenth of the median response",
        _BUSY,
        "processor",
    ),
    "steal": Kind(
        "CPU stolen by the generator's hypervisor",
        f"at most {_STEAL:.0%}",
        "Take a generator that does not share its processors.",
        "processor",
    ),
    "throttled": Kind(
        "k6 throttled by the CPU limit of its control group",
        f"at most {_THROTTLED_MS:g} ms in a second",
        "Raise the CPU limit of the generator's container or unit.",
        "processor",
    ),
    "memory": Kind(
        "generator memory available",
        f"at least {_MEMORY:.0%}",
        "Ask for fewer VUs: a lower rate or a shorter time limit; or take a larger host.",
        "generator",
    ),
}
_FAULTS = "errors of the generator itself"
_FAULTS_FIX = "Look at k6.log; raise the generator's limit, or ask for less."
_ABORTED = Kind(
    "measurement aborted by a threshold",
    "the whole duration",
    "Take abortOnFail out of the threshold, or a shorter duration.",
)


def findings_of(
    hosts: Iterable[IterationOnHost],
    asked: Mapping[tuple[str, int], tuple[float, float | None]],
) -> Iterator[Finding]:
    """What speaks against the numbers, iteration by iteration.

    ``asked`` has by target and iteration all planned requests per second, and the median response
    of the quickest function in ms.
    """
    for host in hosts:
        rate_rps, response_ms = asked.get((host.target, host.iteration), (0.0, None))
        for kind, measured in [
            *_of_load(host.load, rate_rps, response_ms),
            *(
                (Kind(f"{_FAULTS}: {what}", "0", _FAULTS_FIX, "generator"), str(count))
                for what, count in host.own_faults.items()
            ),
            *([(_ABORTED, host.aborted)] if host.aborted else []),
        ]:
            yield Finding(kind, measured, host.target, host.iteration)


def _of_load(
    load: HostLoad, rate_rps: float, response_ms: float | None
) -> Iterator[tuple[Kind, str]]:
    if (load.cpu_fraction or 0.0) > _CPU:
        yield _KINDS["cpu"], f"{load.cpu_fraction:.1%}"
    elif (load.cpu_fraction_max or 0.0) > _CPU_WORST and (load.cpu_wait_ms_max or 0) > _WAITED_MS:
        yield _KINDS["worst"], f"{load.cpu_fraction_max:.1%}"
    if load.core_fraction is not None and load.core_fraction >= _CORE:
        yield _KINDS["core"], f"{load.core_fraction:.1%}"
    if load.cpu_wait_ms_max is not None:
        wait_ms = load.cpu_wait_ms_max / max(rate_rps, _LEAST_RATE_RPS)
        if wait_ms > max(_WAIT_MS, _WAIT_SHARE * (response_ms or 0.0)):
            yield _KINDS["wait"], f"{wait_ms:.1f} ms"
    if (load.steal_fraction_max or 0.0) > _STEAL:
        yield _KINDS["steal"], f"{load.steal_fraction_max:.1%}"
    if (load.throttled_ms_max or 0.0) > _THROTTLED_MS:
        yield _KINDS["throttled"], f"{load.throttled_ms_max:.0f} ms"
    if load.memory_available_bytes is not None and load.memory_bytes:
        free = load.memory_available_bytes / load.memory_bytes
        if free < _MEMORY:
            yield _KINDS["memory"], f"{free:.1%}"
    files, most = load.open_files, load.open_files_limit
    if files is not None and most and files > _FILES * most:
        expected = f"at most {_FILES:.0%} of {most}"
        fix = "Raise ulimit -n on the generator."
        yield Kind("open files of k6", expected, fix, "generator"), str(files)
