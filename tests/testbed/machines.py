"""Real Debian hosts on this machine: boot, faults, end. No test is here.

A network namespace and an overlay per host, systemd as its first process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dfaas_lab.config import Host
from tests.testbed.filesystem import root_filesystem
from tests.testbed.ground import PREFIX, STATE, sh
from tests.testbed.guard import Guard
from tests.testbed.network import (
    BRIDGE,
    GATEWAY,
    build_network,
    group_roots,
    remove_groups,
)


@dataclass
class Machine:
    """A Debian host with systemd, OpenSSH and APT at an address of its own.

    ``shares`` are folders of this machine, and where they are seen there, read only.
    """

    name: str
    address: str
    key: Path
    known_hosts: Path
    shares: tuple[tuple[Path, str], ...] = ()
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
                    *(f"--bind-ro={here}:{there}" for here, there in self.shares),
                    *("--console=pipe", "-b"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

    def _groups(self) -> list[Path]:
        groups = [root / f"{PREFIX}{self.name}" for root in group_roots()]
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

    def wire(self, rate: str) -> None:
        """Give it a port of that rate, as ``1gbit``; without it, the wire is as fast as memory."""
        shape = ("tbf", "rate", rate, "burst", "1mb", "latency", "50ms")
        sh("tc", "qdisc", "replace", "dev", self._link, "root", *shape)

    @contextlib.contextmanager
    def offline(self) -> Iterator[None]:
        """Leave it on the testbed's network, with no way out to the internet."""
        sh("ip", "-n", self._netns, "route", "delete", "default")
        try:
            yield
        finally:
            sh("ip", "-n", self._netns, "route", "add", "default", "via", GATEWAY)

    @contextlib.contextmanager
    def closed(self, port: int) -> Iterator[None]:
        """Let this machine, where the tests run, not reach that port of it; other hosts do."""
        rule = f"INPUT -s {GATEWAY} -p tcp --dport {port} -j REJECT".split()
        enter = ("ip", "netns", "exec", self._netns, "iptables")
        sh(*enter, "-A", *rule)
        try:
            yield
        finally:
            sh(*enter, "-D", *rule)

    def stop(self) -> None:
        """Pull the plug; boot() starts it again with the same disk."""
        if self._process is not None:
            self.cut()
            self._process.kill()
            self._process.wait(10)
            self._process = None
        remove_groups(PREFIX + self.name)

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
        self._machines: list[Machine] = []
        self._guard = Guard()

    def __enter__(self) -> Testbed:
        self._guard.__enter__()
        try:
            root_filesystem()
            build_network()
            sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", STATE / "key")
            (STATE / "known_hosts").touch(mode=0o600)
        except BaseException:
            self._guard.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self._machines:
            machine.stop()
        self._guard.__exit__()

    def machines(self, *names: str, shares: Sequence[tuple[Path, str]] = ()) -> list[Machine]:
        """Boot fresh hosts and return them when all answer."""
        new = [self._machine(name, tuple(shares)) for name in names]
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

    def _machine(self, name: str, shares: tuple[tuple[Path, str], ...]) -> Machine:
        address = f"10.77.0.{10 + len(self._machines)}"
        machine = Machine(name, address, STATE / "key", STATE / "known_hosts", shares)
        self._machines.append(machine)
        return machine
