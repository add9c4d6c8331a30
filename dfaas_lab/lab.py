"""The session of one experiment: its generators, targets and results store, ended together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from dfaas_lab.config import Host, Limits
from dfaas_lab.errors import ConfigError
from dfaas_lab.generator import Generator
from dfaas_lab.load import Function
from dfaas_lab.target import Target

if TYPE_CHECKING:
    import polars as pl

    from dfaas_lab.k6.plan import Thresholds
    from dfaas_lab.local.local_lab import LocalLab
    from dfaas_lab.provision import ProvisionReport
    from dfaas_lab.run import Run
    from dfaas_lab.store import Store


class Lab:
    """Targets that belong to one experiment. A context manager: connections end with it.

    Args:
        targets: The targets; their names are unique.
        store: The folder for results.
    """

    def __init__(self, targets: Iterable[Target], *, store: str | Path = "results") -> None:
        self.targets: dict[str, Target] = {}
        for target in targets:
            if target.name in self.targets:
                raise ConfigError(f"two targets are called {target.name!r}", hint="Rename one.")
            self.targets[target.name] = target
            target.store = Path(store)
        if not self.targets:
            raise ConfigError("a lab needs a target", hint="Give Lab([Target(...)]).")
        self._root = Path(store)
        self._local: LocalLab | None = None

    @classmethod
    def local(
        cls,
        targets: int = 1,
        functions: Mapping[str, Sequence[str] | str] | None = None,
        store: str | Path = "results",
    ) -> Lab:
        """Start the embedded lab: everything on this machine, on loopback, without root.

        Args:
            targets: How many gateways.
            functions: More functions, by name and command.
            store: The folder for results, all that stays afterwards.

        Raises:
            ConfigError: A package of the extra ``local`` is missing; its hint names it.
        """
        from dfaas_lab.local import start

        local = start(targets, functions)
        try:
            ssh = local.ssh
            host = Host(
                ssh.host,
                user=ssh.user,
                port=ssh.port,
                key=ssh.key,
                known_hosts=ssh.known_hosts,
                become=False,
            )
            places = {
                "install_dir": str(ssh.home / "k6"),
                "python": ssh.python,
                "remote_tmp": str(ssh.remote_tmp),
            }
            generator = Generator(
                host, name="local", workspace_root=local.workspace_root, variables=places
            )
            lab = cls(
                [
                    Target(
                        gateway.name,
                        gateway=gateway.url,
                        generator=generator,
                        functions=[_local_function(name) for name in gateway.functions],
                        auth=gateway.auth,
                    )
                    for gateway in local.gateways
                ],
                store=store,
            )
        except BaseException:
            local.close()
            raise
        lab._local = local
        return lab

    @classmethod
    def from_file(cls, path: str | Path) -> Lab:
        """Make a lab from its file (YAML, TOML or JSON), as ``dfaas-lab serve`` prints it.

        Raises:
            ConfigError: The file is not there, or says something that cannot be.
        """
        from dfaas_lab import labfile

        file = labfile.read(Path(path))
        generators = {
            entry.name: Generator(
                entry.host,
                **entry.options(),  # type: ignore[arg-type]
                variables={"python": entry.python} if entry.python else None,
            )
            for entry in file.generators
        }
        targets = [
            Target(
                entry.name,
                gateway=entry.gateway,
                generator=generators[entry.generator],
                functions=entry.functions,
                prometheus=entry.prometheus,
                auth=entry.auth,
                host=entry.host,
                via=generators[entry.via] if entry.via else None,
            )
            for entry in file.targets
        ]
        return cls(targets, store=file.store or "results")

    @property
    def target(self) -> Target:
        """The target, where there is one."""
        if len(self.targets) != 1:
            raise ConfigError(
                f"the lab has {len(self.targets)} targets", hint="Use lab.targets['NAME']."
            )
        return next(iter(self.targets.values()))

    @property
    def generators(self) -> dict[str, Generator]:
        """The generators, by name."""
        return {target.generator.name: target.generator for target in self.targets.values()}

    @property
    def generator(self) -> Generator:
        """The generator, where there is one."""
        generators = self.generators
        if len(generators) != 1:
            raise ConfigError(
                f"the lab has {len(generators)} generators", hint="Use lab.generators['NAME']."
            )
        return next(iter(generators.values()))

    @property
    def store(self) -> Store:
        """The results of all runs."""
        from dfaas_lab.store import Store

        return Store(self._root)

    def provision(self, force: bool = False, *, progress: bool | None = None) -> ProvisionReport:
        """Make all generators ready, side by side, once per session.

        Raises:
            ProvisionError: With one failure per host; what succeeded stays.
        """
        from dfaas_lab.provision import interruptibly, provision
        from dfaas_lab.widgets import choose_face

        specs = [generator.spec() for generator in self.generators.values()]
        report = interruptibly(
            lambda steps, cancel: provision(specs, force=force, progress=steps, cancel=cancel),
            choose_face(progress),
        )
        for generator in self.generators.values():
            generator.forget_k6()
        return report

    def check(self) -> pl.DataFrame:
        """Look at all hosts, changing nothing: ``host, check, ok, detail, fix``."""
        from dfaas_lab.checks import GeneratorLook, TargetLook, check_lab

        return check_lab(
            [
                GeneratorLook(name, generator.remote, generator.workspace_root)
                for name, generator in self.generators.items()
            ],
            [
                TargetLook(name, services[0], target.functions, target.generator.name, services[1])
                for name, target in self.targets.items()
                for services in [target.services()]
            ],
        )

    def run_k6(
        self,
        iterations: int = 1,
        *,
        load: float | Mapping[str, float] = 10,
        duration: str | timedelta = "30s",
        limits: Limits | None = None,
        rest: str | timedelta = "0s",
        warmup: str | timedelta = "0s",
        label: str | None = None,
        thresholds: Thresholds | None = None,
        progress: bool | None = None,
    ) -> Run:
        """Measure all targets at once and return one run for all; see ``Target.run_k6``.

        One target's failure does not end the others; it is raised when all have ended.
        """
        from dfaas_lab.handle import RunHandle
        from dfaas_lab.opening import open_folder
        from dfaas_lab.widgets import choose_face

        parts = [
            (
                target,
                target.order(
                    iterations,
                    load=load,
                    duration=duration,
                    limits=limits,
                    rest=rest,
                    warmup=warmup,
                    thresholds=thresholds,
                ),
            )
            for target in self.targets.values()
        ]
        for target in self.targets.values():
            target.ready()
        folder = open_folder(self._root, parts, label=label)
        several = len(parts) > 1
        measurements = [t.measurement(order, folder, several=several) for t, order in parts]
        handle = RunHandle(measurements, folder).start()
        try:
            return handle.wait(choose_face(progress))
        finally:
            for target in self.targets.values():
                target.last_run = handle.run

    def teardown(self, *, progress: bool | None = None) -> ProvisionReport:
        """Remove from the generators what provisioning installed, and every workspace of ours.

        Raises:
            ProvisionError: With one failure per host.
        """
        from dfaas_lab.provision import interruptibly, teardown
        from dfaas_lab.widgets import choose_face

        specs = [generator.spec() for generator in self.generators.values()]
        report = interruptibly(
            lambda steps, cancel: teardown(specs, progress=steps, cancel=cancel),
            choose_face(progress),
        )
        for generator in self.generators.values():
            generator.forget_k6()
        return report

    def close(self) -> None:
        """Close all connections; an embedded lab ends, and leaves nothing but the results."""
        for generator in self.generators.values():
            generator.close()
        local, self._local = self._local, None
        if local is not None:
            local.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Lab({', '.join(self.targets)})"


# Requests that mean something to the functions which every embedded lab has.
_BODIES = {"figlet": "Hello DFaaS!", "echo": "Hello DFaaS!", "sha512sum": "Hello DFaaS!"}


def _local_function(name: str) -> Function:
    if name in _BODIES:
        return Function(name, method="POST", body=_BODIES[name])
    return Function(name)
