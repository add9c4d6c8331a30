"""An archive is opened where dfaas_lab was installed by pip with no extra: no lab, no Jupyter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dfaas_lab import Lab
from tests.embedded.test_archive_elsewhere import TELL

ROOT = Path(__file__).parents[2]
THERE = """
for name in ("asyncssh", "starlette", "uvicorn", "k6", "ipywidgets", "IPython"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{name} is installed: this shows nothing")
"""


@pytest.mark.timeout(600)
def test_an_archive_draws_the_same_chart_without_any_extra(tmp_path: Path) -> None:
    with Lab.local(store=tmp_path / "results") as lab:
        lab.generator.provision(progress=False)
        run = lab.target.run_k6(2, load={"env": 10}, duration="1s", progress=False)
    home = tmp_path / "elsewhere"
    home.mkdir()
    run.save(home / "run.zip")
    script = f"{THERE}{TELL}\nprint(json.dumps(told(Run.load('run.zip'))))"
    there = json.loads(_call(_installed(tmp_path), "-c", script, folder=home))
    here: dict[str, object] = {}
    exec(TELL, here)
    assert there == json.loads(json.dumps(here["told"](run)))  # type: ignore[operator]


def _installed(folder: Path) -> Path:
    """Return the Python of a new environment with nothing but the wheel and what it needs."""
    _pip(Path(sys.executable), "wheel", "--no-deps", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    _call(Path(sys.executable), "-m", "venv", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    _pip(python, "install", wheel)
    return python


def _pip(python: Path, *arguments: str | Path) -> None:
    _call(python, "-m", "pip", "--disable-pip-version-check", "-q", *arguments)


def _call(python: Path, *arguments: str | Path, folder: Path | None = None) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    if folder is not None:
        clean["HOME"] = str(folder)
    done = subprocess.run(
        [python, *arguments], cwd=folder, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
