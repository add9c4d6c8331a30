"""A lab file as plain values. Secrets are left out of every repr."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dfaas_lab.config import Host, Limits
from dfaas_lab.labfile.source import Source
from dfaas_lab.load import Function


@dataclass(frozen=True)
class GeneratorEntry:
    """The arguments of a :class:`dfaas_lab.Generator`; None means its default."""

    name: str
    host: Host
    workspace_root: str | None = None
    k6_version: str | None = None
    k6_source: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TargetEntry:
    """The arguments of a :class:`dfaas_lab.Target`; None means its default.

    ``generator`` and ``via`` are names of generators of the file.
    """

    name: str
    gateway: str
    generator: str
    functions: tuple[Function, ...]
    prometheus: str | None = None
    auth: tuple[str, str] | None = field(default=None, repr=False)
    host: Host | None = None
    via: str | None = None
    install_monitoring: bool = False
    served_by_header: str | None = None
    queries: Path | str | Mapping[str, Any] | None = None
    ca: Path | None = None
    insecure: bool = False


@dataclass(frozen=True)
class LabFile:
    """A lab as its file describes it.

    Args:
        source: The file, which names its places in errors.
        generators: The generators, in the file's order; names are unique.
        targets: The targets, in the file's order; names are unique.
        store: Where results go; None means the default of :class:`dfaas_lab.Lab`.
        limits: The limits of every run.
        thresholds: k6 thresholds, by function.
        campaign: The arguments of ``lab.campaign()``, where a campaign is described.
        unused: Keys of another tool's configuration that mean nothing here (yet).
    """

    source: Source
    generators: tuple[GeneratorEntry, ...]
    targets: tuple[TargetEntry, ...]
    store: Path | None = None
    limits: Limits = field(default_factory=Limits)
    thresholds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    campaign: Mapping[str, Any] | None = None
    unused: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.source.path
