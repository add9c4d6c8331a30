"""Known secrets are hidden however a program wrote them; what everybody knows stays readable."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfaas_lab.secret import Secret, credentials, plain
from dfaas_lab.secret_values import NO_SECRETS, SecretValues

SECRET = 'p"w\\d é&<x>/+=4711'
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nw0BAQEFAASCBKcwggSj\n-----END KEY-----"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        json.dumps({"token": SECRET}),
        json.dumps({"token": SECRET}, ensure_ascii=False),
        f"level=info msg={json.dumps(json.dumps({'a': SECRET}, ensure_ascii=False))}",
        f"GET /?q={quote(SECRET)}",
        f"GET /?q={quote(SECRET, safe='')}",
        f"GET /?q={quote_plus(SECRET)}",
        f"<td>{html.escape(SECRET)}</td>",
        f"<td>{html.escape(SECRET, quote=False)}</td>",
        *(f"Basic {b64(user + SECRET + tail)}" for user in ("", "a:", "ab:") for tail in ("", "x")),
    ],
)
def test_a_secret_is_hidden_however_it_is_written(written: str) -> None:
    hidden = SecretValues({"X": SECRET}).hidden_in(written)
    assert "***" in hidden
    for part in (SECRET, "4711", b64(SECRET)[3:-6], quote(SECRET)):
        assert part not in hidden
    assert SecretValues({"X": SECRET}).hidden_in_bytes(written.encode()) == hidden.encode()


def test_each_line_of_a_key_is_hidden() -> None:
    hidden = SecretValues({"X": KEY}).hidden_in(f"it says:\n{KEY.splitlines()[1]}\nand no more")
    assert hidden == "it says:\n***\nand no more"


@pytest.mark.parametrize("value", ["1", "30", "2.5", "30s", "1m30s", "true", "False", "GET", ""])
def test_what_is_no_secret_stays(value: str) -> None:
    text = f"{value} of 30, 2.5 and 30s"
    assert SecretValues({"STAGE": value}).hidden_in(text) == text


@pytest.mark.parametrize("name", ["PIN", "API_TOKEN", "password"])
def test_a_name_makes_a_short_value_a_secret(name: str) -> None:
    assert SecretValues({name: "12"}).hidden_in("12, 121, x=12") == "***, 121, x=***"


def test_what_is_known_anyway_stays() -> None:
    secrets = SecretValues({"G": "http://gw:8080", "T": "xyzzy-1"}, ["http://gw:8080"])
    assert secrets.masked("http://gw:8080/?t=xyzzy-1") == "http://gw:8080/?t=***"


def test_the_longer_of_two_is_hidden_whole() -> None:
    secrets = SecretValues({"A": "abcdefgh", "B": "abcdefgh-ijklmnop"})
    assert secrets.hidden_in("abcdefgh-ijklmnop") == "***"


def test_bytes_that_are_no_text_come_back() -> None:
    content = b"\xff\xfe xyzzy-1 \x00"
    assert SecretValues({"T": "xyzzy-1"}).hidden_in_bytes(content) == b"\xff\xfe *** \x00"
    assert NO_SECRETS.hidden_in_bytes(content) == content


def test_no_secret_is_in_what_python_shows() -> None:
    assert SECRET not in repr(SecretValues({"X": SECRET}))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=9).filter(str.strip), st.text())
def test_any_value_is_gone(value: str, around: str) -> None:
    value = f"x{value}y"
    assert value not in SecretValues({"TOKEN": value}).hidden_in(f"{around}{value}{around}")


def test_a_secret_that_is_sealed_twice_is_the_same_secret() -> None:
    assert plain(Secret(Secret("open sesame"))) == "open sesame"
    user, password = credentials((Secret("admin"), Secret("pw")))[0] or ("", "")
    assert (plain(user), plain(password)) == ("admin", "pw")


def test_sealed_values_are_hidden_too() -> None:
    assert SecretValues({"X": Secret("xyzzy-1")}).hidden_in("xyzzy-1") == "***"
