"""Whether a target can be measured: k6, the way to its gateway, room, and what a script needs."""

from __future__ import annotations

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
    _look_for_gateway(target)
    generator.facts()
    if isinstance(plan, CustomScript):
        needs = inspect(generator.remote, generator.workspace_root, k6_path, plan)
        return replace(order, plan=plan.requiring(needs))
    order.preview(**generator.room())
    return order


def _look_for_gateway(target: Target) -> None:
    parts = urlsplit(target.gateway)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        # The generator is who must reach the gateway, so it is asked.
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
