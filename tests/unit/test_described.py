"""A lab file becomes targets and generators; every key that it may have means something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dfaas_lab.config import Host, Limits
from dfaas_lab.errors import ConfigError
from dfaas_lab.lab import Lab

FILE = """
store: out
limits: {timeout: 5m, lease: 90s}
thresholds: {figlet: "p(95)<500", env: [p(99)<900, rate<0.1]}
functions: [env, {name: figlet, method: POST}]
generators:
  - {name: gen, host: 10.0.0.50, user: ubuntu, k6_version: 1.0.0, k6_source: release,
     workspace_root: /srv/runs, python: /usr/bin/python3.12,
     variables: {install_dir: /srv/k6, k6_release_base: "https://mirror.example"}}
  - {name: near, host: 10.0.0.51}
targets:
  - {name: mid, host: {address: 10.0.0.60, user: root}, gateway: "http://{host}:31112",
     prometheus: "http://{host}:9090", generator: gen, via: near, install_monitoring: true,
     auth: {password: secret}}
  - {name: heavy, gateway: "http://10.0.0.61:8080", served_by_header: X-Node,
     functions: [env], generator: gen, via: true}
"""


def lab_of(tmp_path: Path, text: str = FILE) -> Lab:
    path = tmp_path / "lab.yml"
    path.write_text(text)
    return Lab.from_file(path)


def test_every_key_is_used(tmp_path: Path) -> None:
    lab = lab_of(tmp_path)
    assert lab.store.root == tmp_path / "out"
    spec = lab.generators["gen"]._spec()
    assert (spec.k6_version, spec.k6_source) == ("1.0.0", "release")
    assert (spec.workspace_root, spec.install_dir) == ("/srv/runs", "/srv/k6")
    assert spec.python == "/usr/bin/python3.12"
    assert dict(spec.variables) == {"k6_release_base": "https://mirror.example"}

    mid, heavy = lab.targets["mid"], lab.targets["heavy"]
    assert mid.host == Host("10.0.0.60", user="root")
    assert (mid.gateway, mid.prometheus) == ("http://10.0.0.60:31112", "http://10.0.0.60:9090")
    assert mid.install_monitoring
    assert mid.generator is lab.generators["gen"]
    assert mid.via is lab.generators["near"]
    assert heavy.via is heavy.generator
    assert (mid.served_by_header, heavy.served_by_header) == ("Dfaas-Node-Id", "X-Node")
    assert mid.limits == heavy.limits == Limits(timeout="5m", lease="90s")
    # Only those of its own functions: k6 knows no others.
    assert mid.thresholds == {"figlet": ("p(95)<500",), "env": ("p(99)<900", "rate<0.1")}
    assert heavy.thresholds == {"env": ("p(99)<900", "rate<0.1")}
    assert "secret" not in repr(lab.targets)


def test_thresholds_of_nobody_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lab.yml:4: .*'figlte'; did you mean 'figlet'"):
        lab_of(tmp_path, FILE.replace("thresholds: {figlet", "thresholds: {figlte"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("k6_relase_base", "unknown variable 'k6_relase_base'; did you mean 'k6_release_base'"),
        ("k6_version", "the variable 'k6_version' would contradict an argument"),
        ("k6_local", "the variable 'k6_local' is computed"),
    ],
)
def test_a_variable_that_cannot_be_set_is_refused_with_its_place(
    tmp_path: Path, name: str, said: str
) -> None:
    text = FILE.replace("k6_release_base", name)
    with pytest.raises(ConfigError) as caught:
        lab_of(tmp_path, text)
    assert f"lab.yml:9: generators[0].variables.{name}: {said}" in str(caught.value)


def test_a_generator_that_nobody_uses_is_told(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="no target uses the generator near"):
        lab_of(tmp_path, FILE.replace("via: near", "via: gen"))


def test_monitoring_needs_a_host(tmp_path: Path) -> None:
    text = FILE.replace("heavy, gateway", "heavy, install_monitoring: true, gateway")
    with pytest.raises(ConfigError, match=r"lab.yml:15: targets\[1\]: target heavy has no host"):
        lab_of(tmp_path, text)


def test_the_existing_tools_file_is_a_lab(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    hosts = [{"name": name, "address": f"10.0.0.{n}", "user": "u"} for n, name in enumerate("ab")]
    dfaas = {"k6_host": "10.0.0.50", "gateway_url": "http://{host.address}:31112"}
    path.write_text(
        json.dumps(
            {"remote_hosts": hosts, "plugin_settings": {"dfaas": dfaas | {"k6_tags": {"a": "b"}}}}
        )
    )
    with pytest.warns(UserWarning, match="k6_tags"):
        lab = Lab.from_file(path)
    assert [target.gateway for target in lab.targets.values()] == [
        "http://10.0.0.0:31112",
        "http://10.0.0.1:31112",
    ]
    # Their hosts are known, and nothing is installed on them unasked.
    assert [target.install_monitoring for target in lab.targets.values()] == [False, False]
