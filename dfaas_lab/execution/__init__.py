"""Measuring a run: preflight, create, iterations, results, attach."""
