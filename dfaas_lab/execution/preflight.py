"""Preflight: whether a target can be measured (k6, gateway, free resources, script)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from dfaas_lab.background import joined, side_by_side
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
    jobs = side_by_side(partial(preflight, part) for part in parts)
    errors = [job.error for job in jobs if job.error is not None]
    if errors:
        raise joined(errors)
    return [job.result() for job in jobs]


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
