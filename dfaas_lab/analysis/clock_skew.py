"""Clock skew between gateways and their generator while a run was measured. Pure."""

from __future__ import annotations

import polars as pl

from dfaas_lab.clock import Skew


def gateway_skews(k6_metrics: pl.DataFrame) -> dict[str, Skew]:
    """Return how far each target's gateway was ahead of the generator while it was measured.

    k6 notes some answers' ``Date`` less its own clock as ``dfaas_date_lead_ms``. A date is rounded
    down to whole seconds: the lead is at least the largest of them, and less than the smallest and
    a second. The answer's way, some milliseconds, is left out.

    Args:
        k6_metrics: As ``run.k6_metrics``.

    Returns:
        By target; without those whose gateway sends no date.
    """
    leads = (
        k6_metrics.filter(metric="dfaas_date_lead_ms")
        .group_by("target")
        .agg(low=pl.col("max").max() / 1000, high=pl.col("min").min() / 1000 + 1)
        .drop_nulls()
        .sort("target")
    )
    return {
        # Where the clock was set meanwhile, the largest contradicts the smallest.
        target: Skew((low + high) / 2, max((high - low) / 2, 0.0))
        for target, low, high in leads.rows()
    }


def clock_skew(k6_metrics: pl.DataFrame) -> dict[str, dict[str, float]]:
    """The skews as a manifest holds them: by target, ``seconds`` and ``uncertainty_s``."""
    return {
        target: {
            "seconds": round(skew.seconds, 3),
            "uncertainty_s": round(skew.uncertainty_s, 3),
        }
        for target, skew in gateway_skews(k6_metrics).items()
    }
