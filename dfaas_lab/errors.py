"""Every error that dfaas_lab raises, and nothing else.

::

    DfaasLabError
    |-- ConfigError                what was asked cannot be: nothing was run
    |   |-- UnknownOption          also a TypeError
    |   `-- UnknownName            also a KeyError
    |-- ProvisionError             .failures, one per host
    |   |-- HostUnreachable        .host
    |   `-- TaskFailed             .host .task .detail
    |-- RemoteError                .host
    |   |-- ConnectionFailed
    |   |-- CommandFailed          .command .exit_code .stderr
    |   |-- TransferFailed         .path
    |   `-- WorkspaceError         .path
    |-- K6Error                    .exit_code .workspace .log_tail
    |   |-- K6Missing
    |   |-- K6ScriptError
    |   |-- K6TimedOut
    |   |-- K6Interrupted          a signal that was not ours
    |   |-- K6Crashed
    |   `-- ResultsUnreadable
    |-- ServiceError               .url
    |   |-- GatewayError
    |   `-- MetricsError
    |-- StoreError                 .path
    `-- CampaignError
        |-- CooldownTimeout        .readings
        `-- ResumeMismatch

    KeyboardInterrupt
    `-- Interrupted                .run; what was kept, and where

A message says what happened; ``hint`` says what to do next and ends the text. ``run`` is what was
measured before the error (a :class:`dfaas_lab.Run`), where there is anything.

What a host, a gateway or a file said may be in a message. So each text that a person reads
(``str()``, ``message``, ``hint``) is made printable here, once for all errors; ``stderr``,
``detail`` and ``log_tail`` are kept as they came.
"""

from __future__ import annotations

from typing import Any

from dfaas_lab.display.cards import card, chip
from dfaas_lab.printable import printable_lines, safe_html

_LONGEST_TEXT = 20_000


class DfaasLabError(Exception):
    """The root of all errors of this package.

    Args:
        message: What happened, with the names that explain it.
        hint: What to do next.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = _readable(message)
        self.hint = _readable(hint)
        self.run: Any = None
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows in the place of a traceback."""
        return _in_notebook(self, self.run)

    @safe_html
    def _repr_html_(self) -> str:
        return card("", {}, state=chip(type(self).__name__, "bad"), troubles=[str(self)])


class Interrupted(KeyboardInterrupt):
    """Somebody interrupted; what was under way was ended first, and what it measured is stored.

    Args:
        message: What was ended, what was kept, and where.
        run: What was measured until then, where there is anything.
    """

    def __init__(self, message: str, *, run: Any = None) -> None:
        super().__init__(message)
        self.run = run

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows in the place of a traceback."""
        return _in_notebook(self, None)


# Front ends and tools (nbclient, papermill) know an interrupt by this name of its class.
Interrupted.__name__ = KeyboardInterrupt.__name__


def _in_notebook(error: BaseException, run: Any) -> list[str]:
    from dfaas_lab.display.error_text import notebook_traceback

    kept = f"Kept: run {run.id} in target.last_run, and in {run.path}" if run else ""
    return notebook_traceback(error, kept)


class ConfigError(DfaasLabError):
    """What was asked for cannot be done; it was refused before anything ran.

    What helps: the hint names the argument and a value that is good; nothing was run.

    >>> Function("No Name")
    Traceback (most recent call last):
        ...
    dfaas_lab.errors.ConfigError: 'No Name' is no function name
    A name is a DNS label ...
    """


class UnknownOption(ConfigError, TypeError):
    """A call has an option that does not exist; the message names the nearest that does.

    What helps: the name in the message, which is the nearest.

    >>> target.run_k6(duraton="1s")
    Traceback (most recent call last):
        ...
    dfaas_lab.errors.UnknownOption: ...duraton...
    """


class UnknownName(ConfigError, KeyError):
    """Nothing is called so; the message names the nearest that is there.

    What helps: the name in the message, or ``lab.targets`` and ``lab.generators``.

    >>> lab.targets["nod1"]
    Traceback (most recent call last):
        ...
    dfaas_lab.errors.UnknownName: ...node1...
    """


class ProvisionError(DfaasLabError):
    """Provisioning failed on at least one host; what succeeded on the others stays.

    Args:
        message: What happened.
        failures: One error per host that failed.
        hint: What to do next.
    """

    def __init__(
        self, message: str, *, failures: tuple[ProvisionError, ...] = (), hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.failures: tuple[ProvisionError, ...] = failures


class HostUnreachable(ProvisionError):
    """A host did not answer, or did not let us in, while it was provisioned.

    What helps: ``ssh HOST`` by hand, with the same user, port and key; ``generator.check()``.

    >>> Generator("127.0.0.1", port=1).provision(progress=False)
    Traceback (most recent call last):
        ...
    dfaas_lab.errors.HostUnreachable: ...
    """

    def __init__(self, message: str, *, host: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.host = host
        self.failures = (self,)


class TaskFailed(ProvisionError):
    """A task of the playbook failed on a host; ``detail`` is the module's own message.

    What helps: its hint; ``detail`` has the module's own words. Then ``provision()`` again: it
    goes on.
    """

    def __init__(self, message: str, *, host: str, task: str, detail: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.host = host
        self.task = task
        self.detail = detail
        self.failures = (self,)


class RemoteError(DfaasLabError):
    """Something went wrong between here and a host."""

    def __init__(self, message: str, *, host: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.host = host


class ConnectionFailed(RemoteError):
    """No SSH connection could be made, or it was lost and did not come back.

    What helps: ``generator.check()``, and ``ssh HOST`` by hand. k6 goes on without us until the
    lease; ``lab.attach()`` brings home what it measured.

    >>> away = {"gateway": target.gateway, "generator": Generator("127.0.0.1", port=1)}
    >>> Target("mid", functions=[Function("env")], **away).run_k6()
    Traceback (most recent call last):
        ...
    dfaas_lab.errors.ConnectionFailed: ...
    """


class CommandFailed(RemoteError):
    """A command on a host ended with an exit code other than 0.

    What helps: ``stderr``, and the command by hand on that host.
    """

    def __init__(
        self, message: str, *, host: str, command: str, exit_code: int, stderr: str, hint: str = ""
    ) -> None:
        super().__init__(message, host=host, hint=hint)
        self.command = command
        self.exit_code = exit_code
        self.stderr = stderr


class TransferFailed(RemoteError):
    """A file could not be sent to or fetched from a host.

    What helps: room on both disks. The workspace is kept, and ``lab.attach()`` fetches it.
    """

    def __init__(self, message: str, *, host: str, path: str, hint: str = "") -> None:
        super().__init__(message, host=host, hint=hint)
        self.path = path


class WorkspaceError(RemoteError):
    """A workspace could not be made, used or removed on a generator.

    What helps: room on the generator's disk, or a folder of your own:
    ``Generator(workspace_root=...)``.
    """

    def __init__(self, message: str, *, host: str, path: str, hint: str = "") -> None:
        super().__init__(message, host=host, hint=hint)
        self.path = path


class K6Error(DfaasLabError):
    """k6 did not end as it should.

    Args:
        message: What happened.
        exit_code: k6's exit code; None where k6 never ended by itself or never started.
        workspace: The workspace that was kept on the generator, as ``host:path``.
        log_tail: The last lines that k6 wrote.
        hint: What to do next.
    """

    def __init__(
        self,
        message: str,
        *,
        exit_code: int | None = None,
        workspace: str | None = None,
        log_tail: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code
        self.workspace = workspace
        self.log_tail = log_tail

    def __str__(self) -> str:
        parts = [self.message]
        if self.log_tail:
            parts.append("k6's last lines:\n" + _readable(self.log_tail).rstrip("\n"))
        if self.workspace:
            parts.append(f"The workspace was kept: {_readable(self.workspace)}")
        if self.hint:
            parts.append(self.hint)
        return "\n".join(parts)


class K6Missing(K6Error):
    """The generator has no usable k6, or was never provisioned.

    What helps: ``generator.provision()``.
    """


class K6ScriptError(K6Error):
    """k6 refused the script or its options.

    What helps: the last lines of k6 in the message; ``files=[...]`` for what a script opens by a
    name that is not in its text.

    >>> _ = Path("bad.js").write_text("export default function () {")
    >>> target.run_k6(script="bad.js", progress=False)
    Traceback (most recent call last):
        ...
    dfaas_lab.errors.K6ScriptError: ...
    """


class K6TimedOut(K6Error):
    """k6 was stopped by the run's time limit; the data until then is stored.

    What helps: ``Limits(timeout=...)``, or a shorter ``duration``.
    """


class K6Interrupted(K6Error):
    """k6 was stopped by a signal that was not ours.

    What helps: asking who ends processes on the generator (a reboot, an administrator, a time
    limit).
    """


class K6Crashed(K6Error):
    """k6 was killed or panicked.

    What helps: the last lines of k6 in the message. Exit code 137 is often memory: fewer requests
    per second, a shorter ``timeout`` of the function, or a larger generator.
    """


class ResultsUnreadable(K6Error):
    """k6 ended, but what it wrote cannot be read; the raw files are stored.

    What helps: the raw files in the run's folder, and running it again; a full disk is a usual
    cause.
    """


class ServiceError(DfaasLabError):
    """A service of a target did not answer as it should."""

    def __init__(self, message: str, *, url: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.url = url


class GatewayError(ServiceError):
    """The OpenFaaS gateway did not answer, or refused.

    What helps: the URL, ``target.deployed()``, and ``Target(auth=..., ca=...)``.

    >>> function = Function("env")
    >>> gone = {"gateway": "http://127.0.0.1:1", "generator": generator}
    >>> Target("gone", functions=[function], **gone).deployed()
    Traceback (most recent call last):
        ...
    dfaas_lab.errors.GatewayError: ...
    """


class MetricsError(ServiceError):
    """Prometheus did not answer, or refused.

    What helps: ``Target(prometheus=URL)``, or ``queries=`` where it names things differently.
    """


class StoreError(DfaasLabError):
    """Results could not be written to, or read from, the store.

    What helps: room and rights for the folder; ``lab.store.runs()`` lists what is there.

    >>> Run.load("nowhere")
    Traceback (most recent call last):
        ...
    dfaas_lab.errors.StoreError: ...
    """

    def __init__(self, message: str, *, path: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class CampaignError(DfaasLabError):
    """A campaign cannot go on.

    What helps: waiting for the process that runs it, or another ``label=``.
    """


class CooldownTimeout(CampaignError):
    """A target did not calm down between two loads; ``readings`` are the last.

    What helps: ``Cooldown(max_wait=...)``, a higher ``threshold``, or ``Cooldown.fixed("10s")``.
    """

    def __init__(self, message: str, *, hint: str = "", readings: object = None) -> None:
        super().__init__(message, hint=hint)
        self.readings = readings


class ResumeMismatch(CampaignError):
    """The campaign in the store is not the one to be resumed.

    What helps: asking for what is stored, or another ``label=`` for a new campaign.
    """


def _readable(text: str) -> str:
    """Return a text that can be printed, of a length that can be read."""
    if len(text) > _LONGEST_TEXT:
        half = _LONGEST_TEXT // 2
        text = f"{text[:half]}\n[... {len(text) - 2 * half} characters ...]\n{text[-half:]}"
    return printable_lines(text)
