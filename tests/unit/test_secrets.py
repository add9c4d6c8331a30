"""What may be secret by its name or its looks is hidden, and what surely is not stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfaas_lab import ConfigError, Function, Generator, Target
from dfaas_lab.k6.plan import K6Plan
from dfaas_lab.redaction import masked, names_a_secret
from dfaas_lab.spec.manifest_functions import described, functions_of

SECRET = "Zq9s3cr3t"


@pytest.mark.parametrize(
    "name",
    ["auth", "key", "access_key", "accessKey", "apikey", "pwd", "pass", "passcode", "sig",
     "X-Amz-Signature", "X-Amz-Credential", "code", "jwt", "session", "sessionId", "SID", "token",
     "to%6ben", "t%256fken", "[token]", "client_secret", "pin", "hmac"],
)  # fmt: skip
def test_a_parameter_of_a_secrets_name_is_hidden(name: str) -> None:
    assert names_a_secret(name)
    for text in (f"?{name}={SECRET}", f"/a?x=1&{name}={SECRET}&y=2", f"/a;{name}={SECRET}",
                 f"?x=1;{name}={SECRET}", f"?{name}=a;{SECRET}", f"#{name}={SECRET}",
                 f"?{name}={SECRET}\"'{SECRET}", f"?x=?{name}={SECRET}"):  # fmt: skip
        assert SECRET not in masked(text), text


@pytest.mark.parametrize(
    "value",
    ["eyJhbGciOiJIUzI1NiJ9.e30.Zq9s3cr3t", "Zq9s3cr3tZq9s3cr3tZq9s3cr3t",
     "http%3A%2F%2Fme%3AZq9s3cr3t%40host%2F", "http%3A%2F%2Fhost%3Ftoken%3DZq9s3cr3t"],
)  # fmt: skip
def test_a_value_that_looks_like_a_secret_is_hidden_under_any_name(value: str) -> None:
    assert masked(f"?x={value}&n=1") == "?x=***&n=1"


@pytest.mark.parametrize(
    "text",
    ["?n=10", "?text=Hello%20you&n=1", "?monkey=1&passes=2&design=a", "/a;v=1", "?x=a@b", "?token=",
     "?q=a-long-row-of-plain-words-without-end", "what? a=b", "?n=123456789012345678901234"],
)  # fmt: skip
def test_what_is_no_secret_tells_plans_apart(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize("name", ["X-Functions-Key", "X-Auth", "X-Pwd", "X-Session-Id"])
def test_a_header_of_a_secrets_name_is_never_safe(name: str) -> None:
    with pytest.raises(ConfigError, match="never safe"):
        Function("env", headers={name: SECRET}, safe_headers=[name])


def test_a_stored_function_says_what_is_missing_of_its_query(tmp_path: Path) -> None:
    function = Function("env", path=f"?n=10&sig={SECRET}")
    assert SECRET not in repr(function)
    entries = described([function])
    assert entries[0]["path"] == "?n=10&sig=***"
    with pytest.raises(ConfigError, match=r"path \?n=10&sig=\*\*\* of env\nGive them.*path="):
        functions_of(tmp_path, entries, {})
    assert functions_of(tmp_path, entries, {"env": function})[0].path == function.path


def test_the_generator_gets_the_query_as_it_is_and_the_store_does_not() -> None:
    def plan(path: str) -> K6Plan:
        functions = [Function("env", path=path)]
        target = Target("mid", gateway="http://h", generator=Generator("g"), functions=functions)
        return target._spec(1, load=1).plan

    one = plan(f"?n=10&sig={SECRET}")
    assert SECRET.encode() in one.files()["plan.json"]
    assert all(SECRET.encode() not in content for content in one.stored().values())
    assert one.digest != plan(f"?n=11&sig={SECRET}").digest


@pytest.mark.parametrize(
    "text", ["?a=" * 20_000, ";a=b" * 20_000, "?x=" + "a" * 80_000, "&#" * 40_000]
)
def test_a_long_line_of_a_log_is_read_at_once(text: str) -> None:
    """Also one that repeats itself: no recursion, and no time that grows with its square."""
    assert masked(text) == text
