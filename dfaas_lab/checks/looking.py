"""Looking at a lab's hosts and services, as its targets name them; changes nothing.

What is looked at is the business of ``checks``.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from dfaas_lab.checks import GeneratorLook, TargetLook, check_lab

if TYPE_CHECKING:
    import polars as pl

    from dfaas_lab.generator import Generator
    from dfaas_lab.target import Target


def look_at(targets: Iterable[Target], generators: Iterable[Generator]) -> pl.DataFrame:
    """Look at targets and generators: ``host, check, ok, detail, fix``."""
    with ExitStack() as stack:
        return check_lab(
            [
                GeneratorLook.of(g.spec(), g.remote, k6_version=g.wanted_k6(), learn=g.learn)
                for g in generators
            ],
            [_target(target, stack) for target in targets],
        )


def _target(target: Target, stack: ExitStack) -> TargetLook:
    from dfaas_lab.remote.remote import Remote

    gateway, prometheus = target.services()
    host = None
    if target.host is not None:
        host = Remote(target.host)
        stack.callback(host.close)
    return TargetLook(
        target.name,
        gateway,
        target.functions,
        target.generator.name,
        prometheus,
        host,
        host_needed=target.install_monitoring,
    )
