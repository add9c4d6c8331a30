"""The status and the error of an iteration, from k6's exit code and the stop reason.

The codes are those of k6's source, ``errext/exitcodes/codes.go``, and of POSIX shells (126, 127,
and 128 + the number of a signal).
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace

from dfaas_lab.errors import (
    K6Crashed,
    K6Error,
    K6Interrupted,
    K6Missing,
    K6ScriptError,
    K6TimedOut,
)

_PROVISION = "Provision the generator again: generator.provision(force=True)."
_READ_LOG = "Read k6's last lines; they name the cause."
_WHO = "Look on the generator for who did it: a person, a shutdown, or a service manager."


@dataclass(frozen=True)
class Outcome:
    """How one run of k6 ended.

    Attributes:
        status: ``ok``, ``slo_failed``, ``interrupted``, ``timed_out`` or ``failed``.
        error: The error to raise once the data is stored; None where there is nothing to raise.
        what: What happened, as a sentence without its full stop.
        hint: What to do next; empty where there is nothing to do.
    """

    status: str
    error: type[K6Error] | None
    what: str
    hint: str = ""


# The exit codes with which k6 has done all of its load: the data is complete.
_COMPLETE = {
    0: Outcome("ok", None, "k6 ended well"),
    99: Outcome("slo_failed", None, "k6 ended, and at least one threshold was crossed"),
    101: Outcome("ok", None, "k6 ended, but the script's teardown failed; the data is complete"),
    110: Outcome("slo_failed", None, "k6 ended, and the script marked the test as failed"),
}

_BY_ITSELF = {
    # Not k6's own: launch.sh says so.
    74: Outcome(
        "failed",
        K6Error,
        "k6 was not started: its workspace cannot be written",
        "Look at the disk and the rights of the workspace root there.",
    ),
    2: Outcome("failed", K6Crashed, "k6 ended with a fatal error of its runtime", _READ_LOG),
    100: Outcome("failed", K6ScriptError, "the script's setup took too long", "See setupTimeout."),
    103: Outcome("interrupted", K6Interrupted, "k6 was stopped through its REST API", _WHO),
    104: Outcome("failed", K6ScriptError, "k6 refused the options", _READ_LOG),
    105: Outcome(
        "interrupted", K6Interrupted, "k6 was stopped by a signal that was not ours", _WHO
    ),
    106: Outcome(
        "failed",
        K6Crashed,
        "k6 could not open its REST address: it is taken",
        "Is another k6 running on the generator?",
    ),
    107: Outcome("failed", K6ScriptError, "the script failed with an exception", _READ_LOG),
    108: Outcome("failed", K6ScriptError, "the script ended the test: test.abort()", _READ_LOG),
    109: Outcome("failed", K6Crashed, "k6 panicked", _READ_LOG),
    126: Outcome(
        "failed",
        K6Missing,
        "the generator cannot execute its k6: is it for another architecture?",
        _PROVISION,
    ),
    127: Outcome("failed", K6Missing, "the generator has no k6", _PROVISION),
    137: Outcome(
        "failed",
        K6Crashed,
        "k6 was killed; most likely the generator ran out of memory",
        "Use fewer VUs or smaller bodies, or a generator with more memory.",
    ),
}

_VANISHED = Outcome(
    "failed",
    K6Crashed,
    "k6 and its supervisor vanished: was the generator restarted?",
    "Check the generator, then run again.",
)

_STOPPED = {
    "interrupt": Outcome("interrupted", None, "k6 was stopped by an interrupt"),
    "timeout": Outcome(
        "timed_out",
        K6TimedOut,
        "k6 was stopped by the run's time limit",
        "Raise the time limit, or shorten the load.",
    ),
    "lease": Outcome(
        "interrupted",
        K6Interrupted,
        "k6 was stopped because its controller was gone for longer than the lease",
        'Keep the controller connected, or give a longer lease: Limits(lease="5m").',
    ),
    "supervisor": Outcome(
        "interrupted",
        K6Interrupted,
        "k6 was stopped because its supervisor on the generator was gone",
        _WHO,
    ),
}

# Signals by which someone asks a process to end; any other kills it for a fault.
_ASKING = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}


def outcome_of(exit_code: int | None, reason: str | None, killed: bool = False) -> Outcome:
    """Tell how a run of k6 ended.

    Args:
        exit_code: k6's exit code as a shell reports it; None where nobody was left to see it.
        reason: Why we asked k6 to end: ``interrupt``, ``timeout``, ``lease`` or ``supervisor``;
            None where we did not.
        killed: Whether k6 did not end in time when we asked, and we killed it.
    """
    # A stop that came too late changes nothing: k6 had done its load.
    if exit_code in _COMPLETE:
        return _COMPLETE[exit_code]
    if reason is not None:
        return _stopped(reason, killed)
    if exit_code is None:
        return _VANISHED
    what = f"k6 ended with exit code {exit_code}"
    unknown = Outcome("failed", K6Error, what, _READ_LOG)
    return _BY_ITSELF.get(exit_code) or _signalled(exit_code) or unknown


def _stopped(reason: str, killed: bool) -> Outcome:
    found = _STOPPED.get(reason) or Outcome(
        "interrupted", K6Interrupted, f"k6 was stopped for a reason not known here: {reason}"
    )
    if not killed:
        return found
    what = f"{found.what}; it did not end in time and was killed, so its last samples may be lost"
    return replace(found, what=what)


def _signalled(exit_code: int) -> Outcome | None:
    try:
        number = signal.Signals(exit_code - 128)
    except ValueError:
        return None
    if number in _ASKING:
        what = f"k6 was ended by {number.name}, a signal that was not ours"
        return Outcome("interrupted", K6Interrupted, what, _WHO)
    return Outcome("failed", K6Crashed, f"k6 was killed by {number.name}", _READ_LOG)
