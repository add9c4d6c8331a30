"""What k6's exit codes and our own stops mean."""

from __future__ import annotations

import pytest

from dfaas_lab.errors import (
    K6Crashed,
    K6Error,
    K6Interrupted,
    K6Missing,
    K6ScriptError,
    K6TimedOut,
)
from dfaas_lab.k6.exit_codes import outcome_of

REASONS = ["interrupt", "timeout", "lease", "supervisor"]


@pytest.mark.parametrize(
    ("exit_code", "status", "error"),
    [
        (0, "ok", None),
        (99, "slo_failed", None),
        (101, "ok", None),
        (110, "slo_failed", None),
        (2, "failed", K6Crashed),
        (100, "failed", K6ScriptError),
        (103, "interrupted", K6Interrupted),
        (104, "failed", K6ScriptError),
        (105, "interrupted", K6Interrupted),
        (106, "failed", K6Crashed),
        (107, "failed", K6ScriptError),
        (108, "failed", K6ScriptError),
        (109, "failed", K6Crashed),
        (126, "failed", K6Missing),
        (127, "failed", K6Missing),
        (129, "interrupted", K6Interrupted),
        (130, "interrupted", K6Interrupted),
        (134, "failed", K6Crashed),
        (137, "failed", K6Crashed),
        (139, "failed", K6Crashed),
        (143, "interrupted", K6Interrupted),
        (None, "failed", K6Crashed),
        (1, "failed", K6Error),
        (255, "failed", K6Error),
    ],
)
def test_k6_that_we_did_not_stop(
    exit_code: int | None, status: str, error: type[K6Error] | None
) -> None:
    found = outcome_of(exit_code, None)
    assert (found.status, found.error) == (status, error)
    assert found.what
    assert bool(found.hint) == (error is not None), "an error says what to do next, a success not"


@pytest.mark.parametrize("exit_code", [1, 2, 103, 105, 107, 130, 137, 143, None])
@pytest.mark.parametrize(
    ("reason", "status", "error"),
    [
        ("interrupt", "interrupted", None),
        ("timeout", "timed_out", K6TimedOut),
        ("lease", "interrupted", K6Interrupted),
        ("supervisor", "interrupted", K6Interrupted),
    ],
)
def test_our_own_stop_explains_the_end_whatever_the_exit_code(
    exit_code: int | None, reason: str, status: str, error: type[K6Error] | None
) -> None:
    found = outcome_of(exit_code, reason)
    assert (found.status, found.error) == (status, error)


@pytest.mark.parametrize("exit_code", [0, 99, 101, 110])
@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("killed", [False, True])
def test_a_stop_that_came_too_late_changes_nothing(
    exit_code: int, reason: str, killed: bool
) -> None:
    assert outcome_of(exit_code, reason, killed) == outcome_of(exit_code, None)


@pytest.mark.parametrize("reason", REASONS)
def test_a_kill_after_our_stop_is_told_and_keeps_the_status(reason: str) -> None:
    asked, killed = outcome_of(105, reason), outcome_of(137, reason, killed=True)
    assert (killed.status, killed.error, killed.hint) == (asked.status, asked.error, asked.hint)
    assert "killed" in killed.what
    assert "killed" not in asked.what


def test_a_reason_of_another_version_is_still_a_stop() -> None:
    found = outcome_of(105, "eclipse")
    assert (found.status, found.error) == ("interrupted", K6Interrupted)
    assert "eclipse" in found.what


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [(137, "memory"), (126, "architecture"), (139, "SIGSEGV"), (143, "SIGTERM"), (42, "42")],
)
def test_the_text_names_the_likely_cause(exit_code: int, words: str) -> None:
    assert words in outcome_of(exit_code, None).what


def test_a_missing_k6_says_how_to_get_one() -> None:
    assert "generator.provision(force=True)" in outcome_of(127, None).hint


def test_the_lease_is_named_as_the_cause() -> None:
    assert "lease" in outcome_of(105, "lease").what
    assert "lease" not in outcome_of(105, "supervisor").what
