"""What went wrong on several hosts, as one error."""

from __future__ import annotations

from collections.abc import Sequence

from dfaas_lab.errors import ProvisionError


def joined(failures: Sequence[ProvisionError], of: int) -> ProvisionError:
    """Return one error for these, which are one or more.

    Args:
        failures: One error for each that failed.
        of: How many there were.
    """
    if len(failures) == 1:
        return failures[0]
    text = "\n".join(str(failure) for failure in failures)
    return ProvisionError(
        f"{len(failures)} of {of} failed:\n{text}",
        failures=tuple(failures),
        hint="What succeeded stays. Call it again after the fixes.",
    )
