"""Preflight: whether a target can be measured (k6, gateway, free resources, script)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from dfaas_lab.background import joined
from dfaas_lab.k6.custom_script import CustomScript
from dfaas_lab.k6.launch import inspect
from dfaas_lab.services.reachability import check_reachable

if TYPE_CHECKING:
    from dfaas_lab.execution.part import Part


def preflight_all(parts: Sequence[Part]) -> list[Part]:
    """Look at several targets side by side; see :func:`preflight`.

    Raises:
        DfaasLabError: The first that cannot be measured; its notes name the others.
    """
    if len(parts) == 1:
        return [preflight(parts[0])]
    ready: dict[int, Part] = {}
    errors: dict[int, BaseException] = {}

    def check(index: int, part: Part) -> None:
        try:
            ready[index] = preflight(part)
        except BaseException as error:  # raised again in the thread that waits
            errors[index] = error

    threads = [
        # Daemons: an interrupt waits for none of them.
        threading.Thread(target=check, args=(index, part), daemon=True)
        for index, part in enumerate(parts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise joined([errors[index] for index in sorted(errors)])
    return [ready[index] for index in range(len(parts))]


def preflight(part: Part) -> Part:
    """Look whether a target can be measured as asked; return the part with what it takes.

    Raises:
        K6Missing: The generator is not provisioned.
        GatewayError: Nothing listens at the gateway's address.
        K6ScriptError: k6 refuses the script.
        ConfigError: The generator has too little memory or disk.
    """
    target, generator, plan = part.target, part.target.generator, part.spec.plan
    k6_path = generator.k6_path()
    with ThreadPoolExecutor(1, "dfaas-lab-free") as beside:
        measured = beside.submit(generator.measure_free_resources)
        check_reachable(
            target.gateway, generator.remote, target=target.name, generator=generator.name
        )
    measured.result()
    if isinstance(plan, CustomScript):
        needs = inspect(generator.remote, generator.workspace_root, k6_path, plan)
        return replace(part, spec=replace(part.spec, plan=plan.requiring(needs)))
    part.spec.preview(**generator.free_resources())
    return part
