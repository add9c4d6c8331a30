"""What a run was made with is written down, and nothing secret."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab.redaction import redacted
from dfaas_lab.store import Store, provenance
from dfaas_lab.store.provenance import git_state, without_secrets

SECRET = "s3cr3t-Zq9"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "notebook.ipynb").write_text("{}")
    git(tmp_path, "add", "notebook.ipynb")
    git(tmp_path, "commit", "-q", "-m", "First")
    return tmp_path


def test_the_versions_and_the_commit_are_written_down(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    got = provenance(7)
    assert got["libraries"]["polars"] == pl.__version__
    assert got["git"] == {"commit": git(repository, "rev-parse", "HEAD"), "dirty": False}
    assert got["seed"] == 7
    assert json.loads(json.dumps(got)) == got


def test_a_changed_notebook_is_dirty_and_results_are_not(repository: Path) -> None:
    (repository / "results").mkdir()
    (repository / "results" / "x").write_text("new")
    assert git_state(repository)["dirty"] is False
    (repository / "notebook.ipynb").write_text("{ }")
    assert git_state(repository)["dirty"] is True


@pytest.mark.parametrize("name", ["other.ipynb", "analysis.py"])
def test_code_that_is_in_no_commit_is_dirty(repository: Path, name: str) -> None:
    (repository / "results" / "deep").mkdir(parents=True)
    (repository / "results" / "deep" / name).write_text("a copy among results")
    assert git_state(repository)["dirty"] is False
    (repository / name).write_text("new")
    assert git_state(repository)["dirty"] is True
    (repository / ".gitignore").write_text(name)
    assert git_state(repository)["dirty"] is False


def test_no_repository_is_no_error(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    assert git_state(tmp_path / "none") is None
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) is None  # no commit yet


def test_a_repository_from_a_stranger_runs_nothing(repository: Path) -> None:
    ran = repository / "ran"
    git(repository, "config", "core.fsmonitor", f"touch {ran}; false")
    git_state(repository)
    assert not ran.exists()


def test_header_values_are_hidden_unless_named_safe() -> None:
    headers = {"X-Api": SECRET, "content-type": "text/plain", "X-Node": "b"}
    assert redacted(headers, safe=["x-node"]) == {
        "X-Api": "***", "content-type": "text/plain", "X-Node": "b",
    }  # fmt: skip


@pytest.mark.parametrize(
    "secret",
    [
        {"password": SECRET},
        {"deep": [{"become_password": SECRET}]},
        {"Authorization": f"Basic {SECRET}"},
        {"auth": ("admin", SECRET)},
        {"api_key": SECRET},
        {"headers": {"X-Anything": SECRET}},
        {"gateway": f"http://admin:{SECRET}@10.0.0.60:31112"},
        {"note": f"see https://{SECRET}@example.org/x and more"},
        {"cookie": {"session": SECRET}},
        {"path": f"?x=1&access_token={SECRET}"},
        {"url": f"http://10.0.0.60/function/env?api_key={SECRET}#top"},
    ],
)
def test_nothing_secret_reaches_the_disk(tmp_path: Path, secret: dict[str, object]) -> None:
    run = Store(tmp_path).create_run("run-1", {"one": secret})
    run.update(provenance=provenance(7) | {"given": secret}, **secret)
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or SECRET not in file.read_text()


def test_headers_that_are_named_safe_keep_their_values() -> None:
    said = {"headers": {"X-Node": "b", "X-Api": SECRET}, "safe_headers": ["x-node"]}
    assert without_secrets(said) == said | {"headers": {"X-Node": "b", "X-Api": "***"}}
    never = {"headers": {"Authorization": SECRET}, "safe_headers": ["Authorization"]}
    assert SECRET not in str(without_secrets(never))


def test_a_function_may_be_called_like_a_secret() -> None:
    orders = {"token": {"load": {"auth": 50.0}, "thresholds": {"auth": "p(95)<200"}}}
    assert without_secrets({"orders": orders}) == {"orders": orders}


def test_what_is_no_secret_stays() -> None:
    plain = {
        "url": "http://10.0.0.60:31112/function/figlet?x=a@b",
        "key": "~/.ssh/id_ed25519",
        "rates": {"figlet": 50},
        "password": None,
        "mail": "a@example.org",
    }
    assert without_secrets(plain) == plain
