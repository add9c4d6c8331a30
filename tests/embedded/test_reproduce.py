"""What a run was made with is stored, nothing secret is, and it is enough to run it again."""

from __future__ import annotations

import hashlib
import json
import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dfaas_lab import Function, Lab, Run, Target
from dfaas_lab.errors import ConfigError
from dfaas_lab.local import start
from dfaas_lab.store.provenance import git_state
from tests.embedded.ready import make_ready

SECRET = "s3cret-Zq9"
BODY = b"\x00\xffcaff\xc3\xa8"
SCRIPT = """
import http from "k6/http";
export const options = { vus: 1, iterations: 2 };
export default function () { http.get(`${__ENV.GATEWAY}/function/env`); }
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file in which the function ``keep`` notes what it was sent."""
    return tmp_path_factory.mktemp("kept") / "sums"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, kept: Path) -> Iterator[Lab]:
    keep = {"keep": ["/bin/sh", "-c", f"{{ env; sha256sum; }} >> '{kept}'"]}
    with Lab.local(targets=2, functions=keep, store=tmp_path_factory.mktemp("store")) as lab:
        make_ready(lab)
        yield lab


def _target(lab: Lab, *functions: Function, name: str = "mid", **given: object) -> Target:
    """Return a target that is measured like the lab's first, with functions of its own."""
    first = lab.targets["node1"]
    settings = {"auth": first._auth, "store": lab.store.root, **given}
    return Target(
        name, gateway=first.gateway, generator=first.generator, functions=functions, **settings
    )  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def asked() -> list[Function]:
    headers = {"X-Api-Key": SECRET, "X-Node": "b", "Content-Type": "text/plain"}
    keep = Function("keep", method="POST", body=BODY, headers=headers, safe_headers=["X-Node"])
    return [keep, Function("env", path=f"?x=1&token={SECRET}")]


@pytest.fixture(scope="module")
def run(lab: Lab, asked: list[Function]) -> Run:
    target = _target(lab, *asked)
    load = {"keep": 2, "env": 3}
    return target.run_k6(2, load=load, duration="1s", rest="10ms", label="once", progress=False)


def _order(run: Run) -> dict[str, object]:
    order: dict[str, object] = next(iter(run.provenance["orders"].values()))
    varying = ("workspaces", "gateway", "generator")
    return {key: value for key, value in order.items() if key not in varying}


def test_a_run_says_what_it_was_made_with(lab: Lab, run: Run) -> None:
    made = run.provenance["provenance"]
    generator = made["generators"]["local"]
    assert generator["k6_version"] == "1.1.0"
    assert generator["playbook_digest"] == lab.generator._session.marker().playbook_digest
    for name in ("cpu_model", "cores", "memory_bytes", "kernel", "system"):
        assert generator[name], name
    target = made["targets"]["mid"]
    assert target["functions"]["env"]["image"] == "env"
    assert target["version"]["provider"]
    assert "problem" not in {**generator, **target}
    assert made["libraries"]["polars"]
    here = git_state(Path.cwd())  # None where the tests come from an archive
    assert here is None or made["git"].keys() == here.keys()
    assert here is None or len(made["git"]["commit"]) >= 40
    assert made["dfaas_lab"]
    skew = run.provenance["clock_skew"]["mid"]
    assert abs(skew["seconds"]) <= skew["uncertainty_s"] + 0.1  # one machine, one clock
    assert json.loads((run.path / "manifest.json").read_text())["clock_skew"]["mid"] == skew


def test_what_was_sent_is_there_each_body_once(run: Run) -> None:
    names = {path.name for path in run.path.iterdir() if path.is_file()}
    stored = [path.read_bytes() for path in run.path.glob("body-*")]
    assert stored == [BODY]
    assert {"plan.json", "script.js", "manifest.json"} <= names
    plan = json.loads((run.path / "plan.json").read_text())
    headers = plan["requests"]["f0"]["headers"]
    assert headers == {"X-Api-Key": "***", "X-Node": "b", "Content-Type": "text/plain"}


def test_nothing_secret_is_stored(lab: Lab, run: Run, tmp_path: Path) -> None:
    password = lab.targets["node1"]._auth[1]  # type: ignore[index]
    run.save(tmp_path / "run.zip")
    loaded = Run.load(tmp_path / "run.zip")
    for folder in (lab.store.root, loaded.path):
        for file in folder.rglob("*"):
            content = file.read_bytes() if file.is_file() else b""
            assert SECRET.encode() not in content, file
            assert password.encode() not in content, file


def test_a_run_is_reproduced_from_its_archive(
    lab: Lab, run: Run, asked: list[Function], kept: Path, tmp_path: Path
) -> None:
    archived = Run.load(run.save(tmp_path / "run.zip"))
    keep = Function("keep", method="GET", headers={"x-api-key": SECRET})
    other = Function("env", path=asked[1].path, timeout="1s")
    target = _target(lab, keep, other, Function("figlet"), name="another")
    kept.unlink(missing_ok=True)
    again = archived.reproduce(target, progress=False)
    assert (again.status, again.label) == ("ok", "once")
    assert _order(again) == _order(run)  # also plan_digest: equal ones measure the same
    pairs = again.summary.select("iteration", "function").rows()
    assert pairs == run.summary.select("iteration", "function").rows()
    got = kept.read_text()
    sums = [line.split()[0] for line in got.splitlines() if line.endswith("  -")]
    assert set(sums) == {hashlib.sha256(BODY).hexdigest()}
    assert f"Http_X_Api_Key={SECRET}" in got
    assert target.functions[0] is keep  # the target is as it was
    assert target.last_run is not None
    assert target.last_run.id == again.id
    told = Run.load(again.path).provenance["reproduces"]
    assert told == {"run_id": run.id, "differences": []}


def test_what_is_not_stored_must_be_given(lab: Lab, run: Run, asked: list[Function]) -> None:
    before = lab.store.run_ids()
    target = _target(lab, Function("keep", headers={"X-Node": "c"}), Function("env"))
    with pytest.raises(ConfigError, match="header X-Api-Key of keep") as caught:
        run.reproduce(target, progress=False)
    assert "path ?x=1&token=*** of env" in caught.value.message
    assert caught.value.hint
    assert lab.store.run_ids() == before


def test_what_is_different_is_told(
    lab: Lab, run: Run, asked: list[Function], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    older = Run.load(run.save(tmp_path / "run.zip"))
    made = json.loads((older.path / "manifest.json").read_text())
    made["provenance"]["generators"]["local"]["k6_version"] = "1.0.0"
    made["provenance"]["targets"]["mid"]["functions"]["env"]["image"] = "env:before"
    (older.path / "manifest.json").write_text(json.dumps(made))
    with caplog.at_level(logging.WARNING, "dfaas_lab"):
        again = older.reproduce(_target(lab, *asked), progress=False)
    assert Run.load(again.path).provenance["reproduces"]["differences"] == [
        {"what": "generator's k6_version", "then": "1.0.0", "now": "1.1.0"},
        {"what": "image of env", "then": "env:before", "now": "env"},
    ]
    assert "generator's k6_version: 1.0.0 then, 1.1.0 now" in caplog.text


def test_a_strange_manifest_costs_no_run(
    lab: Lab, run: Run, asked: list[Function], tmp_path: Path
) -> None:
    strange = Run.load(run.save(tmp_path / "run.zip"))
    said = json.loads((strange.path / "manifest.json").read_text()) | {"provenance": [1, "?"]}
    (strange.path / "manifest.json").write_text(json.dumps(said))
    again = strange.reproduce(_target(lab, *asked), progress=False)
    assert again.status == "ok"
    assert Run.load(again.path).provenance["reproduces"]["differences"] == []


def test_a_script_from_an_archive_runs_only_when_it_is_trusted(
    lab: Lab, asked: list[Function], tmp_path: Path
) -> None:
    target = lab.targets["node1"]
    script = tmp_path / "mine.js"
    script.write_text(SCRIPT)
    env = {"GATEWAY": target.gateway, "API": SECRET}
    run = target.run_k6(script=script, env=env, progress=False)
    archived = Run.load(run.save(tmp_path / "run.zip"))
    before = lab.store.run_ids()
    with pytest.raises(ConfigError, match="archive") as caught:
        archived.reproduce(target, env=env, progress=False)
    assert "trust_script=True" in caught.value.hint
    with pytest.raises(ConfigError, match="API, GATEWAY"):
        archived.reproduce(target, trust_script=True, progress=False)
    assert lab.store.run_ids() == before
    for one, trust in ((archived, True), (run, False)):  # one's own store is one's own
        again = one.reproduce(target, trust_script=trust, env=env, progress=False)
        assert again.requests.height == 2
        assert _order(again)["plan_digest"] == _order(run)["plan_digest"]
    for file in lab.store.root.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()


def test_a_gateway_that_tells_nothing_ends_no_run(lab: Lab) -> None:
    stranger = _target(lab, Function("env"), auth=None)
    run = stranger.run_k6(load=3, duration="1s", progress=False)
    assert run.status == "ok"
    assert "401" in run.provenance["provenance"]["targets"]["mid"]["problem"]


def test_a_target_with_a_host_tells_of_it(lab: Lab) -> None:
    host = lab.generator.host
    for known, asked in ((True, host), (False, replace(host, port=_closed_port()))):
        target = _target(lab, Function("env"), host=asked)
        run = target.run_k6(load=3, duration="1s", progress=False)
        assert run.status == "ok"
        told = run.provenance["provenance"]["targets"]["mid"]["host"]
        assert ("cores" in told, "problem" in told) == (known, not known)


def test_a_gateways_clock_is_compared_with_the_generators(tmp_path: Path) -> None:
    with start(clock_skew_s=30.0) as local:
        file = tmp_path / "lab.json"
        file.write_text(json.dumps({**local.facts(), "store": str(tmp_path / "results")}))
        with Lab.from_file(file) as lab:
            make_ready(lab)
            run = lab.target.run_k6(load={"env": 10}, duration="1s", progress=False)
    skew = json.loads((run.path / "manifest.json").read_text())["clock_skew"]["node1"]
    assert abs(skew["seconds"] - 30) <= skew["uncertainty_s"] + 0.1
    assert "clock" in str(run.verdict)


def _closed_port() -> int:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return int(closed.getsockname()[1])


def test_one_part_of_a_run_of_several_targets(lab: Lab) -> None:
    both = lab.run_k6(load={"env": 2}, duration="1s", progress=False)
    with pytest.raises(ConfigError, match="node1"):
        both.reproduce(_target(lab, Function("env")), progress=False)
    again = both.reproduce(_target(lab, Function("env")), part="node2", progress=False)
    assert again.provenance["targets"] == ["mid"]
    assert _order(again)["load"] == {"env": 2.0}
