"""The lab file: what it may say, and how it says what is wrong."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from functools import partial, reduce
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dfaas_lab import labfile
from dfaas_lab.config import Host, Limits
from dfaas_lab.errors import ConfigError
from dfaas_lab.labfile import GeneratorEntry, LabFile, parse, read
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
    assert (generator.name, generator.workspace_root) == ("gen", "/srv/runs")
    assert (generator.k6_version, generator.k6_source) == ("1.1.0", "copy")
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
    assert as_yaml.generators[0] == GeneratorEntry("g", Host("g"))


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
    assert lab.generators[0].variables["python"] == "/usr/bin/python3"
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
    assert "lab.yml:3: generators[0].usr: unknown key 'usr'; did you mean 'user'? Valid" in said
    function = "targets[0].functions[0]"
    assert f"lab.yml:9: {function}.metod: unknown key 'metod'; did you mean 'method'? V" in said
    assert f"lab.yml:10: {function}.zzz: unknown key 'zzz'. Valid keys: name, method, path" in said
    assert "?." not in said


def inline(value: object) -> str:
    """A value as TOML has it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {inline(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(inline(one) for one in value) + "]"
    return json.dumps(value)


FORMS: dict[str, Callable[[dict[str, Any]], str]] = {
    "lab.yml": partial(yaml.safe_dump, sort_keys=False),
    "lab.json": partial(json.dumps, indent=2),
    "lab.toml": lambda data: "".join(f"{key} = {inline(one)}\n" for key, one in data.items()),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("level", "wrong", "right"),
    [
        ([], "stroe", "store"),
        (["limits"], "leese", "lease"),
        (["functions", 0], "metod", "method"),
        (["generators", 0], "usr", "user"),
        (["generators", 0, "jump"], "prt", "port"),
        (["targets", 0], "gatewayy", "gateway"),
        (["targets", 0, "host"], "keyy", "key"),
        (["targets", 0, "host", "jump"], "adress", "address"),
        (["targets", 0, "auth"], "passwort", "password"),
        (["targets", 0, "functions", 0], "bodi", "body"),
    ],
)
def test_unknown_keys_at_every_level_in_every_form(
    tmp_path: Path, form: str, level: list[str | int], wrong: str, right: str
) -> None:
    data: dict[str, Any] = {
        "limits": {"timeout": "5m"},
        "functions": [{"name": "env"}],
        "generators": [{"host": "g", "jump": {"address": "b"}}],
        "targets": [
            {
                "name": "t",
                "gateway": "http://{host}:1",
                "host": {"address": "h", "jump": {"address": "j"}},
                "auth": {"password": "p"},
                "functions": [{"name": "echo", "path": "/"}],
            }
        ],
    }
    assert read(write(tmp_path, FORMS[form](data), form)).targets[0].gateway == "http://h:1"
    reduce(lambda value, key: value[key], level, data)[wrong] = "x"  # type: ignore[index]
    text = FORMS[form](data)
    said = refusal(tmp_path, text, form).splitlines()[0]
    # A line where it can be told; none, rather than a wrong one, where it cannot.
    number = next(n for n, line in enumerate(text.splitlines(), start=1) if wrong in line)
    line = "" if form == "lab.toml" else f":{number}"
    place = labfile.text.show((*level, wrong))
    expected = f"{form}{line}: {place}: unknown key {wrong!r}; did you mean {right!r}? Valid keys: "
    assert expected in said


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
            "generators[0].host: 'g;rm' is no host address",
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


def test_a_password_in_the_place_of_a_variables_name_is_not_shown(tmp_path: Path) -> None:
    said = refusal(tmp_path, MINIMAL.replace("env]", "env], auth: {password_env: s3cret!}"))
    assert "targets[0].auth.password_env: give the name" in said
    assert "s3cret" not in said


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, MINIMAL.replace("env]", "env], auth: {password_env: GW}"), GW="")
    assert "lab.yml:2: targets[0].auth.password_env: the environment variable GW is empty" in said


def test_variables_are_put_into_headers_whatever_their_names(tmp_path: Path) -> None:
    text = MINIMAL.replace("[env]", "[{name: a, body: '${T}', headers: {body: '${T}'}}]")
    (function,) = read(write(tmp_path, text), env={"T": "t0ken"}).targets[0].functions
    assert (function.body, function.headers["body"]) == ("${T}", "t0ken")


def test_the_host_is_filled_into_every_path(tmp_path: Path) -> None:
    text = """\
    functions: [{name: echo, body_file: "~/bodies/{host}.bin"}]
    generators:
      - host: g
        key: ~/keys/{host}
        known_hosts: known/{host.address}
        workspace_root: /srv/{host}/runs
        jump: {address: j, key: "/keys/{host}"}
        variables: {install_dir: "/srv/{host}/k6"}
    targets:
      - {name: a, host: a.example, gateway: "http://{host}:1"}
      - {name: b, host: {address: "fd00::b", key: "/keys/{host}"}, gateway: "http://{host}:1"}
    """
    lab = read(write(tmp_path, text), env={})
    (generator,) = lab.generators
    assert generator.host.key == Path("~/keys/g").expanduser()
    assert generator.host.known_hosts == tmp_path / "known/g"
    assert generator.host.jump == Host("j", key=Path("/keys/j"))
    assert generator.workspace_root == "/srv/g/runs"
    assert generator.variables == {"install_dir": "/srv/g/k6"}
    bodies = [target.functions[0].body for target in lab.targets]
    home = Path("~").expanduser()
    assert bodies == [home / "bodies/a.example.bin", home / "bodies/fd00::b.bin"]
    # An IPv6 address has brackets in a URL, and only there.
    assert [target.gateway for target in lab.targets] == [
        "http://a.example:1",
        "http://[fd00::b]:1",
    ]
    assert lab.targets[1].host == Host("fd00::b", key=Path("/keys/fd00::b"))


def test_null_is_what_is_not_given(tmp_path: Path) -> None:
    given = {
        "method": "GET",
        "path": "/",
        "headers": {},
        "max_rate": 1,
        "image": "i",
        "timeout": "1s",
    }
    nothing = json.dumps({"name": "env", **dict.fromkeys(given)})
    lab = read(write(tmp_path, MINIMAL.replace("[env]", f"[{nothing}]")))
    assert lab.targets[0].functions == (Function("env"),)


def test_a_function_of_no_target_is_checked_all_the_same(tmp_path: Path) -> None:
    text = "functions: [{name: a, timeout: soon}]\n" + dedent(MINIMAL).replace(
        "[env]", "[{name: env, path: /}]"
    )
    assert "lab.yml:1: functions[0]: timeout of function a is no duration" in refusal(
        tmp_path, text
    )


def test_aliases_of_aliases_end(tmp_path: Path) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"
    assert "there is too much in it" in refusal(tmp_path, bomb)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "lab.json"
    data = {
        "generators": [{"host": "g"}],
        "targets": [{"name": "t", "gateway": "http://t:1", "functions": ["env"]}],
    }
    file.write_text(json.dumps(data), encoding="utf-8-sig")
    assert read(file).targets[0].name == "t"


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


# Free text is no number by accident


def header_of(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return read(path).targets[0].functions[0].headers["X-V"]


@pytest.mark.parametrize(
    "written", ["010", "1.10", "0x10", "1_000", "22:30", "1e3", "-0", "+5", "2026-01-02", "3"]
)
def test_a_header_is_sent_as_it_is_written(tmp_path: Path, written: str) -> None:
    functions = f"[{{name: env, headers: {{X-V: {written}}}}}]"
    assert header_of(tmp_path, "lab.yml", MINIMAL.replace("[env]", functions)) == written


@pytest.mark.parametrize("written", ["1.10", "1E3", "3", "-2.50"])
def test_a_number_in_json_is_sent_as_it_is_written(tmp_path: Path, written: str) -> None:
    function = {"name": "env", "headers": {"X-V": "WRITTEN"}}
    target = {"name": "m", "gateway": "http://h:1", "functions": [function]}
    text = json.dumps({"generators": [{"host": "g"}], "targets": [target]})
    text = text.replace('"WRITTEN"', written)
    assert header_of(tmp_path, "lab.json", text) == written


@pytest.mark.parametrize("written", ["1.10", "0x10", "1_000", "3", "true"])
def test_a_number_in_toml_needs_quotes(tmp_path: Path, written: str) -> None:
    text = f"""
        generators = [{{host = "g"}}]
        [[targets]]
        name = "m"
        gateway = "http://h:1"
        functions = [{{name = "env", headers = {{X-V = {written}}}}}]
    """
    with pytest.raises(ConfigError, match="need quotes"):
        header_of(tmp_path, "lab.toml", text)


@pytest.mark.parametrize(
    "line",
    ["thresholds: {env: 0500}", "store: 010", "limits: {timeout: 1:30}", "limits: {lease: 60}"],
)
def test_other_free_text_is_refused_as_a_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "lab.yml"
    path.write_text(dedent(MINIMAL) + line + "\n")
    with pytest.raises(ConfigError, match=r"need quotes|give"):
        read(path)
