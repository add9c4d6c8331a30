"""One target's part of a run: its session and the run's description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfaas_lab.config import Host
    from dfaas_lab.execution.generator_session import GeneratorSession
    from dfaas_lab.load import Function
    from dfaas_lab.run import Run
    from dfaas_lab.services.gateway import Gateway
    from dfaas_lab.services.prometheus import Prometheus
    from dfaas_lab.spec.run_spec import RunSpec


@dataclass(frozen=True, eq=False)
class TargetSession:
    """A target that is being used: who loads it, and how its services are asked.

    Args:
        name: The target's name.
        gateway: The gateway's URL, as the generator reaches it.
        generator: What loads it.
        functions: The functions that it has now.
        served_by_header: The header of answers that names the node which served the request.
        host: Its own SSH host.
        queries: What is asked of its Prometheus; None means the default.
        services: Returns the gateway and Prometheus, as they are reached from here.
        set_last_run: Called with the run as it is: when it begins, and when it has ended.
        cache: What was asked once per session, by name; the target keeps it.
    """

    name: str
    gateway: str
    generator: GeneratorSession
    functions: tuple[Function, ...]
    served_by_header: str
    host: Host | None
    queries: str | Mapping[str, Any] | None
    services: Callable[[], tuple[Gateway, Prometheus | None]]
    set_last_run: Callable[[Run], None]
    cache: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Part:
    """One target and what is to be measured on it."""

    target: TargetSession
    spec: RunSpec
