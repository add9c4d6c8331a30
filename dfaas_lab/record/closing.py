"""Closes the folder of a run: what is known of it at its end, written into its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfaas_lab.analysis.skew import gateway_skews

if TYPE_CHECKING:
    from dfaas_lab.store import RunFolder

Skews = dict[str, dict[str, float]]


def close_folder(folder: RunFolder, *, status: str) -> None:
    """Write down how a run ended, and how far its targets' clocks were from its generator's.

    Args:
        folder: The run's.
        status: The worst of its iterations'.

    Raises:
        StoreError: It cannot be written.
    """
    folder.update(status=status, clock_skew=clock_skew(folder))


def clock_skew(folder: RunFolder) -> Skews:
    """Return, by target, the lead of its gateway's clock: ``seconds`` and ``uncertainty_s``."""
    skews = gateway_skews(folder.frame("k6_metrics"))
    return {
        target: {
            "seconds": round(skew.seconds, 3),
            "uncertainty_s": round(skew.uncertainty_s, 3),
        }
        for target, skew in skews.items()
    }
