"""Sessions other than this one: a Python process that provisions, as another kernel does."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

from dfaas_lab.provision.spec import GeneratorSpec

_SESSION = """
import pickle
import sys
from dfaas_lab.background import run_interruptible
from dfaas_lab.provision.provision import provision
spec = pickle.loads({spec!r})
try:
    report = run_interruptible(lambda told, cancel: provision([spec], progress=told, cancel=cancel))
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(3)
print("cached" if report.cached else "ran", report.changed, flush=True)
"""


def new_session(spec: GeneratorSpec, **env: str) -> subprocess.Popen[str]:
    """Start a session that provisions; no virtual environment is on its PATH.

    Args:
        spec: What it provisions.
        env: More of its environment.
    """
    return subprocess.Popen(
        [sys.executable, "-c", _SESSION.format(spec=pickle.dumps(spec))],
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": os.environ["HOME"],
            "PYTHONPATH": str(Path(__file__).parents[1]),
            **env,
        },
        cwd="/",
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def outcome(session: subprocess.Popen[str], timeout: float = 120.0) -> str:
    """Wait for a session and return what it said: ``ran N``, ``cached 0`` or ``interrupted``."""
    stdout, stderr = session.communicate(timeout=timeout)
    assert stdout.strip(), stderr
    return stdout.strip()
