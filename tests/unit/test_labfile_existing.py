"""The existing tools' configuration file is read unchanged."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from dfaas_lab.config import Host
from dfaas_lab.errors import ConfigError
from dfaas_lab.lab import Lab
from dfaas_lab.labfile import LabFile, read
from dfaas_lab.load import Function

THEIRS: dict[str, Any] = {
    "remote_hosts": [
        {
            "name": "mid",
            "address": "192.168.2.6",
            "user": "ubuntu",
            "become": True,
            "vars": {
                "ansible_ssh_private_key_file": "~/.ssh/dfaas",
                "ansible_port": 2222,
                "ansible_ssh_common_args": "-o StrictHostKeyChecking=no",
            },
        },
        {"name": "heavy", "address": "192.168.2.8", "user": "ubuntu", "become": False},
    ],
    "remote_execution": {"enabled": True},
    "plugin_settings": {
        "dfaas": {
            "k6_host": "192.168.2.7",
            "k6_user": "k6",
            "k6_ssh_key": "keys/k6",
            "k6_port": 22,
            "k6_workspace_root": "/home/k6/.dfaas-k6",
            "gateway_url": "http://{host.address}:31112",
            "prometheus_url": "http://{host.address}:30411",
            "functions": [
                {
                    "name": "figlet",
                    "method": "POST",
                    "body": "Hello DFaaS!",
                    "headers": {"Authorization": "Basic CHANGE_ME"},
                    "max_rate": 50,
                },
                {"name": "env", "method": "GET", "body": "", "max_rate": None},
            ],
            "duration": "30s",
            "iterations": 3,
            "rates": {"min_rate": 0, "max_rate": 200, "step": 10},
        }
    },
}


def write(folder: Path, data: dict[str, Any]) -> Path:
    file = folder / "benchmark_config.json"
    file.write_text(json.dumps(data))
    return file


def test_a_target_per_remote_host_and_one_generator(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="not used by dfaas_lab yet"):
        lab = read(write(tmp_path, THEIRS))
    (generator,) = lab.generators
    assert generator.host == Host("192.168.2.7", user="k6", key=tmp_path / "keys/k6")
    assert generator.workspace_root == "/home/k6/.dfaas-k6"
    mid, heavy = lab.targets
    assert mid.host == Host(
        "192.168.2.6", user="ubuntu", port=2222, key=Path("~/.ssh/dfaas").expanduser()
    )
    assert (mid.gateway, mid.prometheus) == ("http://192.168.2.6:31112", "http://192.168.2.6:30411")
    assert heavy.host == Host("192.168.2.8", user="ubuntu", become=False)
    assert heavy.gateway == "http://192.168.2.8:31112"
    assert mid.functions == heavy.functions
    assert mid.functions == (
        Function(
            "figlet",
            method="POST",
            body="Hello DFaaS!",
            headers={"Authorization": "Basic CHANGE_ME"},
            max_rate=50,
        ),
        Function("env", body=""),
    )


def test_one_warning_names_each_key_that_is_not_used(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="not used") as caught:
        lab = read(write(tmp_path, THEIRS))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert lab.unused == (
        "remote_execution",
        "remote_hosts[0].vars.ansible_ssh_common_args",
    )
    assert all(key in str(caught[0].message) for key in lab.unused)


def test_host_keys_stay_checked_whatever_the_file_says(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="ansible_ssh_common_args"):
        lab = read(write(tmp_path, THEIRS))
    assert {target.host.host_keys for target in lab.targets if target.host} == {"strict"}


def test_the_least_that_such_a_file_says(tmp_path: Path) -> None:
    least = {
        "remote_hosts": [{"name": "n", "address": "a"}],
        "plugin_settings": {"dfaas": {"k6_host": "g", "openfaas_port": 8080}},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lab = read(write(tmp_path, least))
    assert lab.targets[0].gateway == "http://a:8080"
    assert lab.targets[0].prometheus is None
    assert [function.name for function in lab.targets[0].functions] == ["figlet"]


def theirs(dfaas: dict[str, Any] | None = None, **host: Any) -> dict[str, Any]:
    return {
        "remote_hosts": [{"name": "n", "address": "a", **host}],
        "plugin_settings": {"dfaas": {"k6_host": "g", **(dfaas or {})}},
    }


def quietly(folder: Path, data: dict[str, Any], env: dict[str, str] | None = None) -> LabFile:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read(write(folder, data), env=env or {})


def test_null_means_the_default(tmp_path: Path) -> None:
    nothing = dict.fromkeys(
        (
            "k6_user",
            "k6_ssh_key",
            "k6_port",
            "k6_workspace_root",
            "gateway_url",
            "openfaas_port",
            "prometheus_url",
            "prometheus_port",
            "functions",
        )
    )
    with pytest.warns(UserWarning, match=r"_port$"):  # where no default follows from it
        lab = read(write(tmp_path, theirs(nothing, port=None, user=None, become=None, vars=None)))
    least = quietly(tmp_path, theirs())
    assert (lab.generators, lab.targets) == (least.generators, least.targets)


@pytest.mark.parametrize("url", [None, ""])
def test_a_port_counts_where_there_is_no_url(tmp_path: Path, url: str | None) -> None:
    dfaas = {"gateway_url": url, "openfaas_port": 8080, "prometheus_url": url}
    (target,) = quietly(tmp_path, theirs(dfaas)).targets
    assert (target.gateway, target.prometheus) == ("http://a:8080", None)
    (target,) = quietly(tmp_path, theirs({**dfaas, "prometheus_port": 9090})).targets
    assert target.prometheus == "http://a:9090"


def test_only_variables_of_what_is_used_are_asked_for(tmp_path: Path) -> None:
    data = {**theirs({"k6_user": "${WHO}"}), "loki": {"endpoint": "${NOT_SET}"}}
    with pytest.warns(UserWarning, match="not used by dfaas_lab yet: loki"):
        lab = read(write(tmp_path, data), env={"WHO": "me"})
    assert lab.generators[0].host.user == "me"
    with pytest.raises(ConfigError, match=r"dfaas\.k6_user: the environment variable WHO is not"):
        read(write(tmp_path, theirs({"k6_user": "${WHO}"})), env={})


def test_what_is_no_variable_is_text(tmp_path: Path) -> None:
    functions = [{"name": "env", "headers": {"X-Price": "${1}"}}]
    (function,) = quietly(tmp_path, theirs({"functions": functions})).targets[0].functions
    assert function.headers["X-Price"] == "${1}"


@pytest.mark.parametrize("name", ["ansible_become_password", "ansible_become_pass"])
def test_the_password_for_sudo_is_taken_over_and_masked(tmp_path: Path, name: str) -> None:
    lab = quietly(tmp_path, theirs(vars={name: "${SUDO}"}), {"SUDO": "hunter2"})
    host = lab.targets[0].host
    assert host is not None
    assert host.become_password == "hunter2"
    assert "hunter2" not in repr(lab) + repr(host)


def test_a_hosts_own_port(tmp_path: Path) -> None:
    assert quietly(tmp_path, theirs(port=2222)).targets[0].host == Host("a", port=2222)
    both = theirs(port=2222, vars={"ansible_port": 2200})
    assert quietly(tmp_path, both).targets[0].host == Host("a", port=2200)


def test_ipv6(tmp_path: Path) -> None:
    urls = {"gateway_url": "http://{host.address}:31112", "prometheus_port": 9090}
    (target,) = quietly(tmp_path, theirs(urls, address="fd00::1")).targets
    assert (target.gateway, target.prometheus) == (
        "http://[fd00::1]:31112",
        "http://[fd00::1]:9090",
    )


@pytest.mark.parametrize(
    ("data", "place", "said"),
    [
        (theirs({"k6_port": "x"}), "plugin_settings.dfaas.k6_port", "give a whole number"),
        (theirs({"k6_port": 70000}), "plugin_settings.dfaas.k6_port", "70000 is no port"),
        (theirs({"k6_host": "a b"}), "plugin_settings.dfaas.k6_host", "'a b' is no host address"),
        (
            theirs({"k6_workspace_root": "~/k6"}),
            "plugin_settings.dfaas.k6_workspace_root",
            "'~/k6'",
        ),
        (theirs({"gateway_url": "a:1"}), "plugin_settings.dfaas.gateway_url", "begins with http"),
        (theirs({"openfaas_port": 0}), "plugin_settings.dfaas.openfaas_port", "0 is no port"),
        (theirs({"prometheus_url": 5}), "plugin_settings.dfaas.prometheus_url", "give text here"),
        (theirs({"functions": 5}), "plugin_settings.dfaas.functions", "give a list"),
        (theirs({"functions": []}), "plugin_settings.dfaas.functions", "give a list"),
        (theirs({"functions": [5]}), "plugin_settings.dfaas.functions[0]", "give a mapping"),
        (theirs({"functions": [{"name": "E"}]}), "plugin_settings.dfaas.functions[0]", "'E' is no"),
        (theirs(vars="ansible_user"), "remote_hosts[0].vars", "give a mapping"),
        (theirs(vars={"ansible_port": "x"}), "remote_hosts[0].vars.ansible_port", "a whole number"),
        (
            theirs(vars={"ansible_become_pass": "{{ vaulted }}"}),
            "remote_hosts[0].vars.ansible_become_pass",
            "write the value, or ${NAME}",
        ),
        (theirs(address="a;b"), "remote_hosts[0].address", "'a;b' is no host address"),
        (theirs(name="a/b"), "remote_hosts[0]", "'a/b' is no target name"),
    ],
)
def test_errors_name_the_places_of_the_file(
    tmp_path: Path, data: dict[str, Any], place: str, said: str
) -> None:
    file = write(tmp_path, data)
    file.write_text(json.dumps(data, indent=1))
    with pytest.raises(ConfigError) as caught:
        Lab.from_file(file)
    first = str(caught.value).splitlines()[0]
    assert f": {place}: " in first
    assert said in first
    line = int(first.partition(".json:")[2].partition(":")[0])
    if not place.endswith("]"):
        assert place.rpartition(".")[2] in file.read_text().splitlines()[line - 1]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"remote_hosts": []}, "plugin_settings: this key is missing"),
        ({"remote_hosts": [], "plugin_settings": {"dfaas": {"k6_host": "g"}}}, "no host is listed"),
        (
            {"remote_hosts": [{"address": "a"}], "plugin_settings": {"dfaas": {}}},
            "k6_host is missing",
        ),
        (
            {"remote_hosts": [{}], "plugin_settings": {"dfaas": {"k6_host": "g"}}},
            "this key is missing",
        ),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, data: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=r"benchmark_config\.json") as caught:
        read(write(tmp_path, data))
    assert said in str(caught.value)
