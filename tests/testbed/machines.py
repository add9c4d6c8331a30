"""Real Debian hosts on this machine: root file systems, addresses, boot, faults. No test is here.

One bridge, one network namespace and one overlay per host, systemd as its first process. All that
is made carries the prefix ``dfl-``, so that a later start can sweep what a crash left.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from dfaas_lab.config import Host

BRIDGE = "dfl-br0"
GATEWAY = "10.77.0.1"
NETWORK = "10.77.0.0/24"
PREFIX = "dfl-"
STATE = Path("/var/tmp/dfl-testbed")
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
PACKAGES = (
    "openssh-server,python3,python3-apt,systemd,systemd-sysv,dbus,iproute2,procps,sudo,"
    "ca-certificates"
)
RULES = (
    ("nat", "POSTROUTING", "-s", NETWORK, "!", "-d", NETWORK, "-j", "MASQUERADE"),
    ("filter", "FORWARD", "-s", NETWORK, "-j", "ACCEPT"),
    ("filter", "FORWARD", "-d", NETWORK, "-j", "ACCEPT"),
)


def sh(*command: str | Path, check: bool = True, **kwargs: object) -> str:
    """Run a command on this machine and return its output."""
    done = subprocess.run(  # type: ignore[call-overload]
        [str(part) for part in command], text=True, capture_output=True, **kwargs
    )
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr or done.stdout}")
    return str(done.stdout)


def missing_tools() -> list[str]:
    """Return what this machine lacks to be a testbed."""
    tools = ("mmdebstrap", "systemd-nspawn", "ip", "iptables", "ssh-keygen", "unshare")
    lacks = [tool for tool in tools if shutil.which(tool) is None]
    return lacks if os.geteuid() == 0 else [*lacks, "root"]


# --- the root file system, made once and kept in the user's cache


def root_filesystem() -> Path:
    """Return the folder of the common root file system; it is built at the first call."""
    cache = Path(platformdirs.user_cache_dir("dfaas_lab")) / "testbed"
    recipe = json.dumps([PACKAGES, 3])
    done = cache / "recipe.json"
    root = cache / "root"
    if done.exists() and done.read_text() == recipe:
        return root
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(parents=True)
    sh(
        "mmdebstrap",
        "--variant=minbase",
        f"--include={PACKAGES}",
        "--customize-hook=" + _customize().replace("$ROOT", '"$1"'),
        "bookworm",
        root,
    )
    for name in ("etc/apt/apt.conf.d", "etc/ssl/certs"):
        _copy_settings(Path("/") / name, root / name)
    done.write_text(recipe)
    return root


def _customize() -> str:
    """Return the users of a host: with sudo, without it, and with one that asks."""
    lines = [
        "rm -f $ROOT/etc/ssh/ssh_host_*",
        "chroot $ROOT useradd -m -s /bin/bash lab",
        "chroot $ROOT useradd -m -s /bin/bash plain",
        "chroot $ROOT useradd -m -s /bin/bash asks",
        "echo 'asks:open sesame' | chroot $ROOT chpasswd",
        "echo 'lab ALL=(ALL) NOPASSWD: ALL' > $ROOT/etc/sudoers.d/lab",
        "echo 'asks ALL=(ALL) ALL' > $ROOT/etc/sudoers.d/asks",
        # Nothing but the tests may take the APT lock or use the two cores.
        "chroot $ROOT systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer",
    ]
    return "; ".join(lines)


def _copy_settings(source: Path, destination: Path) -> None:
    """Give the hosts this machine's APT proxies and certificates, whatever they are."""
    names = ["ca-certificates.crt"] if "ssl" in source.parts else []
    if not names:
        names = [
            file.name
            for file in source.glob("*")
            if "Acquire" in file.read_text(errors="replace") and "::Pre-Invoke" not in file.name
        ]
    for name in names:
        if (source / name).exists():
            shutil.copy(source / name, destination / name)


# --- the network


def build_network() -> None:
    """Make the bridge and the way out, and write down what is to be put back."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    (STATE / "before.json").write_text(json.dumps({"ip_forward": FORWARD.read_text()}))
    sh("ip", "link", "add", BRIDGE, "type", "bridge")
    sh("ip", "address", "add", f"{GATEWAY}/24", "dev", BRIDGE)
    sh("ip", "link", "set", BRIDGE, "up")
    FORWARD.write_text("1")
    for table, chain, *rule in RULES:
        sh("iptables", "-t", table, "-I", chain, *rule, "-m", "comment", "--comment", PREFIX)


def sweep() -> None:
    """Remove every host and put the network back as it was; also after a crash."""
    for pid in _nspawns():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while _nspawns() and time.monotonic() < deadline:
        time.sleep(0.05)
    _remove_groups(f"{PREFIX}*")
    for line in sh("ip", "netns", "list", check=False).splitlines():
        if line.startswith(PREFIX):
            sh("ip", "netns", "delete", line.split()[0], check=False)
    for link in json.loads(sh("ip", "-json", "link", check=False) or "[]"):
        if link["ifname"].startswith(PREFIX):
            sh("ip", "link", "delete", link["ifname"], check=False)
    for table, chain, *rule in RULES:
        command = ("iptables", "-t", table, "-D", chain, *rule, "-m", "comment", "--comment")
        while subprocess.run([*command, PREFIX], capture_output=True).returncode == 0:
            pass
    with contextlib.suppress(FileNotFoundError):
        FORWARD.write_text(json.loads((STATE / "before.json").read_text())["ip_forward"])
    for mount in reversed(Path("/proc/mounts").read_text().splitlines()):
        if mount.split()[1].startswith(f"{STATE}/"):
            sh("umount", "--lazy", mount.split()[1], check=False)
    shutil.rmtree(STATE, ignore_errors=True)


def _nspawns() -> list[int]:
    """Return the first processes of the hosts, by the state folder in their arguments."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            arguments = (proc / "cmdline").read_bytes()
            if arguments.startswith(b"systemd-nspawn\0") and str(STATE).encode() in arguments:
                found.append(int(proc.name))
    return found


def _group_roots() -> list[Path]:
    """Return where a host needs a control group: systemd's own hierarchy, and the unified one."""
    top = Path("/sys/fs/cgroup")
    named = [top / name for name in ("unified", "systemd") if (top / name).is_dir()]
    return named or [top]


def _remove_groups(pattern: str) -> None:
    """Remove control groups; what still runs in them is killed."""
    for group in [group for root in _group_roots() for group in root.glob(pattern)]:
        for _ in range(50):
            for procs in group.rglob("cgroup.procs"):
                for pid in procs.read_text().split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
            with contextlib.suppress(OSError):
                for folder in sorted((path for path in group.rglob("*/")), reverse=True):
                    folder.rmdir()
                group.rmdir()
                break
            time.sleep(0.02)


# --- the hosts


@dataclass
class Machine:
    """A Debian host with systemd, OpenSSH and APT at an address of its own."""

    name: str
    address: str
    key: Path
    known_hosts: Path
    _process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        return STATE / self.name

    @property
    def root(self) -> Path:
        """Its file system, as seen from this machine."""
        return self.folder / "root"

    @property
    def _netns(self) -> str:
        return PREFIX + self.name

    def host(self, user: str = "lab", **settings: object) -> Host:
        """Return how to log in as that user: lab has sudo, plain has not, asks is asked."""
        given = {"key": self.key, "known_hosts": self.known_hosts, **settings}
        return Host(self.address, user=user, **given)  # type: ignore[arg-type]

    def prepare(self) -> None:
        """Make its file system and its place in the network, fresh."""
        for part in ("upper", "work", "root"):
            (self.folder / part).mkdir(parents=True)
        layers = (
            f"lowerdir={root_filesystem()},upperdir={self.folder}/upper,workdir={self.folder}/work"
        )
        sh("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        (self.root / "etc/hostname").write_text(self.name + "\n")
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        resolv = self.root / "etc/resolv.conf"
        resolv.unlink(missing_ok=True)
        resolv.write_text(Path("/etc/resolv.conf").read_text())
        self._allow_key()
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self._host_key)
        self._connect()

    @property
    def _host_key(self) -> Path:
        return self.root / "etc/ssh/ssh_host_ed25519_key"

    def host_key_line(self) -> str:
        """Return its line for a known-hosts file."""
        kind, key = Path(f"{self._host_key}.pub").read_text().split()[:2]
        return f"{self.address} {kind} {key}\n"

    def _allow_key(self) -> None:
        public = Path(f"{self.key}.pub").read_text()
        passwd = (self.root / "etc/passwd").read_text().splitlines()
        for name, _, uid, gid, _, home, _ in (line.split(":") for line in passwd):
            if name in ("root", "lab", "plain", "asks"):
                folder = self.root / home.lstrip("/") / ".ssh"
                folder.mkdir(mode=0o700, exist_ok=True)
                (folder / "authorized_keys").write_text(public)
                for path in (folder, folder / "authorized_keys"):
                    os.chown(path, int(uid), int(gid))

    def _connect(self) -> None:
        inside = PREFIX + "in"  # one name for all: it is renamed inside its namespace at once
        sh("ip", "netns", "add", self._netns)
        sh("ip", "link", "add", self._link, "type", "veth", "peer", "name", inside)
        sh("ip", "link", "set", inside, "netns", self._netns, "name", "eth0")
        sh("ip", "link", "set", self._link, "master", BRIDGE, "up")
        for command in (
            f"address add {self.address}/24 dev eth0",
            "link set eth0 up",
            "link set lo up",
            f"route add default via {GATEWAY}",
        ):
            sh("ip", "-n", self._netns, *command.split())

    @property
    def _link(self) -> str:
        return f"{PREFIX}v{self.address.rsplit('.', 1)[1]}"

    def boot(self) -> None:
        """Start it; ready() waits for it."""
        self.join()
        with (self.folder / "console.log").open("ab") as console:
            # In a control group of its own: two hosts that share one end each other's services.
            enter = "".join(f"echo $$ > {group}/cgroup.procs; " for group in self._groups())
            self._process = subprocess.Popen(
                [
                    *("/bin/sh", "-c", f'{enter}exec "$@"', "sh"),
                    *("systemd-nspawn", "--register=no", "--keep-unit", "--resolv-conf=off"),
                    *("-D", self.root, f"--machine={self.name}", "--capability=all"),
                    f"--network-namespace-path=/run/netns/{self._netns}",
                    *("--console=pipe", "-b"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

    def _groups(self) -> list[Path]:
        groups = [root / f"{PREFIX}{self.name}" for root in _group_roots()]
        for group in groups:
            group.mkdir(exist_ok=True)
        return groups

    def ready(self, timeout: float = 30.0) -> None:
        """Wait until its sshd answers."""
        deadline = time.monotonic() + timeout
        while True:
            with (
                contextlib.suppress(OSError),
                socket.create_connection((self.address, 22), timeout=1) as connection,
            ):
                if connection.recv(3) == b"SSH":
                    return
            if time.monotonic() > deadline:
                console = (self.folder / "console.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} did not boot:\n{console}")
            time.sleep(0.05)

    def run(self, command: str, *, check: bool = True) -> str:
        """Run a shell command as its root, past SSH, and return the output."""
        return sh(*self._enter(), "sh", "-c", command, check=check)

    @contextlib.contextmanager
    def running(self, *command: str) -> Iterator[None]:
        """Let a command run there, as a service that ends with the block."""
        sh(*self._enter(), "systemd-run", "--quiet", "--collect", "--unit=running", *command)
        try:
            yield
        finally:
            self.run("systemctl stop running.service", check=False)

    def _enter(self) -> tuple[str, ...]:
        # Not `nsenter --root`: with --all it follows the process's own root.
        return ("nsenter", "--all", f"--target={self._init()}", "env", "-i", _PATH)

    def _init(self) -> int:
        assert self._process is not None, f"{self.name} is not running"
        pid = self._process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def cut(self) -> None:
        """Take it off the network."""
        sh("ip", "link", "set", self._link, "down")

    def join(self) -> None:
        """Put it back on the network."""
        sh("ip", "link", "set", self._link, "up")

    @contextlib.contextmanager
    def offline(self) -> Iterator[None]:
        """Leave it on the testbed's network, with no way out to the internet."""
        sh("ip", "-n", self._netns, "route", "delete", "default")
        try:
            yield
        finally:
            sh("ip", "-n", self._netns, "route", "add", "default", "via", GATEWAY)

    def stop(self) -> None:
        """Pull the plug; boot() starts it again with the same disk."""
        if self._process is not None:
            self.cut()
            self._process.kill()
            self._process.wait(10)
        _remove_groups(PREFIX + self.name)

    def remove(self) -> None:
        """Stop it and remove its disk and its place in the network."""
        self.stop()
        sh("ip", "netns", "delete", self._netns, check=False)
        sh("ip", "link", "delete", self._link, check=False)
        sh("umount", "--lazy", self.root, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Testbed:
    """The hosts of one session: ``with Testbed() as bed: bed.machines("gen", "mid")``."""

    __test__ = False  # pytest: not a test class

    def __init__(self) -> None:
        self._count = 0

    def __enter__(self) -> Testbed:
        sweep()
        root_filesystem()
        build_network()
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", STATE / "key")
        (STATE / "known_hosts").touch(mode=0o600)
        return self

    def __exit__(self, *_: object) -> None:
        sweep()

    def machines(self, *names: str) -> list[Machine]:
        """Boot fresh hosts and return them when all answer."""
        new = [self._machine(name) for name in names]
        try:
            for machine in new:
                machine.prepare()
                machine.boot()
                with (STATE / "known_hosts").open("a") as known:
                    known.write(machine.host_key_line())
            for machine in new:
                machine.ready()
        except BaseException:
            for machine in new:
                machine.remove()
            raise
        return new

    def _machine(self, name: str) -> Machine:
        address = f"10.77.0.{10 + self._count}"
        self._count += 1
        return Machine(name, address, STATE / "key", STATE / "known_hosts")


def network() -> dict[str, str]:
    """Return what a testbed may not leave changed on this machine."""
    return {
        "forwarding": FORWARD.read_text(),
        "links": "\n".join(
            sorted(link["ifname"] for link in json.loads(sh("ip", "-json", "link")))
        ),
        "addresses": sh("ip", "-brief", "-4", "address"),
        "routes": sh("ip", "route"),
        "namespaces": sh("ip", "netns", "list"),
        "filter": sh("iptables", "-S"),
        "nat": sh("iptables", "-t", "nat", "-S"),
        "mounts": "\n".join(
            line for line in Path("/proc/mounts").read_text().splitlines() if str(STATE) in line
        ),
    }
