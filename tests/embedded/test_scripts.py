"""k6 scripts of the user's own, with the same guarantees as a load."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab import Lab, Limits
from dfaas_lab.errors import ConfigError, K6ScriptError, K6TimedOut
from dfaas_lab.k6.custom_script import CustomScript

SCRIPT = """
import http from "k6/http";
import { check } from "k6";
import { Counter } from "k6/metrics";
import { step } from "./lib/step.js";
const words = JSON.parse(open("./words.json"));
const spoken = new Counter("spoken");
export const options = { scenarios: {
  one: { executor: "per-vu-iterations", vus: 1, iterations: 5, maxDuration: "20s" },
  two: { executor: "shared-iterations", vus: 2, iterations: 4, maxDuration: "20s" },
} };
export function setup() { http.get(`${__ENV.GATEWAY}/function/env`); }
export default function () {
  spoken.add(step);
  const answer = http.post(`${__ENV.GATEWAY}/function/echo`, words[0]);
  http.get(`${__ENV.GATEWAY}/function/env`);
  check(answer, { "it echoes": (r) => r.body === words[0] });
  check(null, { "the secret arrives": () => __ENV.SECRET === "it's $HOME" });
}
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "step.js").write_text("export const step = 2;")
    (tmp_path / "words.json").write_text('["h\\u00e9 \'\\" ${x}"]')
    (tmp_path / "my test.js").write_text(SCRIPT)
    return tmp_path / "my test.js"


def _env(lab: Lab) -> dict[str, str]:
    own = {"SECRET": "it's $HOME", "TOKEN": "nobody-reads-me", "id": "mine", "PATH": "/none"}
    return {"GATEWAY": lab.target.gateway, **own}


def _left(lab: Lab) -> list[Path]:
    return [path for path in Path(lab.generator.workspace_root).iterdir() if path.is_dir()]


def test_any_script_gives_the_frames_that_its_metrics_allow(lab: Lab, script: Path) -> None:
    run = lab.target.run_k6(2, script=script, env=_env(lab), progress=False)
    assert run.status == "ok"
    busy = ("CPU", "blocked")  # of this machine
    assert [d for d in run.verdict.doubts if not any(word in d.what for word in busy)] == []
    counts = run.summary.select("iteration", "function", "requests", "rate_rps", "unfinished")
    assert sorted(counts.rows()) == [
        (1, "one", 10, None, None),
        (1, "setup", 1, None, None),
        (1, "two", 8, None, None),
        (2, "one", 10, None, None),
        (2, "setup", 1, None, None),
        (2, "two", 8, None, None),
    ]
    assert run.requests.height == 38
    first = run.k6_metrics.filter(pl.col("iteration") == 1)
    spoken = first.filter(pl.col("metric") == "spoken")
    assert dict(spoken.select("scenario", "sum").rows()) == {"one": 10.0, "two": 8.0}
    checks = first.filter(pl.col("metric") == "checks")
    assert set(checks["check"]) == {"it echoes", "the secret arrives"}
    assert set(checks["mean"]) == {1.0}
    assert repr(run)
    assert run.chart().to_dict()
    assert _left(lab) == []


def test_what_is_stored_of_a_script_runs_again_and_holds_no_secret(lab: Lab, script: Path) -> None:
    run = lab.target.run_k6(script=script, env=_env(lab), progress=False)
    everything = b"".join(file.read_bytes() for file in run.path.rglob("*") if file.is_file())
    assert b"nobody-reads-me" not in everything
    again = CustomScript.from_stored((run.path / "script.json").read_bytes(), _env(lab))
    assert again.digest == run.provenance["orders"][lab.target.name]["plan_digest"]
    assert lab.target.run_k6(script=again, progress=False).requests.height == 19


def test_an_archive_of_k6_is_a_script_too(lab: Lab, script: Path, tmp_path: Path) -> None:
    k6 = lab.generator._session.k6_path()
    archive = tmp_path / "packed.tar"
    done = subprocess.run(
        [k6, "archive", "-O", str(archive), str(script)],
        env={"GATEWAY": "x", "HOME": str(tmp_path)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "lib")
    run = lab.target.run_k6(script=archive, env=_env(lab), progress=False)
    assert run.requests.height == 19


def test_a_detached_script_is_brought_home(lab: Lab, script: Path) -> None:
    handle = lab.target.start_k6(2, script=script, env=_env(lab), detach=True)
    run = lab.attach(handle.run.id, progress=False)
    assert run.status == "ok"
    assert run.requests.height == 38


def test_its_time_limit_follows_from_what_k6_says_of_it(lab: Lab, script: Path) -> None:
    run = lab.target.run_k6(script=script, env=_env(lab), progress=False)
    order = run.provenance["orders"][lab.target.name]
    # 20 s and k6's graceful stop of 30 s, a minute each for setup and teardown, 20 s to start
    assert order["limit_s"] == 20 + 30 + 60 + 60 + 20


def test_a_script_that_takes_too_long_leaves_what_it_measured(lab: Lab, tmp_path: Path) -> None:
    slow = tmp_path / "slow.js"
    slow.write_text(
        'import http from "k6/http"; import { sleep } from "k6";'
        'export const options = { vus: 1, duration: "60s" };'
        "export default function () { http.get(`${__ENV.G}/function/env`); sleep(0.2); }"
    )
    with pytest.raises(K6TimedOut) as late:
        lab.target.run_k6(
            script=slow,
            env={"G": lab.target.gateway},
            limits=Limits(timeout="3s"),
            progress=False,
        )
    assert late.value.run is not None
    assert late.value.run.requests.height > 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("export default function ( {", "Unexpected|SyntaxError"),
        ('import x from "./nowhere.js"; export default function () {}', "nowhere"),
        ('throw new Error("not today"); export default function () {}', "not today"),
    ],
)
def test_what_k6_refuses_is_told_before_anything_runs(
    lab: Lab, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "bad.js").write_text(text)
    before = lab.store.run_ids(), _left(lab)
    with pytest.raises(K6ScriptError, match=said):
        lab.target.run_k6(script=tmp_path / "bad.js", progress=False)
    assert (lab.store.run_ids(), _left(lab)) == before


def test_a_script_that_fails_while_it_runs_says_why(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "late.js").write_text(
        'import exec from "k6/execution"; export default function () { exec.test.abort("enough"); }'
    )
    with pytest.raises(K6ScriptError, match="enough") as failed:
        lab.target.run_k6(script=tmp_path / "late.js", progress=False)
    assert failed.value.exit_code == 108
    assert failed.value.run is not None
    assert failed.value.run.status == "failed"


@pytest.mark.parametrize(
    "asked",
    [
        {"env": {"K6_VUS": "9"}},
        {"env": {"a b": "9"}},
        {"env": {"A": "\0"}},
        {"load": 5},
        {"duration": "5s"},
        {"warmup": "5s"},
        {"thresholds": {"env": "p(95)<1"}},
        {"script": "nowhere.js"},
    ],
    ids=str,
)
def test_what_does_not_go_with_a_script_is_refused(
    lab: Lab, script: Path, asked: dict[str, object]
) -> None:
    before = lab.store.run_ids()
    with pytest.raises(ConfigError) as refused:
        lab.target.run_k6(**({"script": script, "progress": False} | asked))  # type: ignore[arg-type]
    assert refused.value.hint
    assert lab.store.run_ids() == before


def test_an_environment_without_a_script_is_refused(lab: Lab) -> None:
    with pytest.raises(ConfigError, match="script of your own"):
        lab.target.run_k6(env={"A": "1"}, progress=False)
