"""Hosts, URLs and folders are refused when they are named, not when something connects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfaas_lab import Function, Generator, Target
from dfaas_lab.config import Host
from dfaas_lab.errors import ConfigError
from dfaas_lab.validation import url_problem


def target(gateway: str, **more: str) -> Target:
    generator = Generator("g")
    return Target("t", gateway=gateway, generator=generator, functions=[Function("env")], **more)  # type: ignore[arg-type]


def test_an_ipv6_address_has_no_brackets() -> None:
    assert Host("[fd00::1]") == Host("fd00::1")
    assert str(Host("[fd00::1]", user="me", port=2222)) == "me@[fd00::1]:2222"
    assert Generator("[fd00::1]").name == "fd00::1"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("10.0.0.5:2222", "give the port as 'port'"),
        ("[fd00::1]:22", "no host address"),
        ("[fd00::x]", "no address"),
        ("me@gen", "give the user as 'user'"),
        ("", "no host address"),
        ("-oProxyCommand", "no host address"),
        ("{host}", "no host address"),
        (None, "no host address"),
        (5, "no host address"),
    ],
)
def test_what_is_no_address_is_refused(address: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Host(address)


@pytest.mark.parametrize("port", [0, 65536, -1, "22", None, 22.5])
def test_what_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(ConfigError, match="is no port"):
        Host("gen", port=port)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.60:31112",
        "https://node.example/",
        "http://[fd00::1]:31112",
        "http://[::ffff:10.0.0.1]",
        "http://my_node.local.:8080/prefix",
        "http://1.2.3.4.example:1",
    ],
)
def test_what_is_a_url(url: str) -> None:
    assert target(url).gateway == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "10.0.0.60:31112",
        "ftp://a",
        "http://",
        "http://:80",
        "http://fd00::1:31112",
        "http://[fd00::1",
        "http://[fd00::x]:1",
        "http://[fd00::1]x:1",
        "http://a:x",
        "http://a:99999",
        "http://a:0",
        "http://a:-1",
        "http://10.0.0.600:1",
        "http://a b:1",
        "http://a:1 ",
        "http://a:1\n",
        "http://{host}:1",
        "http://a:1?x=1",
        "http://a:1#x",
        5,
    ],
)
@pytest.mark.parametrize("what", ["gateway", "prometheus"])
def test_what_is_no_url_is_refused(url: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        target(**{"gateway": "http://t:1", what: url})


@pytest.mark.parametrize("url", ["http://u:s3cret@t:1", "http://u:s3cret@[t:1", "http:u:s3cret@t"])
def test_a_password_in_a_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigError, match="gateway: ") as caught:
        target(url)
    assert "s3cret" not in str(caught.value)


@given(st.text() | st.from_regex(r"https?://\[?[\w.:]*\]?(:[0-9]*)?(/.*)?", fullmatch=True))
def test_any_text_is_a_url_that_httpx_reads_or_refused(url: str) -> None:
    import httpx

    if not url_problem(url):
        assert httpx.URL(url).host


@pytest.mark.parametrize(
    "root", ["~/runs", "runs", "", "/", "//", "/a/../b", "/a\nb", "/a\0b", "/srv/{host}", None]
)
def test_what_cannot_hold_workspaces_is_refused(root: str) -> None:
    with pytest.raises(ConfigError, match="cannot hold workspaces\nGive the absolute path"):
        Generator("g", workspace_root=root)


def test_what_can_hold_workspaces() -> None:
    assert Generator("g", workspace_root="/srv/my runs").workspace_root == "/srv/my runs"
