"""The environment of a run for its manifest: facts of generators and targets.

If a host does not answer, the run continues and the manifest records the problem.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dfaas_lab.background import side_by_side
from dfaas_lab.remote.facts import read_facts
from dfaas_lab.remote.remote import Remote

if TYPE_CHECKING:
    from dfaas_lab.execution.generator_session import GeneratorSession
    from dfaas_lab.execution.part import TargetSession

Facts = dict[str, Any]

_GATEWAY_TIMEOUT_S = 2.0
_HOST_TIMEOUT_S = 3.0
_SLOW_S = 0.5
# What is asked once per session, in a target's cache: its host, which does not change, and a
# gateway that did not answer.
_HOST, _SILENT = "host's facts", "gateway's problem"


def environment(targets: Iterable[TargetSession]) -> dict[str, dict[str, Facts]]:
    """Return the facts of some targets and of their generators, asked side by side.

    Returns:
        ``generators``: by name, processor, memory, system, k6 and what provisioned it;
        ``targets``: by name the gateway's version and the functions' images, and the host, where
        the target has one. ``problem`` says why something is missing.
    """
    asked = {target.name: target for target in targets}
    generators = {target.generator.name: target.generator for target in asked.values()}
    ask = [
        *(partial(_of_generator, one) for one in generators.values()),
        *(partial(_of_target, one) for one in asked.values()),
    ]
    facts = [job.result() for job in side_by_side(ask)]
    return {
        "generators": dict(zip(generators, facts, strict=False)),
        "targets": dict(zip(asked, facts[len(generators) :], strict=True)),
    }


def _of_generator(generator: GeneratorSession) -> Facts:
    def provisioned() -> Facts:
        marker = generator.marker()
        return {"k6_version": marker.k6_version, "playbook_digest": marker.playbook_digest}

    return _tried(generator.facts) | _tried(provisioned)


def _of_target(target: TargetSession) -> Facts:
    if _HOST not in target.cache:
        target.cache[_HOST] = None if target.host is None else _tried(lambda: _host(target))
    return {"gateway": target.gateway, **_gateway(target), "host": target.cache[_HOST]}


def _host(target: TargetSession) -> Facts:
    assert target.host is not None
    soon = min(target.host.connect_timeout, _HOST_TIMEOUT_S)
    remote = Remote(replace(target.host, connect_timeout=soon))
    try:
        return dict(read_facts(remote, timeout=_HOST_TIMEOUT_S).provenance())
    finally:
        remote.close()


def _gateway(target: TargetSession) -> Facts:
    """Ask the gateway at every run, since images change; but one that does not answer, once."""
    silent: Facts | None = target.cache.get(_SILENT)
    if silent is not None:
        return silent
    names = [function.name for function in target.functions]
    began = time.monotonic()
    facts = _tried(lambda: target.services()[0].facts(names, timeout_s=_GATEWAY_TIMEOUT_S))
    if "problem" in facts and time.monotonic() - began > _SLOW_S:
        target.cache[_SILENT] = facts
    return facts


def _tried(ask: Callable[[], Facts]) -> Facts:
    try:
        return ask()
    except Exception as error:  # whatever it is: evidence on the side never ends a run
        return {"problem": str(getattr(error, "message", error))}
