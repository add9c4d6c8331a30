"""Translates the existing tools' Prometheus queries and power settings to our keys.

Their file lists PromQL with ``{time_span}``, ``{function_name}`` and ``{pid_regex}``. The tools
evaluate it every 10 s of a load, each time looking back for a whole time span, so also at what was
before; here it is evaluated once, at the end, over exactly the load.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dfaas_lab.services.queries import content_of

USED = ("queries_path", "scaphandre_enabled", "function_pid_regexes")
# Theirs by name: our metric, and what makes its unit of theirs.
_METRICS = {
    "cpu_usage_node": ("cpu_cores", 0.01),
    "ram_usage_node": ("memory_bytes", 1.0),
    "ram_usage_node_pct": ("memory_fraction", 0.01),
    "power_usage_node": ("power_watts", 1e-6),
    "cpu_usage_function": ("function_cpu_cores", 0.01),
    "ram_usage_function": ("function_memory_bytes", 1.0),
    "power_usage_function": ("function_power_watts", 1e-6),
}
_POWER = ("power_watts", "function_power_watts")
_PROCESSES = 'scaph_process_power_consumption_microwatts{pid=~"{pid_regex}"}'


def queries_of(given: Mapping[str, Any], folder: Path) -> dict[str, Any] | None:
    """Return the questions as ``Target(queries=...)`` takes them; None means the default.

    Args:
        given: The plug-in's settings.
        folder: What a relative ``queries_path`` is relative to.

    Raises:
        OSError: The file is there and cannot be read.
        ValueError: It, or another of the keys, is not what it should be.
    """
    pids, path = _pids(given.get("function_pid_regexes") or {}), file_of(given, folder)
    has_power = given.get("scaphandre_enabled") is not False
    if path is None and not pids and has_power:
        return None
    usual = dict(content_of("kubernetes"))
    asked = usual if path is None else _translated(_content(path), pids, usual)
    if pids and path is None:
        all_pods = asked["function_power_watts"]
        asked["function_power_watts"] = [*_for_each(_PROCESSES, "gauge", 1e-6, pids), all_pods]
    return {name: some for name, some in asked.items() if has_power or name not in _POWER}


def file_of(given: Mapping[str, Any], folder: Path) -> Path | None:
    """Return their file of queries where it is there."""
    named = given.get("queries_path")
    if named is None:
        return None
    if not isinstance(named, str):
        raise ValueError("queries_path is no path")
    path = folder / Path(named).expanduser()
    return path if os.path.exists(path) else None  # noqa: PTH110 - it may be too long


def _pids(given: Any) -> dict[str, str]:
    if not isinstance(given, Mapping) or not all(isinstance(one, str) for one in given.values()):
        raise ValueError("function_pid_regexes is no mapping of a function to a regular expression")
    return {str(name): regex for name, regex in given.items()}


def _content(path: Path) -> Any:
    try:
        return content_of(path)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error


def _translated(content: Any, pids: Mapping[str, str], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Theirs over the usual ones; a file in our own form is taken as it is."""
    listed = content.get("queries") if isinstance(content, Mapping) else None
    if not isinstance(listed, list):
        if not isinstance(content, Mapping):
            raise ValueError("queries_path: the file has no list of queries")
        return dict(content)
    found = dict(usual)
    for entry in listed:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("query"), str):
            raise ValueError("queries_path: an entry of the file has no query")
        metric, scale = _METRICS.get(str(entry.get("name")), (str(entry.get("name")), 1.0))
        text = entry["query"].replace("{time_span}", "{window}")
        text = text.replace("{function_name}", "{one_function}")
        found[metric] = (
            _for_each(text, "promql", scale, pids)
            if "{pid_regex}" in text
            else [{"promql": text, "scale": scale}]
        )
    return found


def _for_each(text: str, kind: str, scale: float, pids: Mapping[str, str]) -> list[dict[str, Any]]:
    """One question for each function that has processes of its own."""
    return [
        # A string of PromQL is quoted as one of JSON.
        {kind: text.replace("{pid_regex}", json.dumps(regex)[1:-1]), "of": name, "scale": scale}
        for name, regex in pids.items()
    ]
