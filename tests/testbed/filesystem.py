"""The root file system that all hosts of the testbed begin with: made once, kept in the cache."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import platformdirs

from tests.testbed.ground import sh

PACKAGES = (
    "openssh-server,python3,python3-apt,systemd,systemd-sysv,dbus,iproute2,procps,sudo,"
    "ca-certificates"
)


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
