"""What a user asks for becomes a load, or an error that says what to do."""

from __future__ import annotations

import copy
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfaas_lab import Function
from dfaas_lab.errors import ConfigError
from dfaas_lab.load import Load, format_duration, seconds

FUNCTIONS = [Function("figlet"), Function("env")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 30), ("1m30s", 90), ("250ms", 0.25), ("1h", 3600), ("1.5m", 90), (".5s", 0.5)],
)
def test_durations_are_k6s(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "30", "s", "-3s", "3 s", "1s1", "1x", "ten", 30, None])
def test_other_durations_are_refused(text: object) -> None:
    with pytest.raises(ConfigError, match="30s"):
        seconds(text)  # type: ignore[arg-type]


def test_a_timedelta_is_a_duration() -> None:
    assert seconds(timedelta(minutes=1, milliseconds=500)) == 60.5
    with pytest.raises(ConfigError, match="negative"):
        seconds(timedelta(seconds=-1))


@given(st.integers(min_value=0, max_value=10**8))
def test_a_duration_survives_the_way_there_and_back(milliseconds: int) -> None:
    assert seconds(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


def test_one_rate_is_for_every_function() -> None:
    assert Load.of(5, duration="2s", functions=FUNCTIONS).rates == {"figlet": 5, "env": 5}


def test_a_mapping_names_its_functions_and_may_hold_a_zero() -> None:
    load = Load.of({"env": 0, "figlet": 2.5}, duration="2s", functions=FUNCTIONS)
    assert load.rates == {"figlet": 2.5, "env": 0}
    assert load.shares[0].rate == Fraction(5, 2)


@pytest.mark.parametrize(
    ("load", "duration", "word"),
    [
        ({}, "2s", "empty"),
        ({"figlt": 1}, "2s", "did you mean 'figlet'"),
        ({"figlet": -1}, "2s", "negative"),
        (0, "2s", "every rate is 0"),
        ({"figlet": 0.4}, "2s", "less than one request"),
        ({"figlet": float("nan")}, "2s", "no number"),
        ({"figlet": "5"}, "2s", "no number"),
        ({"figlet": True}, "2s", "no number"),
        (1e9, "2s", "more than any generator"),
        (10**400, "2s", "more than any generator"),
        (float("inf"), "2s", "more than any generator"),
        (50, "500ms", "too short"),
        (0.0002, "5h", "cannot make 0.0002 requests/s"),
        (1e-5, "100d", "below one an hour"),
    ],
)
def test_what_cannot_be_is_refused(load: object, duration: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        Load.of(load, duration=duration, functions=FUNCTIONS)  # type: ignore[arg-type]
    assert caught.value.hint


@pytest.mark.parametrize("name", ["", "Figlet", "-a", "a_b", "a.b.c", "a" * 64, "a b", "\u00e9"])
def test_a_function_name_is_a_dns_label(name: str) -> None:
    with pytest.raises(ConfigError, match="no function name"):
        Function(name)


@pytest.mark.parametrize("name", ["a", "figlet", "my-fn.ns", "0a"])
def test_a_name_may_have_a_namespace(name: str) -> None:
    assert Function(name).name == name


def test_headers_are_never_shown() -> None:
    function = Function("env", headers={"Authorization": "Bearer s3cret"})
    assert "s3cret" not in repr(function)
    assert "Authorization" in repr(function)


def test_header_values_are_shown_where_they_are_named_safe() -> None:
    headers = {"X-Node": "b", "X-Api": "s3cret", "Content-Type": "text/plain"}
    function = Function("env", headers=headers, safe_headers=["x-node"])
    assert function.shown_headers() == headers | {"X-Api": "***"}
    assert copy.deepcopy(function) == function


@pytest.mark.parametrize("names", [["Authorization"], ["X-Api-Key"], "X-Node", [1], 5])
def test_secrets_are_never_named_safe(names: object) -> None:
    with pytest.raises(ConfigError, match="safe") as caught:
        Function("env", safe_headers=names)  # type: ignore[arg-type]
    assert caught.value.hint


def test_a_timeout_may_be_a_timedelta() -> None:
    function = Function("env", timeout=timedelta(milliseconds=2500))
    assert function.timeout == "2.5s"
    assert function.timeout_s == 2.5


@pytest.mark.parametrize("text", ["9999999d", "9" * 400 + "s", "1s" * 5000, timedelta.max])
def test_durations_beyond_all_calendars_are_refused(text: str | timedelta) -> None:
    with pytest.raises(ConfigError, match="rest is longer than ten years"):
        seconds(text, what="rest")


def test_a_rate_may_be_any_real_number() -> None:
    assert Load.of(Fraction(5, 2), duration="2s", functions=FUNCTIONS).rates["env"] == 2.5  # type: ignore[arg-type]
    numpy = pytest.importorskip("numpy")
    for rate in (numpy.int64(10), numpy.float32(10)):
        load = Load.of({"env": rate}, duration="2s", functions=FUNCTIONS)
        assert load.shares[0].rate == 10
        assert type(load.rates["env"]) is float  # as JSON takes it


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"body": "\ud800"}, "UTF-8"),
        ({"headers": {1: "x"}}, "header 1"),
        ({"headers": {"X-A": "x", "x-a": "y"}}, "given twice"),
        ({"headers": {"X": "\ud800"}}, "header 'X'"),
        ({"headers": {"X": "a\x01b"}}, "control character"),
        ({"headers": {"X": "a\x7f"}}, "control character"),
        ({"path": "/%zz"}, "percent-encoded"),
        ({"path": "/%2"}, "percent-encoded"),
        ({"path": "/a#b"}, "%23"),
        ({"path": "/a?x=1#b"}, "%23"),
        ({"path": "/a\ud800"}, "percent-encoded"),
        ({"path": 5}, "begins with"),
        ({"timeout": "100us"}, "1ms"),
        ({"headers": ["X: a"]}, "no mapping"),
        ({"max_rate": "5"}, "no rate above 0"),
        ({"max_rate": -1}, "no rate above 0"),
    ],
    ids=ascii,
)
def test_a_request_that_cannot_be_made_is_refused(asked: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        Function("env", **asked)
    assert caught.value.hint


@pytest.mark.parametrize("path", ["", "/", "/a%20b/c", "?x=1&y=%zz", "/a?x=/b?c", "/\u00e8"])
def test_a_path_that_can_be_sent_is_kept(path: str) -> None:
    assert Function("env", path=path, headers={"X": "a\tb\u00e8"}).path == path


def test_a_token_in_a_path_is_not_shown() -> None:
    assert "abc" not in repr(Function("f", path="?api_key=abc"))
    with pytest.raises(ConfigError) as caught:
        Function("f", path="a?api_key=abc")
    assert "abc" not in str(caught.value)


def test_a_rate_that_gives_one_request_is_enough() -> None:
    for whole in range(1, 200):
        assert Load.of(1 / whole, duration=f"{whole}s", functions=FUNCTIONS).shares[0].rate


def test_a_rate_is_rounded_by_a_thousandth_at_most() -> None:
    for rate in (99.9999, 1 / 3, 0.1 + 0.2, 1 / 3600):
        (share, _) = Load.of(rate, duration="1h", functions=FUNCTIONS)
        assert float(share.rate) == pytest.approx(rate, rel=1e-3)
    with pytest.raises(ConfigError, match="which is 1/3600") as caught:
        Load.of(0.0002, duration="5h", functions=FUNCTIONS)
    nearest = float(caught.value.hint.split(" is ")[1].split(",")[0])
    assert Load.of(nearest, duration="5h", functions=FUNCTIONS)
