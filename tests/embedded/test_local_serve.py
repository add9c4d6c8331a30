"""The lab in the foreground: it says what another process needs, and leaves nothing at its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from dfaas_lab import labfile
from tests.embedded.leftovers import Leftovers
from tests.embedded.test_local_cycles import ROOT

CODE = """
import sys
from pathlib import Path
from dfaas_lab.local.serve import serve
path = Path(sys.argv[1]) if len(sys.argv) > 1 else None
serve(path, targets=2)
print("ended in order")
"""


def begin(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    env = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", CODE, *arguments]
    return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_prints_the_facts_and_ends_in_order(tmp_path: Path, number: int) -> None:
    process = begin(tmp_path)
    assert process.stdout is not None
    text = ""
    while not text.endswith("\n}\n"):
        text += process.stdout.readline()
    facts = json.loads(text)
    (tmp_path / "lab.json").write_text(text)  # as "dfaas-lab serve > lab.json"
    read = labfile.read(tmp_path / "lab.json")
    assert read.unused == ()
    assert [generator.host.address for generator in read.generators] == ["127.0.0.1"]
    assert [target.name for target in read.targets] == ["node1", "node2"]
    (tmp_path / "lab.json").unlink()
    first = facts["targets"][0]
    assert first["functions"] == ["figlet", "env", "echo", "sha512sum", "primes"]
    url = f"{first['gateway']}/function/echo"
    assert urllib.request.urlopen(url, data=b"abc").read() == b"abc"

    process.send_signal(number)
    rest, _ = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "ended in order\n")
    Leftovers(tmp_path).wait_for_none()


def test_its_file_is_private_and_whole_and_goes_with_it(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    path = tmp_path / "lab.json"
    process = begin(tmp_path / "tmp", str(path))
    until = time.monotonic() + 30
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert json.loads(path.read_text())["targets"][1]["auth"]["user"] == "admin"
    assert path.stat().st_mode & 0o777 == 0o600
    process.terminate()
    process.communicate(timeout=30)
    assert [entry.name for entry in tmp_path.iterdir()] == ["tmp"]
    Leftovers(tmp_path / "tmp").wait_for_none()


def test_the_file_is_not_written_through_a_link_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    precious = tmp_path / "precious"
    precious.write_text("mine")
    path = tmp_path / "lab.json"
    path.symlink_to(precious)
    process = begin(tmp_path / "tmp", str(path))
    until = time.monotonic() + 30
    while path.is_symlink() and time.monotonic() < until:
        time.sleep(0.01)
    process.terminate()
    process.communicate(timeout=30)
    assert precious.read_text() == "mine"
