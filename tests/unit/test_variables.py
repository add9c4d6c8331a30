"""What the playbooks may be told, and that it is the same as what they read."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from dfaas_lab import Generator
from dfaas_lab.errors import ConfigError
from dfaas_lab.playbook_variables import ARGUMENTS, COMPUTED, PLACES, SETTABLE
from dfaas_lab.provision.ansible import as_data
from dfaas_lab.provision.spec import playbooks_folder


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
    spec = Generator("g", variables={**places, **variables})._spec()
    assert (spec.install_dir, spec.python, spec.remote_tmp) == ("/there",) * 3
    assert dict(spec.variables) == variables


def test_an_unknown_source_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'relaese'; did you mean 'release'"):
        Generator("g", k6_source="relaese")


@pytest.mark.parametrize(
    "version", ["{{ 1 }}", "1.1.0; touch x", "latest", "1.1.0\n", 1.1, "v", "1" * 80, "-1.0", True]
)
def test_what_is_no_version_is_refused(version: Any) -> None:
    with pytest.raises(ConfigError, match="is no version"):
        Generator("g", k6_version=version)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_timeout_s", "{{ lookup('pipe', 'id') }}"),
        ("task_timeout_s", 0),
        ("task_timeout_s", True),
        ("apt_lock_wait_s", float("nan")),
        ("apt_lock_wait_s", 10**30),
        ("k6_tuning", "{{ true }}"),
        ("k6_tuning", 1),
        ("k6_processors", {"x86_64": 1}),
        ("k6_processors", "amd64"),
        ("k6_release_url", ["a"]),
        ("k6_release_url", "http://a\x1b[2J"),
        ("k6_apt_key_name", b"a"),
        ("remote_tmp", 7),
        ("remote_tmp", "/tmp/a  b"),
        ("remote_tmp", "/tmp/$HOME"),
        ("remote_tmp", "/tmp/[a]"),
        ("python", {"a": "b"}),
    ],
)
def test_a_value_of_another_kind_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{name}="):
        Generator("g", variables={name: value})


def test_a_value_reaches_ansible_as_data() -> None:
    hostile = "{{ lookup('pipe', 'id') }}"
    given = {"a": hostile, "b": [hostile, {"c": hostile, "d": 1.5}], "e": None, "f": True}
    unsafe = {"__ansible_unsafe": hostile}
    assert as_data(given) == {
        "a": unsafe,
        "b": [unsafe, {"c": unsafe, "d": 1.5}],
        "e": None,
        "f": True,
    }
    for odd in ({"__ansible_vault": "x"}, {"{{ a }}": 1}, {1: 2}, {"a": b"x"}, {"a": {"x"}}):
        with pytest.raises(ConfigError, match="cannot be given to Ansible"):
            as_data(odd)
