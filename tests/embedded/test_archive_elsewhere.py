"""A run's archive is opened elsewhere: no lab, no k6, no store, no network; the same chart."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dfaas_lab import Lab, Run
from dfaas_lab.local import LocalLab
from tests.embedded.ready import make_ready

ROOT = Path(__file__).parents[2]
# What only the extra `local` installs is not to be had, and nothing is asked of anybody.
ELSEWHERE = """
import sys

for name in ("asyncssh", "starlette", "uvicorn", "prometheus_client", "k6", "dfaas_lab.local"):
    sys.modules[name] = None

def refuse(event, arguments):
    if event in ("socket.connect", "socket.bind", "subprocess.Popen"):
        raise SystemExit(f"{event}: {arguments}")

sys.addaudithook(refuse)
"""
TELL = """
import hashlib, json
from dfaas_lab import Run


def told(run):
    return {
        "chart": run.chart().to_dict(),
        "text": repr(run),
        "provenance": run.provenance,
        "summary": run.summary.write_json(),
        "requests": hashlib.sha256(run.requests.write_csv().encode()).hexdigest(),
        "statistics": run.statistics().write_json(),
    }
"""


@pytest.fixture(scope="module")
def run(local_lab: LocalLab, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("here")
    facts = {**local_lab.facts(), "store": str(folder / "results")}
    (folder / "lab.json").write_text(json.dumps(facts))
    with Lab.from_file(folder / "lab.json") as lab:
        make_ready(lab)
        load = {"env": 10, "figlet": 5}
        return lab.target.run_k6(3, load=load, duration="2s", label="for a friend", progress=False)


@pytest.mark.slow
def test_an_archive_draws_the_same_chart_where_there_is_no_lab(run: Run, tmp_path: Path) -> None:
    archive = run.save(tmp_path / "run.zip")
    script = f"{ELSEWHERE}{TELL}\nprint(json.dumps(told(Run.load('run.zip'))))"
    there = _run_elsewhere(script, archive)
    here: dict[str, Any] = {}
    exec(TELL, here)
    expected = json.loads(json.dumps(here["told"](run)))
    assert there.keys() == expected.keys()
    for name in expected:
        assert there[name] == expected[name], name
    assert there["chart"]["datasets"]


def test_an_archive_is_the_same_file_for_the_same_run(run: Run, tmp_path: Path) -> None:
    first, second = (run.save(tmp_path / name).read_bytes() for name in ("a.zip", "b.zip"))
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()


def _run_elsewhere(script: str, archive: Path) -> dict[str, Any]:
    home = archive.parent / "elsewhere"
    home.mkdir()
    archive.rename(home / "run.zip")
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=home,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told
