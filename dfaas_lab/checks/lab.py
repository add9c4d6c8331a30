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
class GeneratorToCheck:
    """A generator to check, and what it shall be; None takes any k6, or any playbook.

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
    ) -> GeneratorToCheck:
        """Return a generator to check, which shall be as the spec says, with that k6."""
        return cls(spec.name, remote, spec.workspace_root, k6_version, spec.digest(), on_facts)


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
    asked = _side_by_side(_generator_findings, generators)
    facts = {one.name: found for one, (_, found) in zip(generators, asked, strict=True)}
    remotes = {one.name: one.remote for one in generators}

    def findings_of(target: TargetToCheck) -> Found:
        # A generator that cannot be asked has said so already.
        known = facts.get(target.generator)
        return _target_findings(target, known, remotes[target.generator] if known else None)

    found = [rows for rows, _ in asked] + _side_by_side(findings_of, targets)
    return finding_frame(row for rows in found for row in rows)


def _generator_findings(one: GeneratorToCheck) -> tuple[Found, HostFacts | None]:
    findings, facts = check_generator(
        one.remote,
        workspace_root=one.workspace_root,
        k6_version=one.k6_version,
        playbook_digest=one.playbook_digest,
    )
    if facts is not None and one.on_facts is not None:
        one.on_facts(facts)
    return [(one.name, finding) for finding in findings], facts


def _target_findings(
    one: TargetToCheck, facts: HostFacts | None, generator: Remote | None
) -> Found:
    findings = [] if one.host is None else check_host(one.host)[0]
    if not one.host_needed:
        findings = [replace(finding, ok=finding.ok or None) for finding in findings]
    findings += check_target(
        one.gateway,
        one.functions,
        one.prometheus,
        generator=generator,
        generator_skew=facts.skew if facts else None,
    )
    return [(one.name, finding) for finding in findings]


def _side_by_side(work: Callable[[T], U], things: Sequence[T]) -> list[U]:
    if not things:
        return []
    pool = ThreadPoolExecutor(min(len(things), _AT_ONCE), thread_name_prefix="dfaas-lab-check")
    try:
        return list(pool.map(work, things))
    finally:
        # After an interrupt nothing is waited for: every check ends by its own time limit.
        pool.shutdown(wait=False, cancel_futures=True)
