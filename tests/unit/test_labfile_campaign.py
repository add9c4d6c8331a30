"""The campaign of a lab file: ours, and those of the existing tools' forms."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from dfaas_lab import Cooldown, Custom, Exponential, Lab, Linear, Overload, Plan, Random
from dfaas_lab.errors import ConfigError
from dfaas_lab.labfile import LabFile, read
from tests.unit.test_labfile_existing import THEIRS


def _read(folder: Path, dfaas: dict[str, Any], name: str = "dfaas") -> LabFile:
    data = copy.deepcopy(THEIRS)
    settings = data["plugin_settings"].pop("dfaas")
    del settings["rates"]
    data["plugin_settings"][name] = settings | dfaas
    return _file(folder, data)


def _file(folder: Path, data: dict[str, Any]) -> LabFile:
    file = folder / "config.json"
    file.write_text(json.dumps(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read(file)


def test_the_existing_tools_defaults_are_a_campaign(tmp_path: Path) -> None:
    campaign = _read(tmp_path, {"duration": None, "iterations": None}).campaign
    assert campaign is not None
    assert campaign["plan"] == Plan(["env", "figlet"], Linear(0, 200, 10), sizes=(1, 1))
    assert (campaign["iterations"], campaign["duration"]) == (3, "30s")
    assert campaign["cooldown"].described() == Cooldown().described()
    assert campaign["overload"] == Overload()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "linear", "min_rate": 10, "max_rate": 30, "step": 5}, Linear(10, 30, 5)),
        (
            {"type": "random", "min_rate": 1, "max_rate": 9, "count": 3, "seed": 4},
            Random(1, 9, 3, 4),
        ),
        ({"type": "exponential", "base": 3, "max_power": 4}, Exponential(3, 0, 4)),
        ({"type": "exponential", "max_rate": 100}, Exponential(max_rate=100)),
        ({"type": "custom", "rates": [50, 5, 50]}, Custom([5, 50])),
    ],
)
def test_every_kind_of_rates(tmp_path: Path, given: dict[str, Any], expected: Any) -> None:
    campaign = _read(tmp_path, {"rate_strategy": given}).campaign
    assert campaign is not None
    assert campaign["plan"].rates == expected


def test_the_deprecated_rates_replace_a_linear_strategy_that_is_the_default(tmp_path: Path) -> None:
    old = {"min_rate": 5, "max_rate": 25}

    def rates(strategy: dict[str, Any] | None) -> Any:
        found = _read(tmp_path, {"rate_strategy": strategy, "rates": old}).campaign
        assert found is not None
        return found["plan"].rates

    assert rates(None) == Linear(5, 25, 10)
    assert rates({"type": "linear"}) == Linear(5, 25, 10)
    assert rates({"type": "linear", "max_rate": 200, "step": 10}) == Linear(5, 25, 10)
    assert rates({"type": "linear", "max_rate": 100}) == Linear(0, 100, 10)
    assert rates({"type": "custom", "rates": [7]}) == Custom([7])


def test_sizes_cooldown_and_overload_have_our_units(tmp_path: Path) -> None:
    campaign = _read(
        tmp_path,
        {
            "combinations": {"min_functions": 1, "max_functions": 3},
            "cooldown": {"max_wait_seconds": 60, "sleep_step_seconds": 2, "idle_threshold_pct": 20},
            "overload": {
                "cpu_overload_pct_of_capacity": 70,
                "ram_overload_pct": 85,
                "success_rate_node_min": 0.9,
                "success_rate_function_min": 0.8,
                "replicas_overload_threshold": 9,
            },
        },
    ).campaign
    assert campaign is not None
    assert campaign["plan"].sizes == (1, 2)
    own = Cooldown(max_wait="60s", step="2s", threshold=0.2)
    assert campaign["cooldown"].described() == own.described()
    assert campaign["overload"] == Overload(
        cpu_fraction=0.7,
        memory_fraction=0.85,
        node_success_rate=0.9,
        function_success_rate=0.8,
        replicas=9,
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rate_strategy": {"type": "cubic"}}, "rate_strategy.*cubic"),
        ({"rate_strategy": {"type": "linear", "step": 0}}, "rate_strategy.*too low"),
        ({"combinations": {"min_functions": 2, "max_functions": 2}}, "sizes"),
        ({"combinations": {"max_functions": "x"}}, "dfaas"),
        ({"cooldown": 5}, "cooldown: give a mapping"),
        ({"duration": "soon"}, "duration"),
        ({"overload": {"ram_overload_pct": 900}}, "memory_fraction"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(
    tmp_path: Path, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=f"(?s)config.json.*{words}"):
        _read(tmp_path, given)


def test_keys_that_mean_nothing_are_named_also_within_sections(tmp_path: Path) -> None:
    unused = _read(
        tmp_path,
        {
            "queries_path": "q.yml",
            "scaphandre_enabled": True,
            "k6_outputs": ["loki=http://x"],
            "overload": {"disk_pct": 5},
        },
    ).unused
    at = "plugin_settings.dfaas"
    expected = ("k6_outputs", "overload.disk_pct")
    assert set(unused) >= {
        *(f"{at}.{key}" for key in expected),
        f"{at}.queries_path (there is no such file; ours are asked)",
    }


@pytest.mark.parametrize("name", ["dfaas", "peva_faas"])
def test_the_newer_plugin_names_its_node_and_runs_k6_beside_it(tmp_path: Path, name: str) -> None:
    data = {
        "remote_hosts": [{"name": "runner", "address": "192.0.2.2", "user": "ubuntu"}],
        "plugin_settings": {
            name: {
                "k3s_host": "192.0.2.3",
                "k3s_user": "ubuntu",
                "k3s_ssh_key": "/keys/k",
                "k3s_port": 2222,
                "gateway_url": "http://{host.address}:31112",
                "functions": [{"name": "env", "method": "GET", "body": ""}],
                "rates": {"max_rate": 20},
            }
        },
    }
    file = _file(tmp_path, data)
    (target,), (generator,) = file.targets, file.generators
    assert target.gateway == "http://192.0.2.3:31112"
    assert target.host == generator.host
    assert (generator.host.address, generator.host.port) == ("192.0.2.3", 2222)
    assert str(generator.host.key) == "/keys/k"
    assert file.unused == ("remote_hosts",)
    assert file.campaign is not None
    assert file.campaign["plan"] == Plan(["env"], Linear(0, 20))


def test_yaml_lays_the_plugins_section_over_what_is_common(tmp_path: Path) -> None:
    data = {
        "common": {
            "timeout_buffer": 10,
            "iterations": 7,
            "duration": "1m",
            "cooldown": {"max_wait_seconds": 60, "sleep_step_seconds": 1},
            "rate_strategy": {"type": "custom", "rates": [1, 2, 3]},
        },
        "plugins": {
            "dfaas": {
                "k6_host": "192.0.2.7",
                "gateway_url": "http://{host.address}:31112",
                "functions": [{"name": "env"}],
                "duration": "10s",
                "cooldown": {"sleep_step_seconds": 2},
                "rate_strategy": {"rates": [9]},
            },
            "stress_ng": {},
        },
        "remote_hosts": [{"name": "mid", "address": "192.0.2.6"}],
    }
    path = tmp_path / "lab.yml"
    path.write_text(yaml.safe_dump(data))
    with pytest.warns(UserWarning, match=r"not used.*plugins.stress_ng, plugins.dfaas.timeout_buf"):
        lab = Lab.from_file(path)
    assert lab.target.gateway == "http://192.0.2.6:31112"
    campaign = lab.campaign(progress=False)
    settings = campaign._settings
    assert (settings.iterations, settings.duration_s) == (7, 10.0)
    assert settings.plan.rates == Custom([9])
    assert settings.cooldown.described()["max_wait_s"] == 60
    assert settings.cooldown.described()["step_s"] == 2
    # What is given here wins.
    assert lab.campaign(iterations=2, duration="2s")._settings.iterations == 2
    assert "1 load" in str(campaign.preview())


OURS = """
generators: [{name: gen, host: 192.0.2.5}]
functions: [{name: figlet, max_rate: 25}, env, aes]
targets:
  - {name: mid, gateway: "http://192.0.2.6:31112"}
  - {name: heavy, gateway: "http://192.0.2.8:31112", functions: [figlet, env]}
campaign:
  rates: {type: linear, min: 0, max: 40, step: 10}
  sizes: [1, 2]
  iterations: 5
  duration: 10s
  cooldown: {fixed: 3s}
  overload: {cpu_fraction: 0.7}
  order: shuffled
  seed: 3
  label: night
"""


def test_our_own_file_describes_one_too(tmp_path: Path) -> None:
    path = tmp_path / "lab.yml"
    path.write_text(OURS)
    lab = Lab.from_file(path)
    settings = lab.campaign()._settings
    assert settings.plan == Plan(["env", "figlet"], Linear(0, 40), sizes=(1, 2))
    assert (settings.order, settings.seed, settings.overload.cpu_fraction) == ("shuffled", 3, 0.7)
    assert settings.cooldown.fixed_s == 3.0
    assert settings.targets == ("mid", "heavy")
    assert lab.campaign().label == "night"
    # figlet takes no more than 25 requests/s anywhere.
    assert lab.campaign().preview().loads == {"mid": 5 + 3 + 15, "heavy": 5 + 3 + 15}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("sizes: [1, 2]", "sizes: [1]", "campaign.sizes"),
        ("type: linear", "type: lineal", "campaign.rates.*lineal"),
        ("fixed: 3s", "fixd: 3s", "campaign.cooldown.*fixd"),
        ("cpu_fraction", "cpu_frction", "campaign.overload.*cpu_frction"),
        ("iterations: 5", "iteration: 5", "did you mean 'iterations'"),
    ],
)
def test_our_own_is_checked_with_places(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "lab.yml"
    path.write_text(OURS.replace(old, new))
    with pytest.raises(ConfigError, match=f"(?s)lab.yml:[0-9]+.*{words}"):
        Lab.from_file(path)
