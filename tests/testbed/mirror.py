"""A mirror as a user's network may have one: releases of k6 and a signed APT repository."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import socket
import tarfile
import time
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

from dfaas_lab.provision.local_k6 import local_k6
from tests.testbed.ground import sh
from tests.testbed.machines import Machine

OLD_K6 = b"#!/bin/sh\necho 'k6 v1.0.0 (an old one)'\n"
# A package whose installation takes long on a host that has this file.
SLOW = "/etc/slow-postinst"
_POSTINST = f"""#!/bin/sh
[ -e {SLOW} ] && touch {SLOW}.running && sleep 300
exit 0
"""


class Mirror:
    """Served by a machine of the testbed: ``url`` answers, ``tarpit_url`` never does."""

    def __init__(self, machine: Machine, work: Path) -> None:
        self.machine = machine
        self._work = work
        self.folder = machine.root / "srv"
        self.url = f"http://{machine.address}:8000"
        self.tarpit_url = f"http://{machine.address}:8001"
        own = local_k6()
        assert own is not None
        self.version = own.version
        self._k6 = own.path
        self._serve()

    def _serve(self) -> None:
        unit = "systemd-run --quiet --unit"
        self.machine.run(f"{unit}=files python3 -m http.server -d /srv 8000")
        hold = "import socket,time; s=socket.create_server((chr(0)*0,8001)); time.sleep(9999)"
        self.machine.run(f"{unit}=tarpit python3 -c '{hold}'")
        for port in (8000, 8001):
            _wait_for(self.machine.address, port)

    # --- releases

    @cached_property
    def release(self) -> dict[str, Any]:
        """The playbook's variables for k6 from here, with a checksum that fits."""
        name = f"k6-v{self.version}-linux-amd64"
        return self._publish(name, self._k6.read_bytes())

    @cached_property
    def old_release(self) -> dict[str, Any]:
        """The same for an older k6."""
        return self._publish("k6-v1.0.0-linux-amd64", OLD_K6)

    def _publish(self, name: str, k6: bytes) -> dict[str, Any]:
        archive = self.folder / f"{name}.tar.gz"
        with (
            gzip.open(archive, "wb", compresslevel=1) as packed,
            tarfile.open(fileobj=packed, mode="w") as tar,
        ):
            member = tarfile.TarInfo(f"{name}/k6")
            member.mode, member.size = 0o755, len(k6)
            tar.addfile(member, BytesIO(k6))
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        sums = self.folder / f"{name}-checksums.txt"
        sums.write_text(f"{'0' * 64}  something-else.zip\n{digest}  {archive.name}\n")
        return {
            "k6_release_url": f"{self.url}/{archive.name}",
            "k6_release_checksum": f"sha256:{self.url}/{sums.name}",
        }

    @cached_property
    def tarpit(self) -> dict[str, Any]:
        """The same for an archive that never comes."""
        url = self.release["k6_release_url"].replace(self.url, self.tarpit_url)
        return {**self.release, "k6_release_url": url}

    # --- APT

    @cached_property
    def apt(self) -> dict[str, Any]:
        """The playbook's variables for the signed repository."""
        repository = self.folder / "deb"
        repository.mkdir()
        self._package(repository)
        packages = sh("apt-ftparchive", "packages", ".", cwd=repository)
        place = repository / "dists/stable/main/binary-amd64"
        place.mkdir(parents=True)
        (place / "Packages").write_text(packages)
        release = sh(
            "apt-ftparchive",
            *("-o", "APT::FTPArchive::Release::Suite=stable"),
            *("-o", "APT::FTPArchive::Release::Components=main"),
            *("-o", "APT::FTPArchive::Release::Architectures=amd64"),
            "release",
            repository / "dists/stable",
        )
        (repository / "dists/stable/Release").write_text(release)
        self._sign(repository / "dists/stable", "the mirror", self.folder / "key.asc")
        return {"k6_apt_url": f"{self.url}/deb", "k6_apt_key_url": f"{self.url}/key.asc"}

    def other_key(self) -> str:
        """Return the URL of a key that signed nothing."""
        self._sign(None, "somebody else", self.folder / "other.asc")
        return f"{self.url}/other.asc"

    def _package(self, repository: Path) -> None:
        tree = self._work / "k6"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "usr/bin").mkdir(parents=True)
        shutil.copy2(self._k6, tree / "usr/bin/k6")
        (tree / "DEBIAN/control").write_text(
            f"Package: k6\nVersion: {self.version}\nArchitecture: amd64\n"
            "Maintainer: Nobody <nobody@example.invalid>\nDescription: k6 of this machine\n"
        )
        (tree / "DEBIAN/postinst").write_text(_POSTINST)
        (tree / "DEBIAN/postinst").chmod(0o755)
        sh("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, repository)

    def _sign(self, folder: Path | None, owner: str, public: Path) -> None:
        home = self._work / owner.replace(" ", "-")
        home.mkdir(mode=0o700, exist_ok=True)
        gpg = ("gpg", "--batch", "--homedir", home, "--passphrase", "", "--pinentry-mode=loopback")
        sh(*gpg, "--quick-generate-key", owner, "ed25519", "sign", "never")
        public.write_text(sh(*gpg, "--armor", "--export", owner))
        if folder is not None:
            sh(*gpg, "--clearsign", "-o", folder / "InRelease", folder / "Release")
        sh("gpgconf", "--homedir", home, "--kill", "all", check=False)


def _wait_for(address: str, port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, f"nothing serves on {port}"
            time.sleep(0.05)
        else:
            return
