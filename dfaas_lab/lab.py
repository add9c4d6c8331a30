"""``Lab``: the session of one experiment with its generators, targets and results store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dfaas_lab.display.cards import card, chip
from dfaas_lab.display.words import count
from dfaas_lab.errors import ConfigError
from dfaas_lab.generator import Generator
from dfaas_lab.membership import Membership
from dfaas_lab.names import Named, known_options
from dfaas_lab.printable import safe_html, safe_repr
from dfaas_lab.progress import Shown
from dfaas_lab.redaction import masked
from dfaas_lab.run import Run
from dfaas_lab.secret import sealing
from dfaas_lab.spec.run_spec import takes_run_options
from dfaas_lab.status import FINAL
from dfaas_lab.target import Target
from dfaas_lab.validation import local_path

if TYPE_CHECKING:
    from typing import Unpack

    import polars as pl

    from dfaas_lab.campaign.campaign import Campaign
    from dfaas_lab.campaign.cooldown import Cooldown
    from dfaas_lab.campaign.overload import Overload
    from dfaas_lab.campaign.settings import Order
    from dfaas_lab.comparison import Comparison
    from dfaas_lab.execution.part import TargetSession
    from dfaas_lab.load.plan import Plan
    from dfaas_lab.local.local_lab import LocalLab
    from dfaas_lab.provision.report import ProvisionReport
    from dfaas_lab.spec.run_spec import RunOptions
    from dfaas_lab.store import Store

Member = TypeVar("Member", Target, Generator)


class Lab:
    """Targets that belong to one experiment. A context manager: connections end with it.

    Args:
        targets: The targets; their names are unique.
        store: The folder for results.

    >>> Lab([Target("mid", gateway="http://h", generator=generator, functions=[Function("env")])])
    Lab(mid)
    """

    targets: dict[str, Target]
    """The targets, by name."""

    def __init__(self, targets: Iterable[Target], *, store: str | Path = "results") -> None:
        self.targets = Named("target")
        self._root = local_path(store, what="store").absolute()
        for target in _listed(targets):
            # Some disks, and archives that shall open there, do not tell cases apart.
            if target.name.casefold() in (name.casefold() for name in self.targets):
                raise ConfigError(f"two targets are called {target.name!r}", hint="Rename one.")
            self.targets[target.name] = target
            target.store = self._root
        _check_generators(self.targets.values())
        if not self.targets:
            raise ConfigError("a lab needs a target", hint="Give Lab([Target(...)]).")
        self._local: LocalLab | None = None
        self._membership = Membership()
        for one in self._parts():
            one._membership.join(self)
        # What a file says of a campaign: the arguments of campaign().
        self._described: Mapping[str, Any] | None = None

    @classmethod
    def local(
        cls,
        targets: int = 1,
        functions: Mapping[str, Sequence[str] | str] | Iterable[str] | None = None,
        store: str | Path = "results",
    ) -> Lab:
        """Start the embedded lab: everything on this machine, on loopback, without root.

        Args:
            targets: How many gateways.
            functions: More functions, by name and command; or names of built-in functions, then
                the targets have only these.
            store: The folder for results, all that stays afterwards.

        Raises:
            ConfigError: A package of the extra ``local`` is missing; its hint names it.

        >>> with Lab.local(functions={"hello": ["echo", "hello"]}) as other:
        ...     [function.name for function in other.target.functions]
        ['figlet', 'env', 'echo', 'sha512sum', 'primes', 'hello']
        """
        from dfaas_lab.local.as_lab import start_local
        from dfaas_lab.widgets import busy

        with busy("embedded lab", "starts") as tell:
            local, found = start_local(targets, functions)
            try:
                lab = cls(found, store=store)
            except BaseException:
                local.close()
                raise
            lab._local = local
            tell(f"ready, {count(len(found), 'target')}")
        return lab

    @classmethod
    def from_file(cls, path: str | Path) -> Lab:
        """Make a lab from its file (YAML, TOML or JSON), as ``dfaas-lab serve`` prints it.

        Args:
            path: The file; relative names in it go by its folder.

        Raises:
            ConfigError: The file is not there, or says something that cannot be.

        >>> Lab.from_file("lab.yml").targets["node1"].gateway == target.gateway
        True
        """
        from dfaas_lab import labfile
        from dfaas_lab.labfile.build import targets_of

        file = labfile.read(path)
        lab = cls(targets_of(file), store=file.store or "results")
        lab._described = file.campaign
        return lab

    @property
    def target(self) -> Target:
        """The target, where there is one.

        >>> lab.target.name
        'node1'
        """
        return _only(self.targets, "targets")

    @property
    def generators(self) -> dict[str, Generator]:
        """The generators, by name; also one through which a target is only reached.

        >>> list(lab.generators)
        ['local']
        """
        targets = self.targets.values()
        found = [one for target in targets for one in (target.generator, target.via) if one]
        return Named("generator", [(one.name, one) for one in found])

    @property
    def generator(self) -> Generator:
        """The generator, where there is one.

        >>> lab.generator is target.generator
        True
        """
        return _only(self.generators, "generators")

    @property
    def store(self) -> Store:
        """The results of all runs.

        >>> lab.store.find(run.id).path == run.path
        True
        """
        from dfaas_lab.store import Store

        return Store(self._root)

    def provision(self, force: bool = False, *, progress: bool | None = None) -> ProvisionReport:
        """Make all generators and targets ready, side by side, once per session.

        The playbook runs on the generators, and on the hosts of targets that shall have monitoring.
        For each target the functions that have an image are deployed, all must answer, and its
        Prometheus is asked.

        Args:
            force: Do it even where all is in place.
            progress: None chooses how progress is shown; False shows nothing.

        Raises:
            ProvisionError: With one failure per host or target; what succeeded stays.

        >>> lab.provision(progress=False).cached  # it was done before
        True
        """
        from dfaas_lab.provision.lab import prepare

        return self._on_hosts(partial(prepare, force=force), progress)

    def check(self) -> pl.DataFrame:
        """Look at all hosts, changing nothing: ``host, check, ok, detail, fix``.

        >>> lab.check().filter(pl.col("check") == "gateway").select("host", "ok").rows()
        [('node1', True)]
        """
        from dfaas_lab.checks import check_lab, lacking
        from dfaas_lab.remote.remote import Remote
        from dfaas_lab.widgets import busy

        self._membership.check()
        with ExitStack() as stack:
            tell = stack.enter_context(busy("check", f"looks at {', '.join(self.targets)}"))
            targets = []
            for target in self.targets.values():
                host = None if target.host is None else Remote(target.host)
                if host is not None:
                    stack.callback(host.close)
                targets.append(target._to_check(host))
            found = check_lab([one._to_check() for one in self.generators.values()], targets)
            tell(lacking(found))
            return found

    @sealing("env")
    @known_options
    @takes_run_options
    def run_k6(
        self,
        iterations: int = 1,
        *,
        label: str | None = None,
        live: Callable[[str], None] | None = None,
        progress: bool | None = None,
        chart: bool | None = None,
        **options: Unpack[RunOptions],
    ) -> Run:
        """Measure all targets at once and return one run for all; see :meth:`Target.run_k6`.

        One target's failure does not end the others; it is raised when all have ended. Where one
        cannot be measured at all (its gateway is not there), that is told before anything runs.

        Args:
            iterations: How often the load is repeated on each target.
            label: A name for people.
            live: Called with each line that k6 logs, after the target's name.
            progress: None chooses how progress is shown; False shows nothing.
            chart: Whether a notebook shows rate, latency and failures while they are measured, and
                then the figure; None means where it shows progress.
            options: ``load``, ``duration`` and all other options of :meth:`Target.run_k6`.

        >>> lab.run_k6(load={"env": 10}, duration="1s", progress=False).summary["target"].to_list()
        ['node1']
        """
        from dfaas_lab.execution.create import create_run

        self._membership.check()
        targets = self.targets.values()
        parts = [one._part(one._spec(iterations, **options)) for one in targets]
        shown = Shown(progress, chart)
        return create_run(self._root, parts, label=label, live=live, shown=shown).wait()

    def campaign(
        self,
        plan: Plan | None = None,
        *,
        iterations: int = 3,
        duration: str | timedelta = "30s",
        targets: Iterable[str | Target] | None = None,
        cooldown: Cooldown | None = None,
        overload: Overload | None = None,
        order: Order = "rising",
        seed: int | None = None,
        label: str | None = None,
        progress: bool | None = None,
        **options: Any,
    ) -> Campaign:
        """Return a campaign: a plan of loads measured until the node is overloaded.

        It is new, or the stored one: that of the same label, or without a label that of the same
        settings. ``campaign.run()`` goes on where it was. Nothing is connected to here.

        Args:
            plan: The loads. Without one: what the lab's file describes, or else the stored campaign
                of this label or id, or the only unfinished one.
            iterations: How often each load is repeated.
            duration: How long an iteration lasts.
            targets: Some of the lab's targets (names); None means all, side by side.
            cooldown: The rest before each iteration; None means until the node is idle.
            overload: The thresholds of overload.
            order: ``"rising"`` (by the sum of rates, so that overloaded loads rule out others),
                ``"shuffled"`` (against drift) or ``"given"`` (the plan's).
            seed: Of ``"shuffled"``; one is drawn and kept where it is None.
            label: A name for people; it names one campaign of the store.
            progress: None chooses how progress is shown; False shows nothing.
            options: ``limits``, ``warmup``, ``thresholds``, ``live``, as of ``run_k6``.

        Raises:
            ConfigError: What is asked cannot be.
            ResumeMismatch: The stored campaign is another one; the difference is named.

        >>> plan = Plan(["env"], Linear(10, 30, step=10))
        >>> study = lab.campaign(plan, iterations=3, duration="30s", label="another study")
        >>> study.status, len(study.plan)
        ('new', 3)
        """
        from dfaas_lab.campaign.open import DEFAULTS, open_campaign

        self._membership.check()
        asked: dict[str, Any] = {
            "plan": plan,
            "iterations": iterations,
            "duration": duration,
            "targets": targets,
            "cooldown": cooldown,
            "overload": overload,
            "order": order,
            "seed": seed,
            "label": label,
        }
        if plan is None and self._described is not None:
            given = {name: value for name, value in asked.items() if value != DEFAULTS[name]}
            asked = {**asked, **self._described, **given}
        return open_campaign(self.targets, self._root, **asked, progress=progress, options=options)

    def campaigns(self) -> pl.DataFrame:
        """Return one row per campaign of the store, oldest first.

        ``campaign_id, created_at, label, status, targets, loads, measured, path``.

        >>> lab.campaigns().select("label", "status", "loads", "measured").rows()
        [('study', 'finished', 4, 4)]
        """
        from dfaas_lab.campaign.open import campaigns_of

        return campaigns_of(self._root)

    def run_interleaved(
        self,
        sides: Mapping[str, Target | tuple[Target, Mapping[str, Any]]],
        *,
        blocks: int = 10,
        seed: int | None = None,
        label: str | None = None,
        progress: bool | None = None,
        **options: Any,
    ) -> Comparison:
        """Measure sides in turn, in randomised blocks, and return how they differ.

        Each block measures each side once, in an order that is drawn; what drifts meets all sides
        alike, so a difference has the side as its cause. Each measurement is a run in the store.
        After an interrupt, a kill or an error the same call goes on where it was.

        Args:
            sides: By name a target, or ``(target, {run options})``; compared with the first.
            blocks: How often each side is measured, 3 or more.
            seed: Of the order within blocks; drawn and stored where left out.
            label: A name for people.
            progress: None chooses how progress is shown; False shows nothing.
            options: Options of all runs, as of :meth:`Target.run_k6`: ``load``, ``duration`` ...

        Returns:
            A comparison with paired intervals, and with ``power``: the change that so many blocks
            could have shown, and within which limits the sides are the same.

        Raises:
            ConfigError: What was asked cannot be; nothing was run.
            ResumeMismatch: An unfinished comparison of this label asks for something else.
            DfaasLabError: As for ``run_k6``.

        >>> sides = {"slow": (target, {"load": 5}), "fast": (target, {"load": 10})}
        >>> found = lab.run_interleaved(sides, blocks=3, duration="1s", progress=False)
        >>> found.sides, found.interleaved
        (('slow', 'fast'), True)
        """
        from dfaas_lab.interleaved import run_interleaved, sealed_env, sealed_sides
        from dfaas_lab.widgets import choose_view

        sides, options = sealed_sides(sides), sealed_env(options)
        self._membership.check()
        return run_interleaved(
            sides,
            self.store,
            blocks=blocks,
            seed=seed,
            label=label,
            view=choose_view(progress),
            options=options,
        )

    def attach(self, run_id: str | None = None, *, progress: bool | None = None) -> Run:
        """Take a run over, from wherever it was begun, and return it when it has ended.

        What is under way is followed, what has ended is brought home, and the iterations that its
        controller did not come to are measured. Where another process does that already, this waits
        for it. A run that has ended is returned at once.

        Args:
            run_id: The run's id, or its unique beginning; without one, the newest run that has not
                ended, of this lab's targets.
            progress: None chooses how progress is shown; False shows nothing.

        Raises:
            StoreError: There is no such run, or every run has ended.
            ConfigError: This lab is not the one that it was begun with.
            DfaasLabError: As for ``run_k6``.

        >>> lab.attach(run.id).status  # this one has ended
        'ok'
        """
        from dfaas_lab.execution.attach import attach, newest

        self._membership.check()
        store = self.store
        folder = newest(store, self._sessions()) if run_id is None else store.find(run_id)
        if (run := Run(folder)).status in FINAL:
            return run
        return attach(folder, self._sessions(), shown=Shown(progress)).wait()

    def teardown(self, *, progress: bool | None = None) -> ProvisionReport:
        """Remove from all hosts what provisioning installed, and every workspace of ours.

        Functions that were deployed stay: they belong to their gateway.

        Args:
            progress: None chooses how progress is shown; False shows nothing.

        Raises:
            ProvisionError: With one failure per host.

        >>> bool(lab.teardown(progress=False))
        True
        """
        from dfaas_lab.provision.lab import take_down

        return self._on_hosts(take_down, progress)

    def _on_hosts(self, work: Callable[..., ProvisionReport], view: bool | None) -> ProvisionReport:
        from dfaas_lab.background import run_interruptible
        from dfaas_lab.widgets import choose_view

        self._membership.check()
        targets = [target._setup() for target in self.targets.values()]
        try:
            return run_interruptible(
                lambda progress, cancel: work(targets, progress=progress, cancel=cancel),
                choose_view(view),
            )
        finally:
            for generator in self.generators.values():
                generator._session.invalidate_k6()

    def _sessions(self) -> dict[str, TargetSession]:
        """The targets as the engine sees them, by name."""
        return {name: target._session for name, target in self.targets.items()}

    def close(self) -> None:
        """Close all connections; an embedded lab ends, and leaves nothing but the results.

        >>> lab.close()
        """
        for generator in self.generators.values():
            generator.close()
        local, self._local = self._local, None
        for one in self._parts():
            another = "Lab([...]) of the same targets" if local is None else "Lab.local()"
            one._membership.leave(self, hint=f"Open another: {another}.")
        if local is not None:
            local.close()

    def _parts(self) -> Iterator[Lab | Target | Generator]:
        """What is closed with the lab."""
        yield self
        yield from self.targets.values()
        yield from self.generators.values()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @safe_html
    def _repr_html_(self) -> str:
        targets = self.targets.values()
        facts = {
            "targets": ", ".join(f"{one.name} ({masked(one.gateway)})" for one in targets),
            "functions": ", ".join({f.name: "" for one in targets for f in one.functions}),
            "generators": ", ".join(f"{n} ({one.host})" for n, one in self.generators.items()),
            "results": str(self._root),
        }
        state = chip("closed", "doubt") if self._membership.closed else ""
        return card("lab", facts, state=state)

    @safe_repr
    def __repr__(self) -> str:
        return f"Lab({', '.join(self.targets)})"


def _only(named: Mapping[str, Member], kind: str) -> Member:
    if len(named) != 1:
        raise ConfigError(f"the lab has {len(named)} {kind}", hint=f"Use lab.{kind}['NAME'].")
    return next(iter(named.values()))


def _listed(given: Iterable[Target]) -> list[Target]:
    targets = list(given) if isinstance(given, Iterable) else [given]
    wrong = [one for one in targets if not isinstance(one, Target)]
    if wrong or not isinstance(given, Iterable):
        raise ConfigError(
            f"targets={given!r} is no list of targets", hint="Give Lab([Target(...)])."
        )
    return targets


def _check_generators(targets: Iterable[Target]) -> None:
    named: dict[str, Generator] = {}
    for target in targets:
        for generator in (target.generator, target.via or target.generator):
            if named.setdefault(generator.name, generator) is not generator:
                raise ConfigError(
                    f"two generators are called {generator.name!r}",
                    hint="Give one of them Generator(name=...), or all targets the same object.",
                )
