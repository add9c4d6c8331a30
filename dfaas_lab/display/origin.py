"""The origin of a run's numbers in words, from its manifest: date, machines, versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def date_of(manifest: Mapping[str, Any]) -> str:
    """When the run began, to the minute: ``2026-11-25 09:30 UTC``; empty where that is unknown."""
    at = str(manifest.get("created_at") or "")
    return f"{at[:10]} {at[11:16]} UTC" if at else ""


def machines_of(manifest: Mapping[str, Any]) -> list[str]:
    """One line per generator: its processors, memory, system and k6.

    >>> host = {"cores": 2, "cpu_model": "AMD EPYC", "memory_bytes": 2**34, "k6_version": "1.1.0"}
    >>> machines_of({"provenance": {"generators": {"big": host}}})
    ['big: 2 x AMD EPYC, 16.0 GiB, k6 1.1.0']
    """
    generators = _mapping(_mapping(manifest.get("provenance")).get("generators"))
    return [f"{name}: {', '.join(_facts(_mapping(host)))}" for name, host in generators.items()]


def versions_of(manifest: Mapping[str, Any]) -> str:
    """The versions on this side: dfaas_lab, Python, and the libraries that make the numbers."""
    facts = _mapping(manifest.get("provenance"))
    libraries = _mapping(facts.get("libraries"))
    named = {name: facts.get(name) for name in ("dfaas_lab", "python")}
    named |= {name: libraries.get(name) for name in ("polars", "altair")}
    return ", ".join(f"{name} {version}" for name, version in named.items() if version)


def _facts(host: Mapping[str, Any]) -> Iterator[str]:
    model = host.get("cpu_model") or host.get("architecture")
    if host.get("cores"):
        yield f"{host['cores']} x {model or 'processor'}"
    if memory := host.get("memory_bytes"):
        yield f"{memory / 2**30:.1f} GiB"
    if system := host.get("system") or host.get("kernel"):
        yield str(system)
    if version := host.get("k6_version"):
        yield f"k6 {version}"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
