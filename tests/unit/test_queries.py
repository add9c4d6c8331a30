"""Files of questions to Prometheus: packaged ones, the user's own, and wrong ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfaas_lab import Function, Generator, Target
from dfaas_lab.errors import ConfigError
from dfaas_lab.services.queries import packaged, queries
from tests.unit.test_regular_file import NESTED


@pytest.mark.parametrize("name", packaged())
def test_packaged_files_hold_what_a_campaign_needs(name: str) -> None:
    found = queries(name, ["figlet", "env.dev"])
    needed = {"cpu_cores", "cpu_fraction", "memory_bytes", "memory_fraction", "power_watts"}
    assert needed | {"replicas", "function_cpu_cores", "function_memory_bytes"} <= set(found)
    selectors = [one for some in found.values() for query in some for one in query.selectors]
    assert not [one for one in selectors if "{functions}" in one or "{namespaces}" in one]


def test_placeholders_name_the_targets_functions() -> None:
    (query, _) = queries("kubernetes", ["figlet", "env.dev"])["function_cpu_cores"]
    assert 'container=~"env|figlet"' in query.selector
    assert 'namespace=~"dev|openfaas-fn"' in query.selector


def test_iowait_is_idle_everywhere() -> None:
    for name in packaged():
        found = queries(name)
        assert all(
            'mode!~"idle|iowait"' in found[m][0].selector for m in ("cpu_cores", "cpu_fraction")
        )


def test_a_file_of_ones_own_replaces_them(tmp_path: Path) -> None:
    mine = tmp_path / "mine [1].yml"
    mine.write_text(
        'temperature: {gauge: "node_hwmon_temp_celsius{chip=~\\"a{2}\\"}", combine: max}\n'
    )
    assert list(queries(mine)) == ["temperature"]
    target = Target(
        "t",
        gateway="http://127.0.0.1:1",
        generator=Generator("127.0.0.1"),
        functions=[Function("env")],
        queries=mine,
    )
    assert target.queries == str(mine)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cpu: {counter: a, gauge: b}", "either 'counter', 'gauge' or 'promql'"),
        ("cpu: {}", "either 'counter', 'gauge' or 'promql'"),
        ("cpu: {counter: a, pattern: x}", "needs a group"),
        ("cpu: {counter: a, pattern: '('}", "unterminated"),
        ("cpu: {counter: a, by: x}", "cpu.0.by: Extra inputs"),
        ("cpu: {counter: 'a{function=~\"{function}\"}'}", "no placeholder {function}"),
        ("- a", "dictionary"),
        ("a: [", "while parsing"),
        ("a: !!python/object:os.system {}", "could not determine a constructor"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "q.yml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        queries(tmp_path / "q.yml")
    assert told in caught.value.message
    assert caught.value.hint


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        queries(tmp_path / "none.yml")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError, match="no regular file"):
        queries(tmp_path / "fifo")


@pytest.mark.timeout(30)
@pytest.mark.parametrize("text", NESTED.values(), ids=NESTED)
def test_yaml_that_is_more_than_it_looks_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "q.yml").write_text(text)
    with pytest.raises(ConfigError):
        queries(tmp_path / "q.yml")
