"""Writes how a run ended into its manifest: its status and the clock skew of its gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfaas_lab.analysis.clock_skew import clock_skew
from dfaas_lab.run import stored_status

if TYPE_CHECKING:
    from dfaas_lab.store import RunFolder


def finalize(folder: RunFolder, *, status: str) -> None:
    """Write the run's final status, and how far each gateway's clock was from its generator's.

    Args:
        folder: The run's.
        status: The worst of its iterations'; none is ``ok`` that is not in the store.

    Raises:
        StoreError: It cannot be written.
    """
    status = stored_status(folder, status)
    folder.update(status=status, clock_skew=clock_skew(folder.frame("k6_metrics")))
