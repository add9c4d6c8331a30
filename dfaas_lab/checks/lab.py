"""Checks a whole lab: its generators side by side, then its targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from dfaas_lab.checks.finding import Finding, finding_frame
from dfaas_lab.checks.host import check_generator, check_host
from dfaas_lab.checks.target import check_target

if TYPE_CHECKING:
    import polars as pl

    from dfaas_lab.load import Function
    from dfaas_lab.provision.spec import GeneratorSpec
    from dfaas_lab.remote.facts import HostFacts
    from dfaas_lab.remote.remote import Remote
    from dfaas_lab.services.gateway import Gateway
    from dfaas_lab.services.prometheus import Prometheus

T = TypeVar("T")
U = TypeVar("U")
Found = list[tuple[str, Finding]]

# More at the same time would be many connections from one machine, and no faster.
_AT_ONCE = 8


@dataclass(frozen=True)
class GeneratorLook:
    """A generator to look at, and what it shall be; None takes any k6, or any playbook.

    ``on_facts`` is called with the host's facts.
    """

    name: str
    remote: Remote
    workspace_root: str
    k6_version: str | None = None
    playbook_digest: str | None = None
    on_facts: Callable[[HostFacts], None] | None = None

    @classmethod
    def of(
        cls,
        spec: GeneratorSpec,
        remote: Remote,
        *,
        k6_version: str | None,
        on_facts: Callable[[HostFacts], None] | None = None,
    ) -> GeneratorLook:
        """Return the look at a generator that shall be as the spec says, with that k6."""
        return cls(spec.name, remote, spec.workspace_root, k6_version, spec.digest(), on_facts)


@dataclass(frozen=True)
class TargetLook:
    """A target to look at; ``generator`` is the name of its generator, ``host`` its SSH host.

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
    generators: Sequence[GeneratorLook], targets: Sequence[TargetLook] = ()
) -> pl.DataFrame:
    """Look at generators and targets, and return ``host, check, ok, detail, fix``.

    ``ok`` is null for what is not good, but can be done without. A host that does not answer holds
    nothing up but itself. Nothing is changed anywhere.
    """
    asked = _side_by_side(_look_at_generator, generators)
    facts = {look.name: found for look, (_, found) in zip(generators, asked, strict=True)}
    remotes = {look.name: look.remote for look in generators}

    def look_at(target: TargetLook) -> Found:
        # A generator that cannot be asked has said so already.
        known = facts.get(target.generator)
        return _look_at_target(target, known, remotes[target.generator] if known else None)

    found = [rows for rows, _ in asked] + _side_by_side(look_at, targets)
    return finding_frame(row for rows in found for row in rows)


def _look_at_generator(look: GeneratorLook) -> tuple[Found, HostFacts | None]:
    findings, facts = check_generator(
        look.remote,
        workspace_root=look.workspace_root,
        k6_version=look.k6_version,
        playbook_digest=look.playbook_digest,
    )
    if facts is not None and look.on_facts is not None:
        look.on_facts(facts)
    return [(look.name, finding) for finding in findings], facts


def _look_at_target(look: TargetLook, facts: HostFacts | None, generator: Remote | None) -> Found:
    findings = [] if look.host is None else check_host(look.host)[0]
    if not look.host_needed:
        findings = [replace(finding, ok=finding.ok or None) for finding in findings]
    findings += check_target(
        look.gateway,
        look.functions,
        look.prometheus,
        generator=generator,
        generator_skew=facts.skew if facts else None,
    )
    return [(look.name, finding) for finding in findings]


def _side_by_side(work: Callable[[T], U], things: Sequence[T]) -> list[U]:
    if not things:
        return []
    pool = ThreadPoolExecutor(min(len(things), _AT_ONCE), thread_name_prefix="dfaas-lab-check")
    try:
        return list(pool.map(work, things))
    finally:
        # After an interrupt nothing is waited for: every look ends by its own time limit.
        pool.shutdown(wait=False, cancel_futures=True)
