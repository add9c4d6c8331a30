"""Whether a target can be measured: k6, the way to its gateway, room, and what a script needs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dfaas_lab.errors import GatewayError
from dfaas_lab.k6.custom_script import CustomScript
from dfaas_lab.k6.launch import inspect
from dfaas_lab.remote.tunnel import TunnelRefused

if TYPE_CHECKING:
    from dfaas_lab.spec.run_spec import RunSpec
    from dfaas_lab.target import Target


def preflight_all(orders: Sequence[tuple[Target, RunSpec]]) -> list[tuple[Target, RunSpec]]:
    """Look at several targets side by side; see :func:`preflight`.

    Raises:
        DfaasLabError: The first that cannot be measured; its notes name the others.
    """
    ready: dict[int, RunSpec] = {}
    errors: dict[int, BaseException] = {}

    def look(index: int, target: Target, order: RunSpec) -> None:
        try:
            ready[index] = preflight(target, order)
        except BaseException as error:  # raised again in the thread that waits
            errors[index] = error

    threads = [
        # Daemons: an interrupt waits for none of them.
        threading.Thread(target=look, args=(index, target, order), daemon=True)
        for index, (target, order) in enumerate(orders)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        first, *others = [errors[index] for index in sorted(errors)]
        for other in others:
            first.add_note(f"Also: {other}")
        raise first
    return [(target, ready[index]) for index, (target, _) in enumerate(orders)]


def preflight(target: Target, order: RunSpec) -> RunSpec:
    """Look whether a target can be measured as ordered; return the order with what it takes.

    Raises:
        K6Missing: The generator is not provisioned.
        GatewayError: Nothing listens at the gateway's address.
        K6ScriptError: k6 refuses the script.
        ConfigError: The generator has too little memory or disk.
    """
    generator, plan = target.generator, order.plan
    k6_path = generator.k6_path()
    with ThreadPoolExecutor(1, "dfaas-lab-room") as beside:
        room = beside.submit(generator.measure_free_resources)
        look_for_gateway(target)
    room.result()
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
            hint=f"Check gateway=, and that the gateway runs. {refused.hint}",
        ) from refused
