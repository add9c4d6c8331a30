"""Checks a whole lab: its generators side by side, then its targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from dfaas_lab.checks.finding import Finding, finding_frame
from dfaas_lab.checks.host import GeneratorToCheck, check_generator, check_host
from dfaas_lab.checks.target import check_target

if TYPE_CHECKING:
    import polars as pl

    from dfaas_lab.load import Function
    from dfaas_lab.remote.facts import HostFacts
    from dfaas_lab.remote.remote import Remote
    from dfaas_lab.services.gateway import Gateway
    from dfaas_lab.services.prometheus import Prometheus

T = TypeVar("T")
U = TypeVar("U")

# More at the same time would be many connections from one machine, and no faster.
_AT_ONCE = 8


@dataclass(frozen=True)
class TargetToCheck:
    """A target to check; ``generator`` is the name of its generator, ``host`` its SSH host.

    ``host_needed`` is whether provisioning logs in there: a lab may name a host for its address
    alone.
    """

    name: str
    gateway: Gateway
    functions: Sequence[Function]
    generator: str
    prometheus: Prometheus | None = None
    host: Remote | None = None
    host_needed: bool = True


def check_lab(
    generators: Sequence[GeneratorToCheck], targets: Sequence[TargetToCheck] = ()
) -> pl.DataFrame:
    """Check generators and targets, and return ``host, check, ok, detail, fix``.

    ``ok`` is null for what is not good, but can be done without. A host that does not answer holds
    nothing up but itself. Nothing is changed anywhere.
    """
    asked = _side_by_side(check_generator, generators)
    # A generator that cannot be asked has said so already.
    known = {
        one.name: (one.remote, facts)
        for one, (_, facts) in zip(generators, asked, strict=True)
        if facts is not None
    }
    of_targets = _side_by_side(
        lambda one: _look_at(one, *known.get(one.generator, (None, None))), targets
    )
    return finding_frame(
        (name, finding)
        for name, findings in [
            *((one.name, found) for one, (found, _) in zip(generators, asked, strict=True)),
            *((one.name, found) for one, found in zip(targets, of_targets, strict=True)),
        ]
        for finding in findings
    )


def _look_at(
    one: TargetToCheck, generator: Remote | None, facts: HostFacts | None
) -> list[Finding]:
    findings = [] if one.host is None else check_host(one.host)[0]
    if not one.host_needed:
        findings = [replace(finding, ok=finding.ok or None) for finding in findings]
    return findings + check_target(
        one.gateway,
        one.functions,
        one.prometheus,
        generator=generator,
        generator_skew=facts.skew if facts else None,
    )


def _side_by_side(work: Callable[[T], U], things: Sequence[T]) -> list[U]:
    if not things:
        return []
    pool = ThreadPoolExecutor(min(len(things), _AT_ONCE), thread_name_prefix="dfaas-lab-check")
    try:
        return list(pool.map(work, things))
    finally:
        # After an interrupt nothing is waited for: every check ends by its own time limit.
        pool.shutdown(wait=False, cancel_futures=True)
