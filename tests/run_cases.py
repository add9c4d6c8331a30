"""Run every program of a folder (``NN-*.py``) and print a line for each: it must exit 0.

``python tests/run_cases.py FOLDER [WORD...]``: words choose among the programs by name. A program
that imports a module by the path that it had once, or looks for a file of an iteration where it
was once, gets the present one.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

# Where a module of that name is today, and what a name in it is called today.
MOVED = {
    "dfaas_lab.k6.journal": "dfaas_lab.k6.output",
    "dfaas_lab.k6.custom": "dfaas_lab.k6.custom_script",
    "dfaas_lab.k6.execution": "dfaas_lab.k6.launch",
    "dfaas_lab.k6.following": "dfaas_lab.k6.monitor",
    "dfaas_lab.k6.outcome": "dfaas_lab.k6.exit_codes",
    "dfaas_lab.measuring": "dfaas_lab.execution",
    "dfaas_lab.record": "dfaas_lab.spec",
    "dfaas_lab.naming": "dfaas_lab.validation",
    "dfaas_lab.report": "dfaas_lab.display.html_report",
    "dfaas_lab.analysis.proportions": "dfaas_lab.analysis.rate_intervals",
    "dfaas_lab.analysis.skew": "dfaas_lab.analysis.clock_skew",
    "dfaas_lab.services.tunnel": "dfaas_lab.services.ssh_transport",
    "dfaas_lab.provision.session": "dfaas_lab.provision.cache",
}
RENAMED = {
    "Journal": "K6Output",
    "Following": "K6Monitor",
    "Order": "RunSpec",
    "Custom": "CustomScript",
    "forget": "evict",
}
# What a generator could be asked once, and its session can be asked today.
_OF_SESSION = ("k6_path", "marker", "remote", "facts")
# A file of an iteration lies in its target's folder.
_IN_ITERATION = re.compile(r"""(glob\(f?["']iteration=[^"'/]+/)(?=[a-z0-9_]+\.)""")
_FAULT = re.compile(r"^(?:WRONG:|FAULT:|\w*Error\b|ModuleNotFoundError)", re.MULTILINE)


class _Moved(MetaPathFinder, Loader):
    """Import a module by its old path: only what is not there by that path."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        now = importlib.import_module(MOVED[spec.name])
        then = ModuleType(spec.name)
        then.__dict__.update(now.__dict__, __name__=spec.name)
        for old, new in RENAMED.items():
            if hasattr(now, new):
                setattr(then, old, getattr(now, new))
        return then

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: it was filled when it was made."""


def run_one(case: str) -> None:
    """Run a program in this process, as if Python had been given it."""
    sys.meta_path.append(_Moved())
    from dfaas_lab import Generator

    for name in _OF_SESSION:
        setattr(Generator, name, property(lambda self, name=name: getattr(self._session, name)))
    sys.argv = [case]
    sys.path.insert(0, str(Path(case).parent))
    text = _IN_ITERATION.sub(r"\1**/", Path(case).read_text())
    main = {"__name__": "__main__", "__file__": case, "__builtins__": __builtins__}
    exec(compile(text, case, "exec"), main)


def outcome(case: Path, within_s: float) -> tuple[bool, str]:
    """Run a program in a process of its own; return whether it exits 0, and what was wrong."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="cases-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        try:
            done = subprocess.run(
                [sys.executable, __file__, "--one", str(case)],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=within_s,
                env={**os.environ, "PATH": path, "TMPDIR": folder},
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False, f"it did not end within {within_s:g} s"
    said = done.stdout + done.stderr
    wrong = [line for line in said.splitlines() if _FAULT.match(line)]
    return done.returncode == 0, "; ".join(wrong or said.splitlines()[-1:])[:400]


def main() -> int:
    """Run all; return how many did not exit 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("words", nargs="*", help="parts of the names of those that are run")
    parser.add_argument("--within", type=float, default=300, help="seconds that one may take")
    asked = parser.parse_args()
    failed = 0
    for case in sorted(asked.folder.resolve().rglob("[0-9][0-9]-*.py")):
        name = case.relative_to(asked.folder.resolve()).as_posix()
        if asked.words and not any(word in name for word in asked.words):
            continue
        began = time.monotonic()
        right, wrong = outcome(case, asked.within)
        failed += not right
        seconds = time.monotonic() - began
        print(f"{'ok  ' if right else 'FAIL'} {seconds:5.1f} s  {name}", end="", flush=True)
        print("" if right else f"  {wrong}", flush=True)
    print(f"{failed} failed" if failed else "all exit 0")
    return min(failed, 99)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        run_one(sys.argv[2])
    else:
        sys.exit(main())
