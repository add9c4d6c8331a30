"""What the tests on the embedded lab share: one lab for a session, the real ``ssh``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from tempfile import mkdtemp

import pytest

from dfaas_lab import Lab
from dfaas_lab.local import LocalLab, start
from tests.embedded.ready import make_ready

Ssh = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="session")
def local_lab() -> Iterator[LocalLab]:
    """One embedded lab with one target. Do not kill its parts: start a lab of your own for that."""
    with start() as lab:
        yield lab


@pytest.fixture(scope="module")
def lab(local_lab: LocalLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The session's lab, provisioned, with a workspace root and a store of the module's own."""
    folder = tmp_path_factory.mktemp("lab")
    facts = local_lab.facts() | {"store": str(folder / "results")}
    facts["generators"][0]["workspace_root"] = mkdtemp(prefix="runs-", dir=local_lab.path)
    (folder / "lab.json").write_text(json.dumps(facts))
    with Lab.from_file(folder / "lab.json") as lab:
        make_ready(lab)
        yield lab


@pytest.fixture(scope="session")
def ssh() -> Ssh:
    """Run a command through the real OpenSSH client: ``ssh(lab, "true", data=b"")``."""
    return run_ssh


def ssh_command(lab: LocalLab, *options: str, user: str | None = None) -> list[str]:
    """Return the client's command line up to the host; nothing of the machine's own settings."""
    own = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(lab.ssh.known_hosts),
    }
    settings = [word for key, value in own.items() for word in ("-o", f"{key}={value}")]
    where = ["-p", str(lab.ssh.port), "-i", str(lab.ssh.key)]
    address = f"{user or lab.ssh.user}@{lab.ssh.host}"
    return ["ssh", "-F", "none", *options, *settings, *where, address]


def run_ssh(
    lab: LocalLab, command: str, *options: str, data: bytes = b"", user: str | None = None
) -> subprocess.CompletedProcess[bytes]:
    argv = [*ssh_command(lab, *options, user=user), command]
    return subprocess.run(argv, input=data, capture_output=True, timeout=60, check=False)
