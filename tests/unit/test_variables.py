"""What the playbooks may be told, and that it is the same as what they read."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from dfaas_lab import Generator
from dfaas_lab.errors import ConfigError
from dfaas_lab.playbook_variables import ARGUMENTS, COMPUTED, PLACES, SETTABLE
from dfaas_lab.provision import playbooks_folder


def test_each_variable_of_the_playbooks_is_settable_or_refused_with_a_reason() -> None:
    text = (playbooks_folder() / "group_vars" / "all.yml").read_text(encoding="utf-8")
    playbooks = set(yaml.safe_load(text))
    known = {*SETTABLE, *ARGUMENTS, *COMPUTED}
    assert playbooks <= known
    assert set(SETTABLE) <= playbooks
    assert len(known) == len(SETTABLE) + len(ARGUMENTS) + len(COMPUTED)


def test_what_is_computed_is_said_to_be_so_or_registered_there() -> None:
    texts = [path.read_text(encoding="utf-8") for path in playbooks_folder().rglob("*.yml")]
    for name in COMPUTED:
        assert any(f"\n{name}:" in text or f"register: {name}\n" in text for text in texts), name


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("k6_version", "k6_version"),
        ("k6_source", "k6_source"),
        ("workspace_root", "workspace_root"),
        ("k6_install_dir", "the variable install_dir"),
        ("k6_user", "user"),
    ],
)
def test_a_variable_with_an_argument_of_its_own_is_refused(name: str, argument: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' would contradict") as caught:
        Generator("g", variables={name: "x"})
    assert caught.value.hint == f"Give it as {argument}."


@pytest.mark.parametrize("name", COMPUTED)
def test_what_is_computed_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' is computed"):
        Generator("g", variables={name: "x"})


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"k6_relase_url": "x"}, "did you mean 'k6_release_url'"),
        ({"k6_release_checksum": ""}, "verifies nothing"),
        ({"k6_release_checksum": " "}, "verifies nothing"),
        ({"k6_release_checksum": None}, "verifies nothing"),
        ({"install_dir": "~/k6"}, "no absolute path"),
    ],
)
def test_what_would_go_wrong_later_is_refused(variables: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Generator("g", variables=variables)


def test_what_can_be_set_arrives() -> None:
    places = dict.fromkeys(PLACES, "/there")
    variables = {"k6_release_checksum": "sha256:0", "k6_tuning": True}
    spec = Generator("g", variables={**places, **variables}).spec()
    assert (spec.install_dir, spec.python, spec.remote_tmp) == ("/there",) * 3
    assert dict(spec.variables) == variables


def test_an_unknown_source_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'relaese'; did you mean 'release'"):
        Generator("g", k6_source="relaese")
