"""A look that may fail: the error becomes what was found, with its own hint as the fix."""

from __future__ import annotations

from collections.abc import Callable

from dfaas_lab.checks.finding import Finding
from dfaas_lab.errors import DfaasLabError


def attempt(check: str, look: Callable[[], Finding]) -> Finding:
    """Look, and return what was found or what kept us from it."""
    try:
        return look()
    except DfaasLabError as error:
        return Finding(check, False, error.message, error.hint)
