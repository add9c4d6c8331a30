"""Which of a run's doubts are the generator's own fault, and in which iteration."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from dfaas_lab.run import Run

# Kinds of doubts, by their words. A slow node also makes k6 drop and leave requests: those are not
# the generator's fault.
_OWN = re.compile(r"generator|open files of k6|k6's wait|throttled|\blate\b|TLS", re.IGNORECASE)
_PROCESSOR = re.compile(r"CPU|throttled|\blate\b", re.IGNORECASE)
_ITERATIONS = re.compile(r"\biterations? ([0-9](?:[0-9, and]*[0-9])?)( more)?")


def generator_doubts(run: Run, iteration: int, *, on_generator: bool = False) -> tuple[str, ...]:
    """Return what the generator itself did that speaks against one iteration of a run.

    A doubt that names no iteration is of all of them.

    Args:
        run: The run.
        iteration: Its iteration.
        on_generator: Whether the node is the generator itself. Then busy processors are the node's
            load as well as the generator's, and no fault.
    """
    own = [doubt for doubt in run.verdict.doubts if _OWN.search(doubt.what)]
    if on_generator:
        own = [doubt for doubt in own if not _PROCESSOR.search(doubt.what)]
    return tuple(str(doubt) for doubt in own if _is_of(doubt.measured, iteration))


def shares_generator(gateway: str) -> bool:
    """Whether a gateway's URL, as the generator sees it, is the generator itself."""
    host = urlsplit(gateway).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_of(measured: str, iteration: int) -> bool:
    """Whether a doubt is of this iteration, as far as it names them."""
    found = _ITERATIONS.findall(measured)
    if not found or any(more for _, more in found):
        return True
    return iteration in {int(number) for text, _ in found for number in re.findall(r"\d+", text)}
