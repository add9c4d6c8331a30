"""What went wrong: one host's failure before its playbook, and several failures as one error."""

from __future__ import annotations

from collections.abc import Sequence

from dfaas_lab.errors import (
    CommandFailed,
    DfaasLabError,
    HostUnreachable,
    ProvisionError,
    RemoteError,
    TaskFailed,
)
from dfaas_lab.provision.answers import SHELL_HINT
from dfaas_lab.provision.spec import Spec


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


def failure_of(spec: Spec, error: DfaasLabError) -> ProvisionError:
    """Return what kept us from a host, before its playbook, as the failure of that host."""
    if isinstance(error, ProvisionError):
        return error
    failure: ProvisionError
    host, text = spec.host.address, error.message
    if isinstance(error, CommandFailed):  # it was reached
        hint = f"{error.hint or SHELL_HINT} Then call provision() again."
        failure = TaskFailed(text, host=host, task="Look at the host", detail=text, hint=hint)
    else:
        said = text if isinstance(error, RemoteError) else f"{spec.label}: {text}"
        failure = HostUnreachable(said, host=host, hint=error.hint)
    failure.__cause__ = error
    return failure
