"""The session of one generator: its connections, its k6, its facts, its free resources.

What is asked of the host is cached for the session: its marker, its facts. Free memory and disk are
measured before each run.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dfaas_lab.errors import K6Missing
from dfaas_lab.provision import cache
from dfaas_lab.provision.marker import read_marker
from dfaas_lab.remote.facts import read_facts, with_free_now
from dfaas_lab.remote.remote import Remote

if TYPE_CHECKING:
    from dfaas_lab.clock import Skew
    from dfaas_lab.config import Host
    from dfaas_lab.provision.marker import Marker
    from dfaas_lab.provision.spec import GeneratorSpec
    from dfaas_lab.remote.facts import HostFacts


@dataclass(eq=False)
class GeneratorSession:
    """A generator that is being used. Safe to use from threads."""

    spec: GeneratorSpec
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _remote: Remote | None = field(default=None, init=False, repr=False)
    _marker: Marker | None = field(default=None, init=False, repr=False)
    _facts: HostFacts | None = field(default=None, init=False, repr=False)
    _provisioned: bool = field(default=False, init=False, repr=False)

    @property
    def name(self) -> str:
        """What people call it."""
        return self.spec.name

    @property
    def host(self) -> Host:
        """Where it is."""
        return self.spec.host

    @property
    def workspace_root(self) -> str:
        """The folder of the workspaces there."""
        return self.spec.workspace_root

    @property
    def remote(self) -> Remote:
        """The host as something that runs commands; connected at the first one."""
        with self._lock:
            if self._remote is None:
                self._remote = Remote(self.host)
            return self._remote

    def marker(self) -> Marker:
        """What provisioning left there: k6's version and path; read once per session.

        Raises:
            K6Missing: The generator was never provisioned, k6 is gone, or it is another version.
        """
        if self._marker is None:
            marker = read_marker(self.remote, self.workspace_root)
            if marker is None or (said := _unusable(marker, self.wanted_k6())):
                # Whoever changed it: provision() is to look at the host again.
                cache.evict([self.spec.key])
                raise K6Missing(
                    f"{self.host}: {'no k6 is ready there' if marker is None else said}",
                    hint="Run generator.provision() first. Where others provision the same host "
                    "for another version, give this generator a workspace_root of its own.",
                )
            self._marker = marker
        return self._marker

    def k6_path(self) -> str:
        """The path of k6 there.

        Raises:
            K6Missing: The generator was never provisioned, or k6 is gone.
        """
        return self.marker().k6_path

    def invalidate_k6(self) -> None:
        """Look anew for k6 at the next run."""
        self._marker = None

    def wanted_k6(self) -> str | None:
        """The version of k6 that runs take: the named one, or what this session provisioned.

        None for any: whoever provisioned it, it is recorded with the run.
        """
        self._provisioned = self._provisioned or cache.get(self.spec.key) is not None
        is_one = self._provisioned or self.spec.k6_version is not None
        return (self.spec.wanted_version or None) if is_one else None

    def facts(self) -> dict[str, Any]:
        """What the host is (CPU, memory, kernel), asked once per session."""
        if self._facts is None:
            self._facts = read_facts(self.remote, self.workspace_root)
        return dict(self._facts.provenance())

    def clock_skew(self) -> Skew | None:
        """How far its clock was ahead of ours when its facts were read; None where none were."""
        return None if self._facts is None else self._facts.skew

    def set_facts(self, facts: HostFacts) -> None:
        """Take what somebody else asked the host for."""
        self._facts = facts

    def measure_free_resources(self) -> None:
        """Ask how much memory and disk is free now; :meth:`free_resources` returns it.

        Raises:
            ConnectionFailed: The host cannot be asked.
        """
        if self._facts is None:
            self.facts()
        else:
            self._facts = with_free_now(self._facts, self.remote, self.workspace_root)

    def free_resources(self) -> dict[str, int | None]:
        """``memory_bytes`` and ``disk_bytes`` for workspaces as far as known; asks nothing."""
        facts = self._facts
        return {
            "memory_bytes": facts.memory_bytes if facts else None,
            "disk_bytes": facts.root.free_bytes if facts else None,
        }

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            remote, self._remote = self._remote, None
        if remote is not None:
            remote.close()


def _unusable(marker: Marker, wanted: str | None) -> str:
    """Say why the k6 of a marker is not what a generator wants; empty where it is."""
    if not marker.answers:
        return f"k6 at {marker.k6_path} does not answer"
    if wanted not in (None, marker.k6_version):
        return f"k6 {marker.k6_version} was provisioned there last, not {wanted}"
    return ""
