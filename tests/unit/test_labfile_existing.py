"""The existing tools' configuration file is read unchanged."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from dfaas_lab.config import Host
from dfaas_lab.errors import ConfigError
from dfaas_lab.labfile import read
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
        "plugin_settings.dfaas.duration",
        "plugin_settings.dfaas.iterations",
        "plugin_settings.dfaas.rates",
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


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"remote_hosts": []}, "plugin_settings: no mapping"),
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
