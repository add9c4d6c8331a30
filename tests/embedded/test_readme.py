"""The README is true: its Python runs, its commands and files are there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dfaas_lab import Lab
from dfaas_lab.local import start
from tests.embedded.ready import make_ready

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def _run(script: str, folder: Path) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def _write_lab(file: Path, facts: dict[str, Any]) -> None:
    file.write_text(json.dumps(facts))
    with Lab.from_file(file) as lab:
        make_ready(lab)


def test_what_it_says_of_a_laptop_runs(tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if "Lab.local" in block]
    (told,) = re.findall(r"```text\n(Run .*?)```", README, re.DOTALL)
    printed = _run(block, tmp_path)
    # The numbers are those of another day, and the verdict that of another machine's rest.
    assert [_words(line) for line in printed.splitlines()[1:7]] == [
        _words(line) for line in told.splitlines()[1:7]
    ]
    assert re.match(r"Run \S+: (VALID|DOUBTFUL: .*)\n", printed)


def _words(line: str) -> list[str]:
    """What is said in a line of a table, without its latencies."""
    return [w for w in line.split() if not re.fullmatch(r"~?(\d+\.\d\d|[\d,]*\d{3})", w)]


@pytest.mark.slow
def test_what_it_says_of_real_machines_runs_on_those_of_the_embedded_lab(tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if "10.0.0.50" in block]
    with start() as lab:
        host = (
            f"Host({lab.ssh.host!r}, port={lab.ssh.port}, user={lab.ssh.user!r}, "
            f"key={str(lab.ssh.key)!r}, known_hosts={str(lab.ssh.known_hosts)!r}, become=False), "
            f"workspace_root={lab.workspace_root!r}"
        )
        asked = '"10.0.0.50", user="ubuntu", key="~/.ssh/id_ed25519"'
        gateway = '"http://10.0.0.60:31112"'
        assert asked in block
        assert gateway in block
        here = block.replace(asked, host).replace(gateway, repr(lab.gateways[0].url))
        _run(f"from dfaas_lab import Host\n{here}\nassert len(run.summary) == 6, run", tmp_path)


@pytest.mark.slow
def test_what_it_says_of_long_runs_and_scripts_runs(tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if "detach=True" in block]
    for asked, quick in (("21, ", "2, "), ('"1m"', '"1s"'), ('"30s"', '"1s"')):
        assert asked in block
        block = block.replace(asked, quick)
    (tmp_path / "my_test.js").write_text(
        'import http from "k6/http";'
        "export default function () { http.get(`${__ENV.GATEWAY}/function/env`); }"
    )
    with start() as lab:
        _write_lab(tmp_path / "lab.yml", lab.facts())
        checks = "assert run.status == 'ok', run\nassert other.requests.height == 3, other"
        _run(f"{block}\n{checks}", tmp_path)


def test_what_it_says_of_keeping_and_repeating_runs(tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if "reproduce(" in block]
    for asked, quick in (("(8, ", "(3, "), ('"30s"', '"1s"')):
        assert asked in block
        block = block.replace(asked, quick)
    with start() as lab:
        facts = lab.facts()
        facts["targets"][0]["functions"] = ["env"]
        _write_lab(tmp_path / "lab.yml", facts)
        checks = (
            "assert again.provenance['reproduces']['run_id'] == before.id\n"
            "assert lab.store.runs().height == 2\n"
            "assert lab.store.scan_requests().collect().height >= 54"
        )
        _run(f"{block}\n{checks}", tmp_path)


@pytest.mark.slow
def test_what_it_says_of_campaigns_and_of_sides_in_turn_runs(tmp_path: Path) -> None:
    (campaign,) = [block for block in BLOCKS if "lab.campaign(" in block]
    (in_turn,) = [block for block in BLOCKS if "run_interleaved(" in block]
    quicker = (
        ("Linear(0, 200, step=20), sizes=(1, 2)", "Linear(4, 8, step=4)"),
        ("iterations=3", "iterations=1, cooldown=Cooldown.fixed('0s')"),
        ('"30s"', '"1s"'),
        ("blocks=10", "blocks=3"),
        ('"10s"', '"1s"'),
    )
    script = f"from dfaas_lab import Cooldown\n{campaign}\n{in_turn}"
    for asked, quick in quicker:
        assert asked in script
        script = script.replace(asked, quick)
    with start() as lab:
        _write_lab(tmp_path / "lab.yml", lab.facts())
        checks = "assert set(campaign.outcomes['function']) == {'figlet', 'env'}, campaign.outcomes"
        _run(f"{script}\n{checks}", tmp_path)


@pytest.mark.parametrize("path", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_what_it_links_to_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z][a-z-]*[a-z])", README))))
def test_the_commands_that_it_names_are_there(target: str) -> None:
    dry = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=False)
    assert dry.returncode == 0, dry.stderr
