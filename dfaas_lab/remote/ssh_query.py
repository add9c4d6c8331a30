"""Runs ``ssh -G`` and parses the ssh configuration of one host.

OpenSSH itself reads ``~/.ssh/config`` and ``/etc/ssh/ssh_config``, so ``Include``, ``Match`` and
tokens mean what they mean to ``ssh``. What is set is told from what is this client's default by
asking it once without a configuration: the defaults differ between versions.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import shutil
import signal
import subprocess
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from dfaas_lab.errors import ConfigError

_SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
_LONGEST_S = 15.0  # it runs the commands of "Match exec"
_NO_COMMAND = frozenset(";&|<>(){}$`'\" \t\r\n")
_LOOP = "jumphost loop"

# What changes nothing about where we get to, whom we trust and how we log in: a terminal, a session
# of the user's own, forwardings, keeping alive, agents' housekeeping, ways to log in that we never
# try. A keyword in no list here is refused where it is set.
_HARMLESS = """
    addkeystoagent batchmode canonicaldomains canonicalizefallbacklocal canonicalizemaxdots
    canonicalizepermittedcnames casignaturealgorithms challengeresponseauthentication channeltimeout
    checkhostip cipher clearallforwardings compression compressionlevel connectionattempts
    controlmaster controlpath controlpersist dynamicforward enableescapecommandline enablesshkeysign
    escapechar exitonforwardfailure fingerprinthash forkafterauthentication forwardagent forwardx11
    forwardx11timeout forwardx11trusted gatewayports gssapiauthentication gssapiclientidentity
    gssapidelegatecredentials gssapikexalgorithms gssapikeyexchange gssapirenewalforcesrekey
    gssapiserveridentity gssapitrustdns hashknownhosts hostbasedacceptedalgorithms
    hostbasedauthentication hostbasedkeytypes ignoreunknown ipqos kbdinteractiveauthentication
    kbdinteractivedevices localcommand localforward loglevel logverbose
    nohostauthenticationforlocalhost numberofpasswordprompts obscurekeystroketiming
    passwordauthentication permitlocalcommand permitremoteopen protocol rekeylimit
    remoteforward requesttty sendenv serveralivecountmax serveraliveinterval setenv stdinnull
    streamlocalbindmask streamlocalbindunlink syslogfacility tag tcpkeepalive tunnel tunneldevice
    updatehostkeys useprivilegedport verifyhostkeydns versionaddendum visualhostkey warnweakcrypto
    xauthlocation
"""
# What ``resolve`` acts upon.
_SUPPORTED = """
    connecttimeout globalknownhostsfile host hostname identitiesonly identityfile port proxycommand
    proxyjump user
"""
_ALGORITHMS = "a choice of algorithms is not supported"
_REFUSED = {
    "addressfamily": "a choice of IPv4 or IPv6 is not supported: write the address",
    "bindaddress": "a local address is not supported",
    "bindinterface": "a local interface is not supported",
    "canonicalizehostname": "host names are not made canonical: write the full HostName",
    "certificatefile": "certificates are not supported: name the key with key=",
    "ciphers": _ALGORITHMS,
    "hostkeyalgorithms": _ALGORITHMS,
    "hostkeyalias": "an alias for the host key is not supported: use HostName with the real name",
    "identityagent": "another agent is not supported: set SSH_AUTH_SOCK",
    "kexalgorithms": _ALGORITHMS,
    "knownhostscommand": "a command for host keys is not supported: write them into a file",
    "macs": _ALGORITHMS,
    "pkcs11provider": "PKCS#11 tokens are not supported: name a key file with key=",
    "preferredauthentications": "only keys are supported",
    "proxyusefdpass": "a passed file descriptor is not supported",
    "pubkeyacceptedalgorithms": _ALGORITHMS,
    "pubkeyacceptedkeytypes": _ALGORITHMS,
    "pubkeyauthentication": "nobody can log in without a key",
    "remotecommand": "a command of its own is not supported",
    "requiredrsasize": _ALGORITHMS,
    "revokedhostkeys": "a file of revoked keys is not supported: mark them @revoked in known_hosts",
    "securitykeyprovider": "FIDO keys are not supported: name a key file with key=",
    "sessiontype": "another kind of session is not supported",
    "stricthostkeychecking": "host keys are always checked: use accept-new, or "
    "Host(host_keys='accept-new')",
    "userknownhostsfile": "host keys are always checked: name a file, or give "
    "Host(known_hosts=...)",
}
_IS_ALGORITHMS = frozenset(key for key, why in _REFUSED.items() if why is _ALGORITHMS)
# Values that mean what is done anyway, or what ``resolve`` acts upon.
_FINE_VALUES = {
    "identityagent": ("none", "SSH_AUTH_SOCK"),
    "knownhostscommand": ("none",),
    "pkcs11provider": ("none",),
    "pubkeyauthentication": ("true", "yes", "unbound", "host-bound"),
    "remotecommand": ("none",),
    "revokedhostkeys": ("none",),
    "stricthostkeychecking": ("true", "yes", "ask", "accept-new"),
}
NO_FILE = frozenset(("none", "/dev/null"))


@dataclass(frozen=True)
class InForce:
    """What is in force for one host: the values of each keyword, and those of the defaults.

    Args:
        asked: The host as the user named it.
        values: By keyword, in lower case.
        defaults: What this client does where nothing is configured.
    """

    asked: str
    values: Mapping[str, list[str]]
    defaults: Mapping[str, list[str]]

    @classmethod
    def of(
        cls, asked: str, *, only_file: Path | None, user: str | None = None, port: int | None = None
    ) -> InForce:
        """Ask ``ssh -G`` about a host.

        Raises:
            ConfigError: There is no OpenSSH client, or it cannot read the configuration.
        """
        if user and not _NO_COMMAND.isdisjoint(user):
            # A "Match exec" may hold %r, and older clients do not look at what it is.
            raise ConfigError(
                f"the user {user!r} must not go into a command of the ssh configuration",
                hint="Give a user without blanks and special characters.",
            )
        where = [] if only_file is None else ["-F", _or_none(only_file)]
        about = ["-l", user] if user else []
        about += ["-p", str(port)] if port else []
        arguments = [*where, *about, "--", asked]
        try:
            values = _ask(*arguments)
        except ConfigError as error:
            if _LOOP not in error.message:
                raise
            # "Host *" with ProxyJump: ssh refuses its own jump host, which is reached directly.
            values = _ask("-o", "ProxyJump=none", *arguments)
        return cls(asked, values, _defaults())

    def first(self, keyword: str) -> str:
        """The first value of a keyword; empty where it has none."""
        return self.values.get(keyword, [""])[0]

    def is_default(self, keyword: str) -> bool:
        """Whether nothing is set, or what is done anyway."""
        return self.values.get(keyword) == self.defaults.get(keyword)

    def refuse_unsupported(self, ignored: Collection[str]) -> None:
        """Raise where a keyword is in force that Fabric and Ansible cannot both follow.

        Args:
            ignored: Keywords about what the ``Host`` says itself.

        Raises:
            ConfigError: There is one; it is named, with its value.
        """
        harmless = {*_HARMLESS.split(), *_SUPPORTED.split(), *ignored}
        for keyword in sorted(self.values.keys() - harmless):
            problem = self._problem(keyword)
            if problem:
                raise ConfigError(
                    f"{self.asked}: {keyword}: {problem} (the ssh configuration says "
                    f"{self.first(keyword)[:60]!r})",
                    hint=f"See it by: ssh -G {self.asked}. Keep that keyword from this host, or "
                    "give Host(...) what it is about.",
                )

    def _problem(self, keyword: str) -> str:
        """Why what a keyword says is not supported; empty where it is."""
        value = self.first(keyword)
        if self.is_default(keyword) or value in _FINE_VALUES.get(keyword, ()):
            return ""
        if keyword == "preferredauthentications" and "publickey" in value.split(","):
            return ""
        if keyword == "userknownhostsfile" and not {*value.split()} <= NO_FILE:
            return ""
        if keyword in _IS_ALGORITHMS and self.values[keyword] == _of_the_system(
            self.asked, keyword
        ):
            return ""
        return _REFUSED.get(keyword, "this keyword is not supported")


def users_own_file() -> Path | None:
    """The file to read where ``HOME`` is not the account's home, which ``ssh`` alone goes by.

    None leaves to ``ssh`` what it reads: ``~/.ssh/config``, then the system's.
    """
    home = os.environ.get("HOME")
    try:
        elsewhere = home is not None and not Path(home).samefile(pwd.getpwuid(os.getuid()).pw_dir)
    except (KeyError, OSError):
        elsewhere = home is not None
    return Path("~/.ssh/config").expanduser() if elsewhere else None


def _of_the_system(host: str, keyword: str) -> list[str] | None:
    """A machine's crypto policy (Fedora, RHEL) is in its own file, and is nobody's choice."""
    return _ask("-F", _or_none(_SYSTEM_CONFIG), "--", host).get(keyword)


def _or_none(file: Path) -> str:
    """``ssh -F`` refuses a file that is not there."""
    return str(file) if file.exists() else "none"


def _defaults() -> dict[str, list[str]]:
    """What this machine's OpenSSH does where nothing is configured."""
    found = shutil.which("ssh")
    return _defaults_of(found, Path(found).stat().st_mtime_ns) if found else {}


@functools.lru_cache(maxsize=1)
def _defaults_of(client: str, changed_at: int) -> dict[str, list[str]]:  # noqa: ARG001 (the key)
    return _ask("-F", "none", "--", "localhost")


def _ask(*arguments: str) -> dict[str, list[str]]:
    """Return what ``ssh -G`` prints: the values of each keyword.

    Raises:
        ConfigError: There is no ``ssh``, or it cannot read the configuration.
    """
    values: defaultdict[str, list[str]] = defaultdict(list)
    for line in _printed(arguments).splitlines():
        keyword, _, value = line.partition(" ")
        values[keyword.lower()].append(value)  # 9.2 prints "canonicalizePermittedcnames"
    return dict(values)


def _printed(arguments: tuple[str, ...]) -> str:
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            ["ssh", "-G", *arguments],  # noqa: S607 (the one on PATH, as Ansible has)
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,  # so that the commands of "Match exec" end with it
        )
    except FileNotFoundError as error:
        raise ConfigError(
            "the OpenSSH client is not installed here: it reads the ssh configuration",
            hint="Install it (Debian: apt install openssh-client), so that `ssh -V` answers.",
        ) from error
    except (OSError, ValueError) as error:
        raise _unreadable(str(error), arguments) from error
    with process:
        try:
            stdout, stderr = process.communicate(timeout=_LONGEST_S)
        except BaseException as error:
            # An interrupted communicate() waits a little itself: then there may be nobody left.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                said = f"no answer within {_LONGEST_S:g} s"
                raise _unreadable(said, arguments) from error
            raise
    if process.returncode != 0:
        raise _unreadable(stderr.decode(errors="replace"), arguments)
    return os.fsdecode(stdout)


def _unreadable(said: str, arguments: tuple[str, ...]) -> ConfigError:
    lines = [line for line in said.splitlines() if "Pseudo-terminal" not in line]
    return ConfigError(
        f"ssh cannot read its configuration: {' '.join(lines[:3])[:500] or 'it says nothing'}",
        hint=f"Correct it, and see what it means by: ssh -G {' '.join(arguments)}",
    )
