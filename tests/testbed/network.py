"""The testbed's place in this machine's network and kernel: made, looked at, and swept away."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.testbed.ground import PREFIX, STATE, sh

BRIDGE = "dfl-br0"
GATEWAY = "10.77.0.1"
NETWORK = "10.77.0.0/24"
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
RULES = (
    ("nat", "POSTROUTING", "-s", NETWORK, "!", "-d", NETWORK, "-j", "MASQUERADE"),
    ("filter", "FORWARD", "-s", NETWORK, "-j", "ACCEPT"),
    ("filter", "FORWARD", "-d", NETWORK, "-j", "ACCEPT"),
)


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
    remove_groups(f"{PREFIX}*")
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


def group_roots() -> list[Path]:
    """Return where a host needs a control group: systemd's own hierarchy, and the unified one."""
    top = Path("/sys/fs/cgroup")
    named = [top / name for name in ("unified", "systemd") if (top / name).is_dir()]
    return named or [top]


def remove_groups(pattern: str) -> None:
    """Remove control groups; what still runs in them is killed."""
    for group in [group for root in group_roots() for group in root.glob(pattern)]:
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
