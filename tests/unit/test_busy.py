"""What takes more than a second leaves a line; what does not leaves nothing."""

from __future__ import annotations

import contextlib

import pytest

from dfaas_lab.widgets import busy


def shown(capsys: pytest.CaptureFixture[str], took_s: float, error: BaseException | None) -> str:
    times = iter([0.0, took_s])
    expected = contextlib.nullcontext() if error is None else pytest.raises(type(error))
    with expected, busy("check", "looks at node1", clock=lambda: next(times)) as tell:
        if error is not None:
            raise error
        tell("14 checks, 1 lacking")
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("took_s", "error", "line"),
    [
        (0.4, None, ""),
        (2.5, None, "\u2713 check: 14 checks, 1 lacking \u00b7 2.5 s\n"),
        (2.5, ValueError(), "\u2717 check: looks at node1 \u00b7 2.5 s\n"),
        (70.0, KeyboardInterrupt(), "\u25a0 check: looks at node1 \u00b7 1 min 10 s\n"),
    ],
    ids=["short", "long", "failed", "interrupted"],
)
def test_a_line_stays_of_what_takes_more_than_a_second(
    capsys: pytest.CaptureFixture[str], took_s: float, error: BaseException | None, line: str
) -> None:
    assert shown(capsys, took_s, error) == line
