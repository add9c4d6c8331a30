"""What was asked is read back from what was stored, as it was; what is damaged is refused."""

from __future__ import annotations

import json
import string
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfaas_lab import Function, Limits
from dfaas_lab.errors import ConfigError
from dfaas_lab.redaction import SAFE_HEADERS
from dfaas_lab.reproduce import differences
from dfaas_lab.spec.manifest import load_of, part_of, script_of, terms_of
from dfaas_lab.spec.manifest_functions import bodies, described, functions_of
from dfaas_lab.store import Store
from dfaas_lab.store.manifest import dump

ORDER: dict[str, Any] = {
    "load": {"figlet": 2.5, "env": 0.0},
    "duration_s": 90.5,
    "thresholds": {"figlet": "p(95)<200"},
    "iterations": 3,
    "rest_s": 1.5,
    "warmup_s": 0.0,
    "limit_s": 120,
    "lease_s": 60,
}
tokens = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=12).filter(
    lambda name: name.casefold() not in SAFE_HEADERS
)
functions = st.builds(
    Function,
    st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True),
    method=st.sampled_from(["GET", "POST", "PUT"]),
    path=st.sampled_from(["", "/sub", "?x=1&y=%20", "/a?token=s3cret-Zq9"]),
    body=st.binary(max_size=40) | st.text(max_size=20),
    headers=st.dictionaries(
        tokens, st.sampled_from(["a", "s3cret-Zq9", "***", ""]), max_size=3
    ).filter(lambda headers: len(set(map(str.casefold, headers))) == len(headers)),
    timeout=st.sampled_from(["10s", "1m30s"]),
    max_rate=st.none() | st.floats(0.1, 1000),
    image=st.none() | st.just("ghcr.io/openfaas/figlet:latest"),
)


def stored(entries: object) -> Any:
    """Return what a manifest holds after it was written and read."""
    return json.loads(dump({"functions": entries}))["functions"]


@given(st.lists(functions, max_size=4, unique_by=lambda function: function.name))
def test_functions_come_back_as_they_were_sent(asked: list[Function]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        for body, content in bodies(asked).items():
            (folder / body).write_bytes(content)
        entries = stored(described(asked))
        own = {function.name: function for function in asked}
        back = functions_of(folder, entries, own)
    assert "s3cret" not in json.dumps(entries)
    for one, other in zip(asked, back, strict=True):
        assert one.body_bytes() == other.body_bytes()
        for name in ("name", "method", "path", "headers", "timeout", "max_rate", "image"):
            assert getattr(one, name) == getattr(other, name)


def test_each_body_is_stored_once() -> None:
    same = [Function("a", method="POST", body="x"), Function("b", method="POST", body=b"x")]
    assert list(bodies([*same, Function("c")]).values()) == [b"x"]


def test_what_is_not_stored_and_not_known_is_named(tmp_path: Path) -> None:
    secret = {"X-Api": "1", "Authorization": "2", "Accept": "text/plain"}
    entries = described([Function("env", headers=secret, path="?token=3")])
    known = {"env": Function("env", headers={"x-api": "9"})}
    with pytest.raises(ConfigError, match="not stored") as caught:
        functions_of(tmp_path, entries, known)
    assert "header Authorization of env" in caught.value.message
    assert "path ?token=*** of env" in caught.value.message
    assert "X-Api" not in caught.value.message


@pytest.mark.parametrize(
    "change",
    [
        {"body": "../../etc/passwd"},
        {"body": "body-" + "0" * 32},
        {"body": 5},
        {"name": "../x"},
        {"name": None},
        {"path": 7},
        {"headers": ["a"]},
        {"timeout": "soon"},
        {"method": "BREW"},
    ],
)
def test_a_function_from_a_stranger_is_checked(tmp_path: Path, change: dict[str, object]) -> None:
    asked = [Function("env", method="POST", body="x")]
    for name, body in bodies(asked).items():
        (tmp_path / name).write_bytes(body)
    (tmp_path / ("body-" + "0" * 32)).write_bytes(b"another body")
    (entry,) = described(asked)
    functions_of(tmp_path, [entry], {})  # as it is, it can be read
    with pytest.raises(ConfigError):
        functions_of(tmp_path, [entry | change], {})


def test_the_terms_come_back() -> None:
    assert terms_of(ORDER) == {
        "iterations": 3,
        "limits": Limits(timeout=timedelta(seconds=120), lease=timedelta(seconds=60)),
        "rest": timedelta(seconds=1.5),
        "warmup": timedelta(0),
    }
    assert load_of(ORDER) == {
        "load": {"figlet": 2.5, "env": 0.0},
        "duration": timedelta(seconds=90.5),
        "thresholds": {"figlet": "p(95)<200"},
    }
    assert terms_of(ORDER | {"lease_s": 0})["limits"].lease == Limits().lease  # it was detached


@pytest.mark.parametrize("name", ["iterations", "rest_s", "warmup_s", "limit_s", "lease_s"])
def test_terms_that_are_not_whole_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="does not say"):
        terms_of({key: value for key, value in ORDER.items() if key != name})
    if name != "iterations":
        with pytest.raises(ConfigError, match="does not say"):
            terms_of(ORDER | {name: 1e30})


@pytest.mark.parametrize("change", [{"load": 5}, {"duration_s": "1s"}, {"thresholds": 5}])
def test_a_load_that_is_none_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="does not say"):
        load_of(ORDER | change)


def test_the_part_of_a_run_of_several_is_named() -> None:
    several = {"run_id": "r", "orders": {"node1": ORDER, "node2": ORDER}}
    assert part_of(several, "node2") == "node2"
    assert part_of({"orders": {"node1": ORDER}}, "mid") == "node1"
    with pytest.raises(ConfigError, match="node1"):
        part_of(several, "mid")
    for manifest in ({}, {"orders": {}}, {"orders": [1]}):
        with pytest.raises(ConfigError, match="does not say what was asked"):
            part_of(manifest, "mid")


def test_a_damaged_script_is_refused(tmp_path: Path) -> None:
    orders = {"orders": {"mid": {"script": "a.js"}}}
    outside = b'{"env": [], "main": "a.js", "sources": {"../a.js": ""}}'
    for number, text in enumerate((b"", b"[]", b"{}", outside)):
        folder = Store(tmp_path / "results").create_run(f"r{number}", orders, {"script.json": text})
        with pytest.raises(ConfigError):
            script_of(folder, "mid", None, trusted=True)


def test_differences_are_what_is_known_of_both() -> None:
    def manifest(k6: str, image: str | None, memory: int) -> dict[str, Any]:
        made = {
            "dfaas_lab": "0.1.0",
            "generators": {"g": {"k6_version": k6, "memory_bytes": memory, "problem": "x"}},
            "targets": {"mid": {"functions": {"env": {"image": image, "digest": None}}}},
        }
        return {"orders": {"mid": {"generator": "g"}}, "provenance": made}

    then, now = manifest("1.0.0", "env:1", 8_000_000_000), manifest("1.1.0", "env:2", 8_000_300_000)
    assert differences(then, now, ("mid", "mid")) == [
        {"what": "generator's k6_version", "then": "1.0.0", "now": "1.1.0"},
        {"what": "image of env", "then": "env:1", "now": "env:2"},
    ]
    assert differences(then, then, ("mid", "mid")) == []
    unknown = {"orders": {"mid": {}}}
    assert differences(unknown, now, ("mid", "mid")) == []
