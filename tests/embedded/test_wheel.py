"""What users install: a wheel, used from another folder, where no Jupyter and no checkout is.

The environment without the notebook extra is made once and kept in ``.cache`` for as long as the
dependencies stay the same; the wheel itself is built and installed anew each time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

SCRIPT = """
import sys
from pathlib import Path
import dfaas_lab

assert str(Path(dfaas_lab.__file__)).startswith(sys.prefix), dfaas_lab.__file__
for name in ("IPython", "ipykernel", "ipywidgets", "jupyterlab"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{name} is installed: this shows nothing")

from dfaas_lab import Lab

if __name__ == "__main__":
    with Lab.local() as lab:
        lab.provision()
        run = lab.target.run_k6(load={"env": 5}, duration="1s")
    print(repr(run))
    assert run.summary["requests"].to_list() in ([5], [6]), run.summary
    assert Path("results").is_dir()
    run.chart().save("chart.png")
    print("measured", run.requests.height)
"""


def test_a_plain_script_measures_with_what_the_wheel_holds(wheel: Path, tmp_path: Path) -> None:
    python = _environment(wheel)
    script = tmp_path / "measure.py"
    script.write_text(SCRIPT)
    ended = _run(python, script, folder=tmp_path)
    assert "measured" in ended.stdout
    assert (tmp_path / "chart.png").stat().st_size > 1000


def test_the_wheel_holds_what_is_not_python(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    checkout = {
        f"dfaas_lab/playbooks/{path.relative_to(ROOT / 'playbooks')}"
        for path in (ROOT / "playbooks").rglob("*.*")
    }
    assert checkout
    assert checkout <= inside
    assert {"dfaas_lab/k6/on_generator/script.js", "dfaas_lab/py.typed"} <= inside
    assert not [name for name in inside if name.startswith("tests/")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


def _environment(wheel: Path) -> Path:
    """Return the Python of an environment with this wheel and the extra ``local``, nothing more."""
    asked = (ROOT / "pyproject.toml").read_bytes() + sys.version.encode()
    place = ROOT / ".cache" / "wheel-test" / hashlib.sha256(asked).hexdigest()[:16]
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        shutil.rmtree(place.parent, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        _pip(python, "install", f"{wheel}[local]")
        (place / "ready").touch()
    _pip(python, "install", "--no-deps", "--force-reinstall", str(wheel))
    return python


def _pip(python: str | Path, *arguments: str) -> None:
    _run(python, "-m", "pip", "--disable-pip-version-check", "-q", *arguments)


def _run(
    python: str | Path, *arguments: str | Path, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    ended = subprocess.run(
        [str(python), *map(str, arguments)],
        cwd=folder,
        env=clean,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended
