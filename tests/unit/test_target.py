"""What a target may be called."""

from __future__ import annotations

import pytest

from dfaas_lab import Function, Generator, Target
from dfaas_lab.errors import ConfigError


def target(name: str) -> Target:
    return Target(
        name,
        gateway="http://127.0.0.1:8080",
        generator=Generator("127.0.0.1"),
        functions=[Function("env")],
    )


@pytest.mark.parametrize("name", ["mid", "n\u0153ud 2", "\u8282\u70b9", "\U0001f980", "'\"<b>"])
def test_a_name_may_be_any_text(name: str) -> None:
    assert target(name).name == name


@pytest.mark.parametrize(
    "name", ["", "a/b", "a\nb", "a\x01", "\x1b[31m", "\x7f", "\x9b", "\ufffe", "\ud800", "a" * 101]
)
def test_a_name_has_no_control_character_and_no_slash(name: str) -> None:
    with pytest.raises(ConfigError, match="no target name"):
        target(name)
