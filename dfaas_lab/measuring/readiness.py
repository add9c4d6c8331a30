"""Whether a target can be measured: k6, the way to its gateway, room, and what a script needs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dfaas_lab.errors import GatewayError
from dfaas_lab.k6.custom import CustomScript
from dfaas_lab.k6.execution import inspect
from dfaas_lab.remote.remote import TunnelRefused

if TYPE_CHECKING:
    from dfaas_lab.measuring.order import Order
    from dfaas_lab.target import Target

_AT_ONCE = 8


def all_ready_for(orders: Sequence[tuple[Target, Order]]) -> list[tuple[Target, Order]]:
    """Look at several targets side by side; see :func:`ready_for`.

    Raises:
        DfaasLabError: The first that cannot be measured; its notes name the others.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        ends = [pool.submit(ready_for, target, order) for target, order in orders]
    errors = [error for end in ends if (error := end.exception()) is not None]
    if errors:
        for other in errors[1:]:
            errors[0].add_note(f"Also: {other}")
        raise errors[0]
    return [(target, end.result()) for (target, _), end in zip(orders, ends, strict=True)]


def ready_for(target: Target, order: Order) -> Order:
    """Look whether a target can be measured as ordered; return the order with what it takes.

    Raises:
        K6Missing: The generator is not provisioned.
        GatewayError: Nothing listens at the gateway's address.
        K6ScriptError: k6 refuses the script.
        ConfigError: The generator has too little memory or disk.
    """
    generator, plan = target.generator, order.plan
    k6_path = generator.k6_path()
    look_for_gateway(target)
    generator.facts()
    if isinstance(plan, CustomScript):
        needs = inspect(generator.remote, generator.workspace_root, k6_path, plan)
        return replace(order, plan=plan.requiring(needs))
    order.preview(**generator.room())
    return order


def look_for_gateway(target: Target) -> None:
    """Look from the generator, which is who must reach it, whether a target's gateway listens.

    Raises:
        GatewayError: Nothing listens at its address.
        ConnectionFailed: The generator cannot be asked.
    """
    parts = urlsplit(target.gateway)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        target.generator.remote.open_tunnel(parts.hostname or "", port).close()
    except TunnelRefused as refused:
        if refused.forbidden:
            return  # the host forbids forwarding: k6 itself will tell
        raise GatewayError(
            f"the gateway of {target.name} cannot be reached from {target.generator.name}: "
            f"nothing answers at {target.gateway}",
            url=target.gateway,
            hint="Check gateway=, and that the gateway runs.",
        ) from refused
