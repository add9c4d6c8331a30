"""The existing tools' keys about Prometheus: their file of queries, power on and off, processes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from dfaas_lab import Lab
from dfaas_lab.errors import ConfigError
from dfaas_lab.services.queries import queries
from tests.unit.test_labfile_campaign import _file, _read

THEIRS = {
    "queries": [
        {
            "name": "cpu_usage_node",
            "query": '100 * sum(1 - rate(node_cpu_seconds_total{mode="idle"}[{time_span}]))',
            "range": True,
            "step": "10s",
        },
        {"name": "temperature", "query": "max(node_hwmon_temp_celsius)"},
        {
            "name": "cpu_usage_function",
            "query": '100 * sum(rate(container_cpu_usage_seconds_total{name="{function_name}"}'
            "[{time_span}]))",
        },
        {
            "name": "power_usage_function",
            "query": 'sum(avg_over_time(scaph_process_power_microwatts{pid=~"{pid_regex}"}'
            "[{time_span}]))",
            "enabled_if": "scaphandre",
        },
    ]
}


def asked(folder: Path, dfaas: dict[str, Any]) -> dict[str, Any]:
    target = _read(folder, dfaas).targets[0]
    assert isinstance(target.queries, dict)
    return dict(queries(target.queries, ["env", "figlet.dev"]))


def test_their_file_replaces_ours_metric_by_metric(tmp_path: Path) -> None:
    (tmp_path / "q.yml").write_text(yaml.safe_dump(THEIRS))
    found = asked(tmp_path, {"queries_path": "q.yml", "function_pid_regexes": {"env": r"12\d"}})
    (cpu,) = found["cpu_cores"]
    assert cpu.scale == 0.01
    assert cpu.expression(5.0) == (
        '100 * sum(1 - rate(node_cpu_seconds_total{mode="idle"}[5000ms]))'
    )
    assert [(q.of, 'name="figlet"' in q.expression(1)) for q in found["function_cpu_cores"]] == [
        ("env", False),
        ("figlet.dev", True),
    ]
    (power,) = found["function_power_watts"]
    assert power.of == "env"
    assert r'pid=~"12\\d"' in power.expression(1)
    assert found["temperature"][0].scale == 1.0
    assert found["replicas"][0].gauge  # what their file does not ask for is asked as usual


def test_a_file_in_our_own_form_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "q.yml").write_text("cpu_cores: {counter: mine_total}\n")
    assert list(asked(tmp_path, {"queries_path": "q.yml"})) == ["cpu_cores"]


def test_power_is_off_where_they_say_so(tmp_path: Path) -> None:
    assert _read(tmp_path, {"scaphandre_enabled": True}).targets[0].queries is None
    off = asked(tmp_path, {"scaphandre_enabled": False, "function_pid_regexes": {"env": "1"}})
    assert "cpu_cores" in off
    assert not {"power_watts", "function_power_watts"} & set(off)


def test_processes_of_a_function_are_found_by_their_numbers(tmp_path: Path) -> None:
    found = asked(tmp_path, {"function_pid_regexes": {"env": "12|13", "figlet": '9"'}})
    first, second, *usual = found["function_power_watts"]
    assert (first.of, first.gauge) == (
        "env", 'scaph_process_power_consumption_microwatts{pid=~"12|13"}',
    )  # fmt: skip
    assert '9\\"' in second.gauge
    assert [q.of for q in usual] == [None]  # and the others by their pods


def test_nothing_of_it_is_called_unused(tmp_path: Path) -> None:
    (tmp_path / "q.yml").write_text(yaml.safe_dump(THEIRS))
    keys = {"queries_path": "q.yml", "scaphandre_enabled": True, "function_pid_regexes": {}}
    assert not [one for one in _read(tmp_path, keys).unused if "queries" in one or "scaph" in one]
    (gone,) = [one for one in _read(tmp_path, {"queries_path": "x"}).unused if "queries" in one]
    assert gone.endswith("queries_path (there is no such file; ours are asked)")


@pytest.mark.parametrize(
    ("keys", "text", "words"),
    [
        ({"queries_path": "q.yml"}, "[1]", "no list of queries"),
        ({"queries_path": "q.yml"}, "queries: [{name: x}]", "has no query"),
        ({"queries_path": "q.yml"}, "queries: [", "q.yml"),
        ({"queries_path": "q.yml"}, "queries: [{name: x, query: '{what}'}]", "placeholder {what}"),
        ({"queries_path": 7}, "", "no path"),
        ({"function_pid_regexes": ["1"]}, "", "function_pid_regexes"),
        ({"function_pid_regexes": {"env": 1}}, "", "function_pid_regexes"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    tmp_path: Path, keys: dict[str, Any], text: str, words: str
) -> None:
    (tmp_path / "q.yml").write_text(text)
    with pytest.raises(ConfigError, match=f"(?s)config.json.*{words}"):
        _read(tmp_path, keys)


def test_a_lab_has_them_and_so_has_a_lab_file_of_ours(tmp_path: Path) -> None:
    data = {
        "generators": [{"host": "127.0.0.1"}],
        "targets": [
            {"name": "t", "gateway": "http://h", "functions": ["env"],
             "queries": {"healthy": {"promql": "min(up)"}}}
        ],
    }  # fmt: skip
    target = Lab.from_file(_file(tmp_path, data).source.path).target
    assert target.queries == {"healthy": {"promql": "min(up)"}}
    data["targets"][0]["queries"] = {"healthy": {"promql": "a", "gauge": "b"}}  # type: ignore[index]
    with pytest.raises(ConfigError, match=r"targets\[0\].queries.*'promql'"):
        _file(tmp_path, data)
    data["targets"][0]["queries_path"] = "local"  # type: ignore[index]
    with pytest.raises(ConfigError, match="not both"), warnings.catch_warnings():
        _file(tmp_path, data)
