"""Separates the doubts that the generator caused, by iteration."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from dfaas_lab.run import Run


def generator_doubts(run: Run, iteration: int, *, on_generator: bool = False) -> tuple[str, ...]:
    """Return what the generator itself did that speaks against one iteration of a run.

    A doubt that names no iteration is of all of them.

    Args:
        run: The run.
        iteration: Its iteration.
        on_generator: Whether the node is the generator itself. Then busy processors are the node's
            load as well as the generator's, and no fault.
    """
    causes = {"generator"} if on_generator else {"generator", "processor"}
    return tuple(
        str(doubt)
        for doubt in run.verdict.doubts
        if doubt.cause in causes and iteration in (doubt.iterations or (iteration,))
    )


def shares_generator(gateway: str) -> bool:
    """Whether a gateway's URL, as the generator sees it, is the generator itself."""
    host = urlsplit(gateway).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
