"""What was asked is read back from what was stored, as it was; what is damaged is refused."""

from __future__ import annotations

import inspect
import json
import string
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfaas_lab import Function, Lab, Limits, Target
from dfaas_lab.errors import ConfigError
from dfaas_lab.k6.custom_script import CustomScript, Requirements
from dfaas_lab.load import seconds
from dfaas_lab.redaction import SAFE_HEADERS
from dfaas_lab.reproduce import differences
from dfaas_lab.spec.manifest import (
    files_of,
    from_manifest,
    orders_of,
    part_of,
    to_manifest,
)
from dfaas_lab.spec.manifest_functions import bodies, described, functions_of
from dfaas_lab.spec.run_spec import RunOptions, RunSpec
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


rules = st.sampled_from(["p(95)<200", ["avg<5", "p(99)<60000"], ("max<9",)])
durations = st.sampled_from(
    ["0s", "50us", "1ns", "10ms", "1.5s", "0.1s", "1m30s", "1h"]
) | st.builds(timedelta, microseconds=st.integers(0, 10**12))
limits = st.none() | st.builds(
    Limits,
    timeout=st.none() | st.sampled_from(["20s", "1500ms", "2h"]) | st.just(timedelta(seconds=7.25)),
    lease=st.sampled_from(["3s", "60s", "90500ms", timedelta(minutes=5)]),
)


@st.composite
def specs(draw: st.DrawFn) -> tuple[RunSpec, list[Function]]:
    """Anything that ``run_k6`` takes, with the functions that it was asked of."""
    one_load = draw(st.sampled_from([None, 1, 2.5, 10]))
    asked = draw(st.lists(functions, min_size=1, max_size=3, unique_by=lambda one: one.name))
    load = one_load or {one.name: draw(st.sampled_from([1, 3, 0.5, 1 / 3])) for one in asked}
    loaded = asked if one_load else [asked[0]]
    spec = RunSpec.of(
        "http://10.0.0.60:8080",
        asked,
        draw(st.integers(1, 100_000)),
        load=load,
        duration=draw(
            st.sampled_from(["10s", "3.3s", "1m", timedelta(seconds=12, microseconds=1)])
        ),
        limits=draw(limits),
        rest=draw(st.sampled_from(["0s", "50us", "1ns", "1.5s"])),
        warmup=draw(st.sampled_from(["0s", "2s", "1.000001s"])),
        thresholds=draw(st.none() | st.fixed_dictionaries({one.name: rules for one in loaded})),
        served_by_header=draw(st.sampled_from(["Dfaas-Node-Id", "X-Node"])),
        detached=draw(st.booleans()),
    )
    return spec, asked


def read_back(
    spec: RunSpec, folder: Path, index: int = 0, own: list[Function] | None = None, **given: Any
) -> RunSpec:
    """Return what is read from the manifest and the files that were written of a spec."""
    for name, content in files_of(spec, index).items():
        (folder / name).write_bytes(content)
    orders = {f"t{n}": to_manifest(spec) for n in range(index + 1)}
    manifest = json.loads(dump({"orders": orders}))
    return from_manifest(orders_of(manifest), f"t{index}", folder, functions=own or (), **given)


@given(specs(), st.integers(0, 2))
def test_a_description_comes_back_from_its_manifest(
    made: tuple[RunSpec, list[Function]], index: int
) -> None:
    spec, asked = made
    with TemporaryDirectory() as name:
        assert read_back(spec, Path(name), index, asked) == spec


@given(durations, durations)
def test_any_rest_and_warm_up_comes_back(rest: Any, warmup: Any) -> None:
    function = Function("env", method="POST", body="x")
    spec = RunSpec.of("http://10.0.0.60:8080", [function], 2, rest=rest, warmup=_long(warmup))
    with TemporaryDirectory() as name:
        assert read_back(spec, Path(name)) == spec


def _long(warmup: Any) -> Any:
    """k6 takes no load below a second."""
    return warmup if seconds(warmup) >= 1 else "0s"


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("index", [0, 1])
def test_a_script_comes_back_with_its_environment(
    tmp_path: Path, detached: bool, index: int
) -> None:
    (tmp_path / "one.js").write_text('import "./two.js"; export default function () {}')
    (tmp_path / "two.js").write_text("// of one")
    env = {"GATEWAY": "http://10.0.0.60:8080"}
    spec = RunSpec.of(
        "http://10.0.0.60:8080", [Function("env")], 3, rest="50us", detached=detached,
        script=tmp_path / "one.js", env=env,
    )  # fmt: skip
    assert isinstance(spec.plan, CustomScript)
    known = replace(spec, plan=spec.plan.requiring(Requirements(90.5, 7)))
    assert read_back(known, tmp_path, index, env=env) == known
    with pytest.raises(ConfigError, match="environment GATEWAY"):
        read_back(known, tmp_path, index, env={})


def test_every_option_of_a_run_is_shown_where_it_can_be_given() -> None:
    options = set(get_type_hints(RunOptions))
    for method in (Target.run_k6, Target.start_k6, Lab.run_k6):
        shown = inspect.signature(method).parameters
        assert options < set(shown)
        assert all(shown[name].kind is inspect.Parameter.KEYWORD_ONLY for name in options)
        assert next(iter(list(shown)[1:])) == "iterations"
    assert inspect.signature(Target.run_k6).parameters["load"].default == 10


def as_order(change: dict[str, object] | None = None) -> dict[str, Any]:
    """An entry of format 1, as it was when there was no other."""
    return (
        {"gateway": "http://10.0.0.60:8080", "functions": described(LOADED)}
        | ORDER
        | (change or {})
    )


LOADED = [Function("figlet"), Function("env")]


def test_an_entry_of_format_1_is_read(tmp_path: Path) -> None:
    spec = from_manifest({"mid": as_order()}, "mid", tmp_path)
    assert (spec.iterations, spec.timeout_s, spec.lease_s) == (3, 120, 60)
    assert (spec.rest_s, spec.warmup_s, spec.plan.duration_s) == (1.5, 0.0, 90.5)
    assert spec.plan.load is not None
    assert spec.plan.load.rates == {"figlet": 2.5, "env": 0.0}
    assert spec.thresholds == {"figlet": "p(95)<200"}
    detached = from_manifest({"mid": as_order({"lease_s": 0, "detached": True})}, "mid", tmp_path)
    assert detached.attended().lease_s == 60


@pytest.mark.parametrize("name", ["iterations", "rest_s", "warmup_s", "limit_s", "lease_s"])
def test_terms_that_are_not_whole_are_refused(tmp_path: Path, name: str) -> None:
    without = {key: value for key, value in as_order().items() if key != name}
    with pytest.raises(ConfigError, match="does not say"):
        from_manifest({"mid": without}, "mid", tmp_path)
    for bad in (1e30, -1, "5", None, float("nan"), True, [1]):
        with pytest.raises(ConfigError, match="does not say"):
            from_manifest({"mid": as_order({name: bad})}, "mid", tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"load": 5},
        {"load": {"figlet": "1"}},
        {"load": {"nobody": 1}},
        {"load": {"figlet": float("inf")}},
        {"duration_s": "1s"},
        {"duration_s": 1e300},
        {"duration_s": -1.0},
        {"thresholds": 5},
        {"thresholds": {"figlet": 5}},
        {"thresholds": {"figlet": "drop table"}},
        {"functions": 5},
        {"functions": ["figlet"]},
        {"gateway": None},
        {"served_by_header": 5},
        {"detached": "yes"},
    ],
)
def test_a_load_that_is_none_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="does not say"):
        from_manifest({"mid": as_order(change)}, "mid", tmp_path)


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
    orders = {"mid": as_order({"script": "script/a.js"})}
    outside = b'{"env": [], "main": "a.js", "sources": {"../a.js": ""}}'
    for text in (None, b"", b"[]", b"{}", outside):
        if text is not None:
            (tmp_path / "script.json").write_bytes(text)
        with pytest.raises(ConfigError):
            from_manifest(orders, "mid", tmp_path)


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
