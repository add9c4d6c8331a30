"""Readings of a node, idle or under load. Values; None means "not measured"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dfaas_lab.analysis.node_metrics import NODE


@dataclass(frozen=True)
class Readings:
    """The state of a node, as means over a time.

    Args:
        cpu_cores: Busy processors.
        cpu_fraction: The same as a part of all processors, 0..1.
        memory_bytes: Memory in use.
        memory_fraction: The same as a part of all memory, 0..1.
        power_watts: Power.
        replicas: By function name.
        functions: By function name, ``cpu_cores, memory_bytes, power_watts``.
        reason: Why something was not measured.
    """

    cpu_cores: float | None = None
    cpu_fraction: float | None = None
    memory_bytes: float | None = None
    memory_fraction: float | None = None
    power_watts: float | None = None
    replicas: Mapping[str, int] = field(default_factory=dict)
    functions: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    reason: str = ""

    @property
    def measured(self) -> bool:
        """Whether anything of the node itself was measured."""
        return any(getattr(self, name) is not None for name in NODE)

    @classmethod
    def from_stored(cls, entries: Mapping[str, Any]) -> Readings:
        """Return the readings as JSON told them."""
        return cls(**{name: entries[name] for name in cls.__dataclass_fields__ if name in entries})

    def __str__(self) -> str:
        words = {
            "cpu_cores": "CPU {:.2f} cores",
            "memory_bytes": "memory {:.3g} bytes",
            "power_watts": "power {:.1f} W",
        }
        parts = [
            text.format(value)
            for name, text in words.items()
            if (value := getattr(self, name)) is not None
        ]
        parts += [f"{name}: {count} replicas" for name, count in self.replicas.items()]
        if self.reason:
            parts.append(f"not measured: {self.reason}")
        return ", ".join(parts) or "nothing measured"
