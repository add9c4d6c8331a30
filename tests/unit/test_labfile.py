"""The lab file: what it may say, and how it says what is wrong."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfaas_lab import labfile
from dfaas_lab.config import Host, Limits
from dfaas_lab.errors import ConfigError
from dfaas_lab.labfile import LabFile, parse, read
from dfaas_lab.load import Function

FULL = """\
store: out
limits: {timeout: 5m, lease: 90s}
thresholds:
  figlet: "p(95)<500"
functions:
  - name: figlet
    method: POST
    body: "Hello ${USER} {host}"
    headers: {Authorization: "Bearer ${TOKEN}", X-Count: 3}
    max_rate: 100
  - {name: env, image: ghcr.io/openfaas/alpine, body_file: bodies/env.bin, timeout: 5s}
generators:
  - name: gen
    host: 10.0.0.50
    user: ubuntu
    port: 2222
    key: ~/keys/{host}.pem
    known_hosts: known_hosts
    host_keys: accept-new
    workspace_root: /srv/runs
    k6_version: 1.1.0
    k6_source: copy
    become_password_env: SUDO
    jump: {address: bastion, user: me}
targets:
  - name: mid
    host: 10.0.0.60
    gateway: http://{host}:31112
    prometheus: http://{host.address}:30411
    auth: {user: root, password_env: GATEWAY_PASSWORD}
    via: true
  - name: heavy
    host: {address: 10.0.0.61, become: false}
    generator: gen
    gateway: https://{host}/
    functions: [env, {name: echo, method: PUT}]
    install_monitoring: true
"""
ENV = {"TOKEN": "t0ken", "SUDO": "hunter2", "GATEWAY_PASSWORD": "s3cret"}


def write(folder: Path, text: str, name: str = "lab.yml") -> Path:
    file = folder / name
    file.write_text(dedent(text))
    return file


def refusal(folder: Path, text: str, name: str = "lab.yml", **env: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(write(folder, text, name), env=env)
    return str(caught.value)


MINIMAL = """\
    generators: [{host: g}]
    targets: [{name: t, gateway: "http://t:1", functions: [env]}]
"""


def test_a_full_file(tmp_path: Path) -> None:
    lab = read(write(tmp_path, FULL), env=ENV)
    (generator,) = lab.generators
    assert generator.name == "gen"
    assert generator.host == Host(
        "10.0.0.50",
        user="ubuntu",
        port=2222,
        key=Path("~/keys/10.0.0.50.pem").expanduser(),
        known_hosts=tmp_path / "known_hosts",
        host_keys="accept-new",
        jump=Host("bastion", user="me"),
        become_password="hunter2",
    )
    assert generator.options() == {
        "name": "gen",
        "workspace_root": "/srv/runs",
        "k6_version": "1.1.0",
        "k6_source": "copy",
    }
    mid, heavy = lab.targets
    figlet = Function(
        "figlet",
        method="POST",
        body="Hello ${USER} {host}",
        headers={"Authorization": "Bearer t0ken", "X-Count": "3"},
        max_rate=100,
    )
    env = Function(
        "env", image="ghcr.io/openfaas/alpine", body=tmp_path / "bodies/env.bin", timeout="5s"
    )
    assert mid.functions == (figlet, env)
    assert (mid.gateway, mid.prometheus) == ("http://10.0.0.60:31112", "http://10.0.0.60:30411")
    assert (mid.auth, mid.via, mid.generator) == (("root", "s3cret"), "gen", "gen")
    assert mid.host == Host("10.0.0.60")
    assert heavy.functions == (env, Function("echo", method="PUT"))
    assert heavy.host == Host("10.0.0.61", become=False)
    assert (heavy.auth, heavy.via, heavy.prometheus) == (None, None, None)
    assert heavy.install_monitoring
    assert lab.store == tmp_path / "out"
    assert lab.limits == Limits(timeout="5m", lease="90s")
    assert lab.thresholds == {"figlet": ("p(95)<500",)}


def test_the_file_that_the_documentation_shows(tmp_path: Path) -> None:
    shown = str(labfile.__doc__).partition("::\n")[2].partition("\nTOML")[0]
    secrets = {"TOKEN": "t", "SUDO_PASSWORD": "s", "GATEWAY_PASSWORD": "g"}
    lab = read(write(tmp_path, dedent(shown)), env=secrets)
    mid, heavy = lab.targets
    assert [function.name for function in mid.functions] == ["figlet", "env"]
    assert [function.name for function in heavy.functions] == ["env"]
    assert (mid.auth, heavy.via) == (("admin", "g"), "generator")
    assert mid.gateway == "http://10.0.0.60:31112"


def test_the_same_in_json_and_toml(tmp_path: Path) -> None:
    as_yaml = read(write(tmp_path, MINIMAL))
    data = {
        "generators": [{"host": "g"}],
        "targets": [{"name": "t", "gateway": "http://t:1", "functions": ["env"]}],
    }
    as_json = read(write(tmp_path, json.dumps(data), "lab.json"))
    as_toml = read(
        write(
            tmp_path,
            """\
            [[generators]]
            host = "g"
            [[targets]]
            name = "t"
            gateway = "http://t:1"
            functions = ["env"]
            """,
            "lab.toml",
        )
    )
    assert as_yaml.generators == as_json.generators == as_toml.generators
    assert as_yaml.targets == as_json.targets == as_toml.targets
    assert as_yaml.generators[0].options() == {"name": "g"}


def test_what_the_embedded_lab_prints_is_a_lab_file(tmp_path: Path) -> None:
    facts = {
        "generators": [
            {
                "name": "generator",
                "host": "127.0.0.1",
                "port": 40123,
                "user": "lab",
                "key": "/srv/lab/key",
                "known_hosts": "/srv/lab/known_hosts",
                "workspace_root": "/srv/lab/runs",
                "python": "/usr/bin/python3",
            }
        ],
        "targets": [
            {
                "name": "node",
                "gateway": "http://127.0.0.1:40124",
                "prometheus": None,
                "auth": {"user": "admin", "password": "x${y}"},
                "functions": ["figlet", {"name": "echo", "method": "POST"}],
            }
        ],
    }
    facts["targets"][0]["auth"]["password"] = "x$${y}"  # type: ignore[index]
    lab = parse(facts, path=tmp_path / "serve.json", env={})
    assert lab.generators[0].python == "/usr/bin/python3"
    assert lab.targets[0].auth == ("admin", "x${y}")
    assert lab.targets[0].functions == (Function("figlet"), Function("echo", method="POST"))


def test_no_secret_is_in_a_repr(tmp_path: Path) -> None:
    shown = repr(read(write(tmp_path, FULL), env=ENV))
    assert not [secret for secret in ENV.values() if secret in shown]


def test_every_unknown_key_is_named_with_line_place_and_nearest_key(tmp_path: Path) -> None:
    said = refusal(
        tmp_path,
        """\
        generators:
          - host: g
            usr: me
        targets:
          - name: t
            gateway: http://t:1
            functions:
              - name: env
                metod: GET
                zzz: 1
        """,
    )
    assert "lab.yml:2: generators[0]: unknown key 'usr'; did you mean 'user'?" in said
    assert "lab.yml:8: targets[0].functions[0]: unknown key 'metod'; did you mean 'method'?" in said
    assert "unknown key 'zzz'." in said
    assert "Valid keys: name, method, path" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("generators: []\ntargets: []", "generators: the list is empty"),
        ("generators: [{host: g}]", "targets: this key is missing"),
        ("- 1", "the file is no mapping"),
        ("a: [", "line 1: "),
        ("store: a\nstore: b", "line 2: the key 'store' is given twice"),
        (MINIMAL.replace("env", "Env!"), "targets[0]"),
        (MINIMAL.replace("env", "{name: x, body: a, body_file: b}"), "body or body_file, not both"),
        (MINIMAL.replace("env]", "env, env]"), "functions[1]: 'env' is named twice"),
        (MINIMAL.replace("http://t:1", "t:1"), "begins with http://"),
        (MINIMAL.replace("http://t:1", "http://u:pw@t:1"), "a URL holds no password"),
        (MINIMAL.replace("http://t:1", "http://{host}:1"), "{host} needs the target's 'host'"),
        (MINIMAL.replace("http://t:1", 'http://{hots}:1", host: "h'), "did you mean '{host}'?"),
        (
            MINIMAL.replace("[env]", "[env], generator: G"),
            "unknown generator 'G'; did you mean 'g'?",
        ),
        (MINIMAL.replace("[env]", "[env], auth: {user: x}"), "give password, or password_env"),
        (MINIMAL.replace("{host: g}", "{host: g}, {host: g}"), "generators[1]: 'g' is named twice"),
        (MINIMAL.replace("{host: g}", "{host: g}, {host: h}"), "name one of the generators: g, h"),
        (
            MINIMAL.replace("{host: g}", "{host: 'g;rm'}"),
            "generators[0]: 'g;rm' is no host address",
        ),
        (MINIMAL.replace("{host: g}", "{host: g, port: 99999}"), "99999 is no port"),
        (MINIMAL.replace("{host: g}", "{host: me@g}"), "'me@g' is no address: give the user"),
        (
            MINIMAL.replace("{host: g}", "{host: g, key: ~nobody-here/k}"),
            "generators[0].key: there is no home",
        ),
        (MINIMAL + "    limits: {lease: 10}", "limits.lease: give text here"),
        (MINIMAL + "    limits: {lease: ten}", "limits.lease: lease is no duration"),
        (MINIMAL + "    functions: [{name: echo}]", "unknown function 'env'"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("lab.json", '{"a": 1, "a": 2}', "'a' is given twice"),
        ("lab.json", "{", "lab.json: Expecting"),
        ("lab.toml", "a = ", "Invalid value"),
        ("lab.ini", "", "the ending '.ini' says no format"),
    ],
)
def test_bad_syntax_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text, name)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read(tmp_path / "none.yml")


def test_a_missing_variable_is_named_with_its_place(tmp_path: Path) -> None:
    said = refusal(tmp_path, MINIMAL.replace("env]", "env], auth: {password_env: GW}"))
    assert "targets[0].auth.password_env: the environment variable GW is not set" in said
    said = refusal(tmp_path, MINIMAL.replace("host: g", "host: '${WHERE}'"))
    assert "generators[0].host: the environment variable WHERE is not set" in said


def test_an_error_does_not_show_what_a_variable_holds(tmp_path: Path) -> None:
    said = refusal(tmp_path, MINIMAL.replace("env]", "env], via: {a: '${GW}'}"), GW="s3cret")
    assert "targets[0].via" in said
    assert "s3cret" not in said


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))
def test_a_body_goes_out_as_it_is_written(body: str) -> None:
    data = {
        "generators": [{"host": "g"}],
        "targets": [
            {"name": "t", "gateway": "http://t", "functions": [{"name": "echo", "body": body}]}
        ],
    }
    assert parse(data, path=Path("lab.yml"), env={}).targets[0].functions[0].body == body


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from(["host", "name", "user"]), inner)
    ),
    max_leaves=12,
)
keys = st.sampled_from(
    [
        "generators",
        "targets",
        "functions",
        "store",
        "limits",
        "thresholds",
        "remote_hosts",
        "plugin_settings",
    ]
)


@given(st.dictionaries(keys, anything))
def test_any_data_is_a_lab_or_a_config_error(data: dict[str, object]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            assert isinstance(parse(data, path=Path("/x/lab.yml"), env={}), LabFile)
        except ConfigError as error:
            assert str(error).startswith("/x/lab.yml")  # noqa: PT017


@given(st.text(), st.sampled_from([".yml", ".toml", ".json"]))
def test_any_text_is_a_lab_or_a_config_error(text: str, suffix: str) -> None:
    from dfaas_lab.labfile import text as reader

    try:
        assert isinstance(reader.load(Path(f"lab{suffix}"), text), dict)
    except ConfigError as error:
        assert "lab" in str(error)  # noqa: PT017
