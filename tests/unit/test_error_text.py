"""What a notebook shows of an error: few lines, in a real IPython; and all of it on request."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from dfaas_lab import errors
from dfaas_lab.display.error_text import MOST_LINES
from dfaas_lab.errors import ConfigError, DfaasLabError, Interrupted, K6Crashed, ProvisionError

_COLOUR = re.compile(r"\x1b\[[\d;]*m")
LOG = "\n".join(f"k6 line {at}" for at in range(20))


def shown(code: str) -> str:
    """Return what a cell with this code prints."""
    printed = io.StringIO()
    shell = InteractiveShell.instance()
    with redirect_stdout(printed):
        shell.run_cell(code)
    return _COLOUR.sub("", printed.getvalue())


BEGIN = "from dfaas_lab import errors\nfrom dfaas_lab.load import seconds\n"


def test_the_cells_own_line_the_message_and_the_hint_are_shown() -> None:
    said = shown(f"{BEGIN}seconds('3 minutes')")
    assert "----> 3 seconds('3 minutes')" in said
    assert "ConfigError: duration is no duration that k6 takes" in said
    assert "Write it as k6 does" in said
    assert "raise ConfigError" not in said  # our own source


def test_the_magic_tb_shows_all() -> None:
    shown(f"{BEGIN}seconds('3 minutes')")
    assert "raise ConfigError" in shown("%tb")


@pytest.mark.parametrize(
    "error",
    [
        K6Crashed("k6 was killed", workspace="h:/tmp/x", log_tail=LOG, hint="Look there."),
        ProvisionError(LOG, hint="Look at them."),
        ConfigError("x" * 100_000, hint="y\n" * 300),
        DfaasLabError("\x1b[2J\r\nroot#"),
    ],
)
def test_no_error_takes_more_than_a_few_lines(error: DfaasLabError) -> None:
    lines = error._render_traceback_()
    assert len(lines) <= MOST_LINES
    assert all(_COLOUR.sub("", line).isprintable() for line in lines)
    assert sum(map(len, lines)) < 12_000
    if error.hint:
        assert error.hint.splitlines()[-1] in "\n".join(lines)


def test_notes_are_shown_too() -> None:
    error = ConfigError("one", hint="do")
    error.add_note("Also: another target failed")
    assert any("Also: another" in line for line in error._render_traceback_())


def test_an_interrupt_says_what_was_kept_and_is_known_by_its_name() -> None:
    said = shown(f"{BEGIN}raise errors.Interrupted('k6 was ended; 15 requests are kept')")
    assert "KeyboardInterrupt: k6 was ended; 15 requests are kept" in said
    assert Interrupted.__name__ == "KeyboardInterrupt"
    assert issubclass(Interrupted, KeyboardInterrupt)


def test_every_error_is_rendered() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    ours = [kind for kind in kinds if issubclass(kind, BaseException)]
    assert len(ours) > 20
    assert all(hasattr(kind, "_render_traceback_") for kind in ours)


def test_a_script_keeps_its_traceback(tmp_path: Path) -> None:
    code = "from dfaas_lab.load import seconds\nseconds('x')"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "Traceback (most recent call last)" in ended.stderr
    assert "dfaas_lab/load/duration.py" in ended.stderr
