"""What one can do to one generator: provision it, look at it, hold its connections."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfaas_lab import validation as naming
from dfaas_lab.config import Host
from dfaas_lab.errors import K6Missing
from dfaas_lab.playbook_variables import PLACES, check_source, check_variable, check_version

if TYPE_CHECKING:
    import polars as pl

    from dfaas_lab.analysis.clock_skew import Skew
    from dfaas_lab.provision import GeneratorSpec, Marker, ProvisionReport
    from dfaas_lab.remote.facts import HostFacts
    from dfaas_lab.remote.remote import Remote


class Generator:
    """The SSH host that runs k6. Making one connects to nothing.

    Args:
        host: An address, or a :class:`Host`.
        user: The user to log in as.
        port: SSH port.
        key: Path of the private key.
        name: What people call it; its address where left out.
        workspace_root: The folder there in which each iteration gets a workspace.
        k6_version: The version of k6 to install; None means this machine's own.
        k6_source: Where k6 comes from; None lets the playbook choose.
        variables: Places for the playbook: ``install_dir``, ``python``, ``remote_tmp``, or a
            variable of ``playbooks/group_vars/all.yml`` that has no argument here.

    Raises:
        ConfigError: An address, path, source or variable that cannot be.

    >>> Generator("10.0.0.50", user="ubuntu", key="~/.ssh/id_ed25519").name
    '10.0.0.50'
    """

    def __init__(
        self,
        host: str | Host,
        *,
        user: str | None = None,
        port: int = 22,
        key: str | Path | None = None,
        name: str | None = None,
        workspace_root: str = "/tmp/dfaas-runs",  # noqa: S108 (there; the playbook checks it)
        k6_version: str | None = None,
        k6_source: str | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> None:
        self.host = host if isinstance(host, Host) else Host(host, user=user, port=port, key=key)
        self.name = name or self.host.address
        self.workspace_root = naming.workspace_root(workspace_root)
        self._k6_version = k6_version
        self._one_version = k6_version is not None
        self._k6_source = k6_source
        self._variables = dict(variables or {})
        check_source(k6_source)
        check_version(k6_version)
        for variable, value in self._variables.items():
            check_variable(variable, value)
        self._lock = threading.Lock()
        self._remote: Remote | None = None
        self._marker: Marker | None = None
        self._facts: HostFacts | None = None

    def _repr_html_(self) -> str:
        from dfaas_lab.display.cards import card

        k6 = self._k6_version or "as provisioned"
        facts = {"host": str(self.host), "workspaces": self.workspace_root, "k6": k6}
        return card(f"generator {self.name}", facts)

    def __repr__(self) -> str:
        made = {"host": None, "name": None, **vars(self)}  # a refused one, too
        return f"Generator({str(made['host'])!r}, name={made['name']!r})"

    @property
    def remote(self) -> Remote:
        """The host as something that runs commands; connected at the first one."""
        with self._lock:
            if self._remote is None:
                from dfaas_lab.remote.remote import Remote

                self._remote = Remote(self.host)
            return self._remote

    def spec(self) -> GeneratorSpec:
        """The generator as provisioning wants it said."""
        from dfaas_lab.provision import GeneratorSpec

        places = {k: self._variables.get(k) for k in PLACES}
        return GeneratorSpec(
            host=self.host,
            name=self.name,
            workspace_root=self.workspace_root,
            k6_version=self._k6_version,
            k6_source=self._k6_source,
            variables={k: v for k, v in self._variables.items() if k not in places},
            **places,
        )

    def provision(self, force: bool = False, *, progress: bool | None = None) -> ProvisionReport:
        """Run the global playbook on this generator, once per session.

        Args:
            force: Run it even where the generator is as the playbook left it.
            progress: None chooses how progress is shown; False shows nothing.

        Raises:
            ProvisionError: ``HostUnreachable`` or ``TaskFailed``, with what to do.
        """
        from dfaas_lab.provision import provision, run_interruptible
        from dfaas_lab.widgets import choose_view

        spec = self.spec()
        report = run_interruptible(
            lambda steps, cancel: provision([spec], force=force, progress=steps, cancel=cancel),
            choose_view(progress),
        )
        self.invalidate_k6()
        return report

    def marker(self) -> Marker:
        """What provisioning left there: k6's version and path; read once per session.

        Raises:
            K6Missing: The generator was never provisioned, k6 is gone, or it is another version.
        """
        if self._marker is None:
            from dfaas_lab.provision import forget, read_marker

            spec = self.spec()
            marker = read_marker(self.remote, self.workspace_root)
            if marker is None or (said := _unusable(marker, self.wanted_k6())):
                forget([spec.key])  # whoever changed it: provision() is to look at the host again
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

    def check(self) -> pl.DataFrame:
        """Look at the generator, changing nothing: ``host, check, ok, detail, fix``."""
        from dfaas_lab.checks import GeneratorLook, check_lab

        look = GeneratorLook.of(
            self.spec(), self.remote, k6_version=self.wanted_k6(), learn=self.learn
        )
        return check_lab([look])

    def wanted_k6(self) -> str | None:
        """The version of k6 that runs take: the named one, or what this session provisioned.

        None for any: whoever provisioned it, it is recorded with the run.
        """
        from dfaas_lab.provision import known

        spec = self.spec()
        self._one_version = self._one_version or known(spec.key) is not None
        return (spec.wanted_version or None) if self._one_version else None

    def facts(self) -> dict[str, Any]:
        """What the host is (CPU, memory, kernel), asked once per session."""
        if self._facts is None:
            from dfaas_lab.remote.facts import read_facts

            self._facts = read_facts(self.remote, self.workspace_root)
        return dict(self._facts.provenance())

    def clock_skew(self) -> Skew | None:
        """How far its clock was ahead of ours when its facts were read; None where none were."""
        return None if self._facts is None else self._facts.skew

    def learn(self, facts: HostFacts) -> None:
        """Take what somebody else asked the host for."""
        self._facts = facts

    def measure_free_resources(self) -> None:
        """Ask how much room there is now; :meth:`room` says it.

        Raises:
            ConnectionFailed: The host cannot be asked.
        """
        if self._facts is None:
            self.facts()
        else:
            from dfaas_lab.remote.facts import with_room_now

            self._facts = with_room_now(self._facts, self.remote, self.workspace_root)

    def room(self) -> dict[str, int | None]:
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
