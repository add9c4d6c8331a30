"""``Target``: a gateway and its functions under test. Measure, deploy, read metrics."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfaas_lab.certificates import Trust
from dfaas_lab.completion import register_completion
from dfaas_lab.config import Host, Limits
from dfaas_lab.display.cards import card
from dfaas_lab.errors import ConfigError, MetricsError
from dfaas_lab.execution.part import Part, TargetSession
from dfaas_lab.load import Function
from dfaas_lab.load.function import listed
from dfaas_lab.membership import Membership
from dfaas_lab.names import known_options
from dfaas_lab.printable import safe_html, safe_repr
from dfaas_lab.progress import Shown
from dfaas_lab.redaction import masked
from dfaas_lab.secret import Secret, credentials, plain, sealed, sealing
from dfaas_lab.spec.run_spec import DEFAULT_DURATION, DEFAULT_LOAD, RunSpec, takes_run_options
from dfaas_lab.validation import local_path, url_problem

if TYPE_CHECKING:
    from typing import Unpack

    import polars as pl

    from dfaas_lab.checks import TargetToCheck
    from dfaas_lab.execution.run_handle import RunHandle
    from dfaas_lab.generator import Generator
    from dfaas_lab.k6.thresholds import Thresholds
    from dfaas_lab.provision.targets import TargetSetup
    from dfaas_lab.remote.remote import Remote
    from dfaas_lab.run import Run
    from dfaas_lab.services.gateway import Gateway
    from dfaas_lab.services.prometheus import Prometheus
    from dfaas_lab.spec.preview import Preview
    from dfaas_lab.spec.run_spec import RunOptions

# Without C0, DEL, C1 and surrogates: they move cursors, or have no place in XML or UTF-8.
_NAME = re.compile(r"[^/\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]{1,100}")


class Target:
    """A node under test: a gateway and its functions. Making one connects to nothing.

    Args:
        name: What people call it.
        gateway: The gateway's URL, as the generator reaches it.
        generator: The generator that loads it.
        functions: The functions that can be loaded.
        prometheus: The URL of its Prometheus.
        auth: ``(user, password)`` of the gateway.
        host: Its own SSH host.
        install_monitoring: Whether provisioning installs Prometheus and node exporter on ``host``.
        via: A generator through which the gateway and Prometheus are reached from here.
        limits: The limits of a run that is given none.
        thresholds: The thresholds of a run that is given none.
        served_by_header: The header of answers that names the node which served the request.
        store: The folder for results.
        ca: A file with the certificate (PEM) of an authority that this system does not trust; for
            the gateway, for Prometheus and for k6.
        insecure: Trust any certificate; the verdict says so.
        queries: What is asked of Prometheus: ``"kubernetes"`` (None is the same), ``"containerd"``,
            ``"local"``, the path of a YAML file, or what such a file holds (see
            ``help(dfaas_lab.services.queries)``).

    Raises:
        ConfigError: A URL that is none, no function, or two of the same name.

    >>> Target(
    ...     "mid",
    ...     gateway="http://10.0.0.60:31112",
    ...     generator=Generator("10.0.0.50"),
    ...     functions=[Function("env")],
    ... )
    Target('mid', gateway='http://10.0.0.60:31112', generator='10.0.0.50')
    """

    name: str
    """What people call it."""
    gateway: str
    """The gateway's URL."""
    generator: Generator
    """The generator that loads it."""
    functions: tuple[Function, ...]
    """The functions that can be loaded."""
    # The arguments above say what these are.
    prometheus: str | None
    host: Host | None
    install_monitoring: bool
    via: Generator | None
    limits: Limits | None
    thresholds: Thresholds | None
    served_by_header: str
    store: Path
    queries: str | Mapping[str, Any] | None
    ca: str | None
    insecure: bool
    last_run: Run | None
    """The run that was measured last, or is being measured."""

    def __init__(
        self,
        name: str,
        *,
        gateway: str,
        generator: Generator,
        functions: Sequence[Function],
        prometheus: str | None = None,
        auth: tuple[str, str] | None = None,
        host: Host | None = None,
        install_monitoring: bool = False,
        via: Generator | None = None,
        limits: Limits | None = None,
        thresholds: Thresholds | None = None,
        served_by_header: str = "Dfaas-Node-Id",
        store: str | Path = "results",
        queries: str | Path | Mapping[str, Any] | None = None,
        ca: str | Path | None = None,
        insecure: bool = False,
    ) -> None:
        auth, problem = credentials(auth)  # from here on no local variable holds it plainly
        gateway, prometheus = sealed((gateway, prometheus))  # in the place of auth, by mistake
        if problem:
            raise ConfigError(
                f"target {name!r}: auth is no user and password: {problem}",
                hint="Give both: auth=('admin', PASSWORD).",
            )
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} is no target name",
                hint="Give a short text without '/' and control characters.",
            )
        self.name = name
        self.gateway = _url(gateway, "gateway")
        self.generator = generator
        self.functions = listed(functions, target=name)
        self.prometheus = None if prometheus is None else _url(prometheus, "prometheus")
        self.host = host
        self.install_monitoring = install_monitoring
        self.via = via
        self.limits = limits
        self.thresholds = thresholds
        self.served_by_header = served_by_header
        self.store = local_path(store, what="store").absolute()
        self.last_run = None
        self._auth = auth
        self.queries = str(queries) if isinstance(queries, str | Path) else queries
        self._trust = Trust(None if ca is None else str(ca), bool(insecure))
        self.ca, self.insecure = self._trust.ca, self._trust.insecure
        self._cache: dict[str, Any] = {}
        self._membership = Membership()
        register_completion()
        if install_monitoring and host is None:
            raise ConfigError(
                f"target {name} has no host to install monitoring on", hint="Give host=Host(...)."
            )

    @safe_html
    def _repr_html_(self) -> str:
        facts = {
            "gateway": masked(self.gateway),
            "functions": ", ".join(function.name for function in self.functions),
            "generator": self.generator.name,
            "prometheus": masked(self.prometheus) if self.prometheus else "",
            "last run": self.last_run.id if self.last_run else "",
        }
        return card(f"target {self.name}", facts)

    @safe_repr
    def __repr__(self) -> str:
        made = vars(self).get  # of a refused one, too
        generator = getattr(made("generator"), "name", None)
        return f"Target({made('name')!r}, gateway={made('gateway')!r}, generator={generator!r})"

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
        """Measure the target and return the run; each iteration is stored as soon as it has ended.

        Args:
            iterations: How often the load is repeated, each time by a k6 of its own.
            load: Requests per second, for every function or by name.
            duration: How long each iteration lasts.
            limits: The time limit of an iteration, and the lease.
            rest: The pause between iterations.
            warmup: How long the same load is put on before the first iteration; stored apart.
            label: A name for people.
            script: A k6 script of your own (or an archive of ``k6 archive``) in the place of load,
                duration and thresholds; the files that it imports and opens by name go with it,
                and those that its ``handleSummary()`` writes are in ``run.files``.
            env: What that script finds in ``__ENV``. The values are not stored, and hidden where
                the script logs them; numbers, durations and the gateway's URL are no secrets.
            files: Files and folders that the script opens by names which are not in its text.
            thresholds: k6's expressions by function, for instance ``{"env": "p(95)<200"}``.
            live: Called with each line that k6 logs, from another thread.
            progress: None chooses how progress is shown; False shows nothing.
            chart: Whether a notebook shows rate, latency and failures while they are measured, and
                then the figure; None means where it shows progress.

        Raises:
            ConfigError: What was asked cannot be; nothing was run.
            GatewayError: The gateway is not there.
            K6Missing: The generator is not provisioned.
            K6ScriptError: k6 refuses the script.
            K6Error: k6 failed; ``error.run`` holds what was measured.
            RemoteError: The generator cannot be reached, or its disk is full.
            KeyboardInterrupt: After k6 has ended and its data is stored; see ``last_run``.

        >>> run = target.run_k6(2, load={"env": 20}, duration="1s", progress=False)
        >>> run.summary.select("iteration", "function", "planned").rows()
        [(1, 'env', 20), (2, 'env', 20)]
        """
        spec = self._spec(iterations, **options)
        return self._start(spec, label=label, live=live, shown=Shown(progress, chart)).wait()

    @sealing("env")
    @known_options
    @takes_run_options
    def start_k6(
        self,
        iterations: int = 1,
        *,
        label: str | None = None,
        live: Callable[[str], None] | None = None,
        progress: bool | None = None,
        chart: bool | None = None,
        detach: bool = False,
        **options: Unpack[RunOptions],
    ) -> RunHandle:
        """Start what :meth:`run_k6` does and return at once; for buttons, and for long runs.

        Args:
            iterations: As for ``run_k6``, like everything that is not named here.
            label: A name for people.
            live: Called with each line that k6 logs, from another thread.
            progress: How ``wait()`` shows progress: None chooses, False shows nothing.
            chart: Whether a notebook shows rate, latency and failures while they are measured, and
                then the figure; None means where it shows progress.
            detach: Send all iterations first and let the generator run them alone: this computer
                may go. ``wait()``, or ``lab.attach(handle.run.id)`` from elsewhere, brings the
                data home.
            options: ``load``, ``duration`` and all other options of ``run_k6``.

        >>> handle = target.start_k6(load={"env": 5}, duration="1s")
        >>> handle.wait().status
        'ok'
        """
        spec = self._spec(iterations, detached=detach, **options)
        handle = self._start(spec, label=label, live=live, shown=Shown(progress, chart))
        try:
            return handle.send() if detach else handle.start()
        except KeyboardInterrupt:
            handle._end_early()
            raise

    @known_options
    def preview(
        self,
        load: float | Mapping[str, float] = DEFAULT_LOAD,
        duration: str | timedelta = DEFAULT_DURATION,
        iterations: int = 1,
        *,
        rest: str | timedelta = "0s",
    ) -> Preview:
        """Say what a run would cost, before anything runs; connects to nothing.

        Args:
            load: Requests per second, for every function or by name.
            duration: How long each iteration lasts.
            iterations: How often the load is repeated.
            rest: The pause between iterations.

        Raises:
            ConfigError: What was asked cannot be, also for want of memory or disk on the generator
                where these are known (after ``check()`` or a run).

        >>> print(target.preview({"env": 50}, "30s", iterations=3))
        4500 requests in 3 iterations, about 1m31s (at most ...
        """
        spec = self._spec(iterations, load=load, duration=duration, rest=rest)
        return spec.preview(**self.generator._session.free_resources())

    def _spec(
        self, iterations: int, *, detached: bool = False, **options: Unpack[RunOptions]
    ) -> RunSpec:
        """Check what is asked, without connecting to anything; the target's own limits count."""
        options["limits"] = options.get("limits") or self.limits
        if options.get("thresholds") is None and options.get("script") is None and self.thresholds:
            load = options.get("load")
            named = load if isinstance(load, Mapping) else dict.fromkeys(self.thresholds, True)
            options["thresholds"] = {n: t for n, t in self.thresholds.items() if named.get(n)}
        return RunSpec.of(
            self.gateway,
            self.functions,
            iterations,
            served_by_header=self.served_by_header,
            detached=detached,
            ca=self._trust.ca,
            insecure=self._trust.insecure,
            **options,
        )

    def _start(
        self,
        spec: RunSpec,
        *,
        label: str | None,
        shown: Shown,
        live: Callable[[str], None] | None = None,
    ) -> RunHandle:
        """Look whether the target can be measured, and make the run; nothing is begun."""
        from dfaas_lab.execution.create import create_run

        parts = [self._part(spec)]
        return create_run(self.store, parts, label=label, live=live, shown=shown)

    def _part(self, spec: RunSpec) -> Part:
        """What the engine needs to know of the target to measure it."""
        return Part(self._session, spec)

    @property
    def _session(self) -> TargetSession:
        self._membership.check()
        return TargetSession(
            name=self.name,
            gateway=self.gateway,
            generator=self.generator._session,
            functions=tuple(self.functions),
            served_by_header=self.served_by_header,
            host=self.host,
            queries=self.queries,
            services=self._services,
            set_last_run=partial(setattr, self, "last_run"),
            cache=self._cache,
        )

    def _setup(self) -> TargetSetup:
        """The target as provisioning is told of it."""
        from dfaas_lab.provision.spec import TargetSpec
        from dfaas_lab.provision.targets import TargetSetup

        host = self.host if self.install_monitoring else None
        return TargetSetup(
            name=self.name,
            gateway=self.gateway,
            functions=tuple(self.functions),
            prometheus=self.prometheus,
            generator=self.generator._session.spec,
            via=self.via._session.spec if self.via else None,
            host=None
            if host is None
            else TargetSpec(host=host, name=self.name, install_monitoring=True),
            services=self._services,
            check_reachable=self._check_reachable,
        )

    def _check_reachable(self) -> None:
        from dfaas_lab.services.reachability import check_reachable

        generator = self.generator._session
        check_reachable(self.gateway, generator.remote, target=self.name, generator=generator.name)

    def _to_check(self, host: Remote | None) -> TargetToCheck:
        """The target as it is looked at; ``host`` is its own SSH host, where it has one."""
        from dfaas_lab.checks import TargetToCheck

        gateway, prometheus = self._services()
        return TargetToCheck(
            self.name,
            gateway,
            self.functions,
            self.generator.name,
            prometheus,
            host,
            host_needed=self.install_monitoring,
        )

    def _services(self) -> tuple[Gateway, Prometheus | None]:
        """The gateway and Prometheus, by the way in which they are reached from here."""
        from dfaas_lab.services import ssh_transport
        from dfaas_lab.services.gateway import Gateway
        from dfaas_lab.services.prometheus import Prometheus

        self._membership.check()
        transport: Any = None
        if self.via is not None:
            transport = ssh_transport.through(self.via._session.remote.open_tunnel)
        how: dict[str, Any] = {"transport": transport, "trust": self._trust}
        gateway = Gateway(self.gateway, auth=self._auth, **how)
        if self.prometheus is None:
            return gateway, None
        return gateway, Prometheus(self.prometheus, **how)

    def deployed(self) -> pl.DataFrame:
        """What the gateway has: ``function, image, replicas, available``.

        >>> target.deployed().filter(function="env").rows()
        [('env', 'env', 1, 1)]
        """
        return self._services()[0].deployed()

    def deploy(self) -> None:
        """Deploy the functions that have an image, through the gateway's API.

        >>> target.deploy()
        """
        self._services()[0].deploy([function for function in self.functions if function.image])

    def metrics(self, start: datetime, end: datetime) -> pl.DataFrame:
        """What Prometheus measured: ``time, metric, function, instance, value, reason``.

        Only scrapes from ``start`` to ``end`` count. A rate of a counter is its increase between
        two of them, and stands at the later one; where too few scrapes fall in, ``value`` is null
        and ``reason`` says why ("2 s of load, scraped every 15 s").

        Args:
            start: The first moment that counts.
            end: The last one.

        Raises:
            MetricsError: The target has no Prometheus, or it does not answer.

        >>> began = run.summary["started_at"][0]
        >>> target.metrics(began, began + timedelta(seconds=10)).columns
        ['time', 'metric', 'function', 'instance', 'value', 'reason']
        """
        from dfaas_lab.execution.node_metrics import node_metrics_of

        collector = node_metrics_of(self._session)
        if collector is None:
            raise MetricsError(
                f"{self.name} has no Prometheus", url="", hint="Give Target(prometheus=URL)."
            )
        return collector.between(start, end)


def _url(given: object, what: str) -> str:
    text = Secret(given)
    problem = url_problem(text)
    if problem:
        shown = "" if "@" in text else f"={masked(plain(text))!r}"  # no password in an error
        raise ConfigError(
            f"{what}{shown}: {problem}",
            hint=f"Write it as {what}='http://10.0.0.60:31112'; a password goes into auth=.",
        )
    return plain(text).rstrip("/")
