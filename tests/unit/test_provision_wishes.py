"""What is wanted of hosts, as values: which wishes are the same, which share a run, which clash."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dfaas_lab.config import Host
from dfaas_lab.errors import ConfigError
from dfaas_lab.generator import Generator
from dfaas_lab.load import Function
from dfaas_lab.provision.hosts import batches_of
from dfaas_lab.provision.local_k6 import local_k6
from dfaas_lab.provision.locks import common_folder
from dfaas_lab.provision.marker import parse_marker
from dfaas_lab.provision.provision import distinct, provision
from dfaas_lab.provision.spec import GeneratorSpec, TargetSpec
from dfaas_lab.target import Target

HOST = Host("10.0.0.50", user="ubuntu")
SPEC = GeneratorSpec(host=HOST, name="big", k6_version="1.1.0")


def behind(jump: str) -> GeneratorSpec:
    return replace(SPEC, host=replace(HOST, jump=Host(jump)))


def test_one_address_behind_two_jump_hosts_is_two_hosts() -> None:
    specs = [behind("a"), behind("b"), SPEC]
    assert distinct(specs) == specs
    assert [spec.label for spec in specs] == [
        "ubuntu@10.0.0.50 via a",
        "ubuntu@10.0.0.50 via b",
        "ubuntu@10.0.0.50",
    ]
    far = replace(HOST, jump=Host("a", jump=Host("c")))
    assert len(distinct([*specs, replace(SPEC, host=far)])) == 4


def test_a_version_is_the_same_however_it_is_written() -> None:
    written = replace(SPEC, k6_version="v1.1.0")
    assert written == SPEC
    assert (written.key, written.digest()) == (SPEC.key, SPEC.digest())
    assert Generator("a", k6_version="v1.1.0")._spec().k6_version == "1.1.0"


def test_a_key_begins_with_the_place_that_has_one_state() -> None:
    other = replace(SPEC, k6_version="1.0.0", k6_source="release")
    assert other.state_key == SPEC.state_key
    assert other.key != SPEC.key
    target = TargetSpec(host=HOST, name="t")
    for spec in (SPEC, other, target):
        assert spec.key[: len(spec.state_key)] == spec.state_key
    assert replace(SPEC, workspace_root="/data").state_key != SPEC.state_key


def test_two_versions_in_one_place_are_refused_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match=r"k6 1\.1\.0 and 1\.0\.0 are wanted in /tmp") as caught:
        provision([SPEC, replace(SPEC, k6_version="1.0.0")])
    assert "workspace_root" in caught.value.hint


def test_a_target_with_another_generator_is_set_up_anew() -> None:
    def target(**more: Generator) -> Target:
        made = {"generator": Generator("a"), **more}
        return Target("t", gateway="http://g:1", functions=[Function("env")], **made)

    key = target()._setup().key
    assert key == target()._setup().key
    assert key != target(generator=Generator("b"))._setup().key
    assert key != target(via=Generator("a"))._setup().key


def test_a_machine_comes_once_in_a_batch() -> None:
    tuned = replace(SPEC, variables={"k6_tuning": True})
    node = TargetSpec(host=HOST, name="node")
    other = replace(SPEC, host=Host("b"))
    assert batches_of([tuned, node, other], lambda spec: spec.host.address) == [
        [[tuned], [other]],  # at the same time, since they do not share their variables
        [[node]],
    ]
    assert batches_of([SPEC, other], lambda spec: spec.host.address) == [[[SPEC, other]]]
    assert batches_of([], lambda spec: spec.key) == []


def test_hosts_that_differ_in_their_password_share_no_run() -> None:
    secret = replace(SPEC, host=Host("b", become_password="x"))
    assert batches_of([SPEC, secret], lambda spec: spec.host.address) == [[[SPEC], [secret]]]


@pytest.mark.parametrize(
    ("folders", "common"),
    [
        (["/opt/k6"], "/opt/k6"),
        (["/opt/a/k6", "/opt/ab/k6"], "/opt"),
        (["/opt/a", "/opt/a/b"], "/opt/a"),
        (["/opt/a", ""], "/"),
        (["", ""], "/"),
        (["k6", "/opt"], "/"),
    ],
)
def test_one_lock_is_for_all_folders(folders: list[str], common: str) -> None:
    assert common_folder(folders) == common


def test_a_k6_for_another_system_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_k6() is not None
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert local_k6() is None


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("k6 v2.2.0 (commit/1a2b3c, go1.25.0, linux/amd64)", "2.2.0"),
        ("k6 v2.0.0-rc1 (go1.25.0, linux/amd64)\nExtensions:\n  xk6-sql v1.0", "2.0.0-rc1"),
        ("k6 v1.1.0 (commit/0d4e2, go1.24.3, linux/amd64)", "1.1.0"),
    ],
)
def test_a_k6_of_any_version_is_taken_at_its_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, version: str
) -> None:
    fake = tmp_path / "k6 of [2026]"
    fake.write_text(f"#!/bin/sh\necho '{says}'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("DFAAS_LAB_K6", str(fake))
    own = local_k6()
    assert own is not None
    assert (own.path, own.version) == (fake, version)
    assert replace(SPEC, k6_version=None).wanted_version == version
    marker = f'{{"format": 1, "playbook_digest": "d", "k6_version": "{version}", "k6_path": "/k6"}}'
    read = parse_marker(marker, says)
    assert read is not None
    assert read.answers
    other = parse_marker(marker.replace(version, "1.0.0"), says)
    assert other is not None
    assert not other.answers


def test_a_named_k6_that_does_not_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFAAS_LAB_K6", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="DFAAS_LAB_K6"):
        local_k6()
