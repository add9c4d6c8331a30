"""The provenance of a run (versions, commit, machine), and manifests without secrets."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
from collections.abc import Collection, Mapping
from importlib import metadata
from pathlib import Path

from dfaas_lab.redaction import masked, names_a_secret, redacted
from dfaas_lab.secret import HIDDEN

LIBRARIES = (
    "altair",
    "ansible-core",
    "ansible-runner",
    "fabric",
    "httpx",
    "numpy",
    "paramiko",
    "polars",
    "pydantic",
)
# Mappings by the name of a function or a host, which may be called "auth" or "token".
_BY_NAME = frozenset(
    (
        "clock_skew",
        "functions",
        "generators",
        "load",
        "orders",
        "targets",
        "thresholds",
        "workspaces",
    )
)
# In a manifest, the path of a key, and how something ended.
_PLAIN = ("key", "code")
_NEW_CODE = (
    "ls-files", "--others", "--exclude-standard", "--", ":(glob)*.ipynb", ":(glob)*.py",
)  # fmt: skip
_GIT_TIMEOUT_S = 10


def provenance(seed: int | None) -> dict[str, object]:
    """Return what this process knows of a run, ready for JSON.

    ``git`` is the commit of the working directory, which is the notebook's folder; ``seed`` that of
    whatever was drawn at random.
    """
    return {
        "dfaas_lab": _version("dfaas-lab"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "git": git_state(Path.cwd()),
        "seed": seed,
    }


def git_state(folder: Path) -> dict[str, object] | None:
    """Return the ``commit`` of a folder and whether it is ``dirty``; None where there is no git.

    Dirty means that a tracked file is changed, or that a notebook or script in the folder itself is
    in no commit; the results themselves do not count.
    """
    said = _git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    lines = (said or "").splitlines()
    commit = next((line.split()[2] for line in lines if line.startswith("# branch.oid ")), None)
    if commit is None or commit == "(initial)":
        return None
    changed = not all(line.startswith("#") for line in lines)
    return {"commit": commit, "dirty": changed or bool(_git(folder, *_NEW_CODE))}


def without_secrets(value: object) -> object:
    """Return a value of mappings, lists and scalars without passwords, tokens and header values.

    Of ``headers``, those show their values that are known to be plain, or are named in
    ``safe_headers`` beside them.

    >>> without_secrets({"url": "http://admin:pw@host/x", "auth": ["admin", "pw"]})
    {'url': 'http://***@host/x', 'auth': '***'}
    """
    if isinstance(value, Mapping):
        safe = value.get("safe_headers") or ()
        return {str(name): _entry(str(name), entry, safe) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(entry) for entry in value]
    if isinstance(value, str):
        return masked(value)
    return value


def _entry(name: str, entry: object, safe: Collection[str]) -> object:
    if isinstance(entry, Mapping) and name.casefold() == "headers":
        return redacted({str(key): str(value) for key, value in entry.items()}, safe)
    if isinstance(entry, Mapping) and name in _BY_NAME:
        return {str(key): without_secrets(value) for key, value in entry.items()}
    if name not in _PLAIN and names_a_secret(name) and entry not in (None, "", True, False):
        return HIDDEN
    return without_secrets(entry)


@functools.cache  # it reads a file, and what is imported stays as it is
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    # A folder's own configuration may name programs: none of them runs.
    command = [git, "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_TIMEOUT_S,
            check=False,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
