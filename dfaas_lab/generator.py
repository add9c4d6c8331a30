"""``Generator``: the SSH host that runs k6. Provision it, check it, close its connections."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfaas_lab import validation
from dfaas_lab.config import Host
from dfaas_lab.display.cards import card
from dfaas_lab.membership import Membership
from dfaas_lab.playbook_variables import PLACES, check_source, check_variable, check_version
from dfaas_lab.printable import safe_html, safe_repr

if TYPE_CHECKING:
    import polars as pl

    from dfaas_lab.checks import GeneratorToCheck
    from dfaas_lab.execution.generator_session import GeneratorSession
    from dfaas_lab.provision.report import ProvisionReport
    from dfaas_lab.provision.spec import GeneratorSpec


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

    host: Host
    """Where it is."""
    name: str
    """What people call it."""
    workspace_root: str
    """The folder there in which each iteration gets a workspace."""

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
        self.workspace_root = validation.workspace_root(workspace_root)
        self._k6_version = k6_version
        self._k6_source = k6_source
        self._variables = dict(variables or {})
        check_source(k6_source)
        check_version(k6_version)
        for variable, value in self._variables.items():
            check_variable(variable, value)
        self._lock = threading.Lock()
        self._used: GeneratorSession | None = None
        self._membership = Membership()

    @safe_html
    def _repr_html_(self) -> str:
        k6 = self._k6_version or "as provisioned"
        facts = {"host": str(self.host), "workspaces": self.workspace_root, "k6": k6}
        return card(f"generator {self.name}", facts)

    @safe_repr
    def __repr__(self) -> str:
        made = vars(self).get  # of a refused one, too
        return f"Generator({str(made('host'))!r}, name={made('name')!r})"

    @property
    def _session(self) -> GeneratorSession:
        """The generator as this process uses it; made when it is first needed, which is slow."""
        with self._lock:
            if self._used is None:
                from dfaas_lab.execution.generator_session import GeneratorSession

                self._used = GeneratorSession(self._spec())
            return self._used

    def _spec(self) -> GeneratorSpec:
        from dfaas_lab.provision.spec import GeneratorSpec

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

        >>> bool(generator.provision(progress=False))
        True
        """
        from dfaas_lab.background import run_interruptible
        from dfaas_lab.provision.provision import provision
        from dfaas_lab.widgets import choose_view

        self._membership.check()
        session = self._session
        spec = session.spec
        report = run_interruptible(
            lambda steps, cancel: provision([spec], force=force, progress=steps, cancel=cancel),
            choose_view(progress),
        )
        session.invalidate_k6()
        return report

    def check(self) -> pl.DataFrame:
        """Look at the generator, changing nothing: ``host, check, ok, detail, fix``.

        >>> generator.check().filter(pl.col("check") == "reachable")["ok"].to_list()
        [True]
        """
        from dfaas_lab.checks import check_lab, lacking
        from dfaas_lab.widgets import busy

        with busy("check", f"looks at {self.name}") as tell:
            found = check_lab([self._to_check()])
            tell(lacking(found))
        return found

    def _to_check(self) -> GeneratorToCheck:
        from dfaas_lab.checks import GeneratorToCheck

        self._membership.check()
        session, spec = self._session, self._session.spec
        return GeneratorToCheck(
            spec.name,
            session.remote,
            spec.workspace_root,
            session.wanted_k6(),
            spec.digest(),
            session.set_facts,
        )

    def close(self) -> None:
        """Close the connections.

        >>> generator.close()  # the next call connects again
        """
        with self._lock:
            session = self._used
        if session is not None:
            session.close()
