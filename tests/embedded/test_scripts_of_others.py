"""Scripts as people write them: nothing that they say is lost, nothing secret is kept."""

from __future__ import annotations

import base64
import json
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab import Lab, Run
from dfaas_lab.errors import ConfigError, K6Error, K6ScriptError
from dfaas_lab.provision.local_k6 import local_k6
from tests.embedded.ready import make_ready

TOKEN = 'xyzzy "4711" plugh'
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n-----END KEY-----"
FORBIDDEN = (b"xyzzy", b"MIIEvQ", base64.b64encode(b"me:" + TOKEN.encode())[4:-4])

SCRIPT = """
import encoding from "k6/encoding";
import exec from "k6/execution";
import http from "k6/http";
import { check, group } from "k6";
import { Counter } from "k6/metrics";
import { SharedArray } from "k6/data";
if (!__ENV.API_TOKEN) throw new Error("Missing environment variable API_TOKEN");
console.log("config: " + JSON.stringify({ token: __ENV.API_TOKEN, key: __ENV.KEY }));
const NAMES = "data/names.json";
const rows = new SharedArray("rows",
  () => JSON.parse(open(import.meta.resolve("./data/rows.json"))));
const names = JSON.parse(open(NAMES));
const more = open(["more", "words [1].txt"].join("/"));
const spoken = new Counter("spoken");
export const options = {
  scenarios: { trace: { executor: "shared-iterations", vus: 1, iterations: 6 } },
  summaryTrendStats: ["med", "p(99.9)"],
  thresholds: { [`http_req_duration{url:${__ENV.K6_GATEWAY}/function/env}`]: ["p(95)<0.0001"] },
};
export default function () {
  exec.vu.metrics.tags.stage = `stage-${exec.scenario.iterationInTest % 3}`;
  spoken.add(1, { word: names[0] });
  http.get(`${__ENV.K6_GATEWAY}/function/env`, { tags: { who: __ENV.API_TOKEN } });
  const basic = `Basic ${encoding.b64encode(`me:${__ENV.API_TOKEN}`)}`;
  group("buy", () => {
    const answer = http.post(`${__ENV.K6_GATEWAY}/function/echo`, JSON.stringify(rows[0]),
      { headers: { Authorization: basic }, tags: { name: "echo it" } });
    check(answer, { "it echoes": (r) => r.status === 200 });
  });
  console.error(basic);
  console.warn(__ENV.KEY.split("\\n")[1]);
  if (exec.scenario.iterationInTest === 1) exec.test.fail("not good enough");
}
export function handleSummary(data) {
  const report = `<b>${__ENV.API_TOKEN}</b> quokka`;
  return { "report.html": report, "samples.csv": "quokka", "journal": "quokka", "env": "quokka",
    "out/data [1].json": JSON.stringify(data), "../exit": "quokka",
    stdout: `${__ENV.API_TOKEN} is said\\n` };
}
"""
NO_HTTP = """
import { check } from "k6";
export const options = { vus: 2, iterations: 4 };
export default function () { check(1, { "it is one": (n) => n === 1 }); }
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab.local(store=tmp_path_factory.mktemp("thesis [2026]") / "results") as lab:
        make_ready(lab)
        yield lab


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scripts [1]")
    for name, text in (("data/rows.json", '[{"id": 1}]'), ("data/names.json", '["hello"]'),
                       ("more/words [1].txt", "words")):  # fmt: skip
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "test.js").write_text(SCRIPT)
    (folder / "no-http.js").write_text(NO_HTTP)
    return folder / "test.js"


def _k6(lab: Lab) -> str:
    return lab.generator._session.k6_path()


def env_of(lab: Lab) -> dict[str, str]:
    return {"API_TOKEN": TOKEN, "KEY": KEY, "K6_GATEWAY": lab.target.gateway}


def everything(run: Run) -> bytes:
    """All that is stored of a run, also inside of base64."""
    found = b"".join(file.read_bytes() for file in run.path.rglob("*") if file.is_file())
    for file in run.path.glob("script*.json"):
        sources = json.loads(file.read_text())["sources"].values()
        found += b"".join(base64.b64decode(text) for text in sources)
    return found


@pytest.fixture(scope="module")
def measured(lab: Lab, script: Path) -> tuple[Run, list[str]]:
    lines: list[str] = []
    run = lab.target.run_k6(
        2, script=script, env=env_of(lab), files=["more"], live=lines.append, progress=False
    )
    return run, lines


def test_a_test_that_fails_itself_is_whole(measured: tuple[Run, list[str]]) -> None:
    run, _ = measured
    assert run.status == "slo_failed", "also for the threshold on a tag which only k6's default has"
    assert run.summary["iteration"].unique().sort().to_list() == [1, 2]
    assert run.requests.height == 2 * 12
    assert not [doubt for doubt in run.verdict.doubts if doubt.what.startswith("iterations")]


def test_tags_names_and_groups_are_columns(measured: tuple[Run, list[str]]) -> None:
    requests = measured[0].requests.filter(iteration=1)
    stage = pl.col("tags").str.json_path_match("$.stage").alias("stage")
    assert sorted(requests.group_by(stage).len().rows()) == [(f"stage-{n}", 4) for n in range(3)]
    told = requests.select("name", "method", "group").unique().rows()
    gateway = measured[0].provenance["orders"]
    assert ("echo it", "POST", "::buy") in told
    assert any(name.endswith("/function/env") and method == "GET" for name, method, _ in told)
    assert gateway
    spoken = measured[0].k6_metrics.filter(metric="spoken", iteration=1)
    assert spoken["sum"].sum() == 6
    assert {json.loads(tags)["word"] for tags in spoken["tags"]} == {"hello"}
    assert set(measured[0].k6_metrics.filter(metric="checks")["group"]) == {"::buy"}


def test_what_a_script_writes_is_kept_beside_ours(
    measured: tuple[Run, list[str]], tmp_path: Path
) -> None:
    run, _ = measured
    files = run.files.filter(iteration=1)
    names = ["../exit", "env", "journal", "out/data [1].json", "report.html", "samples.csv"]
    assert files["name"].sort().to_list() == names
    paths = {row["name"]: Path(row["path"]) for row in files.iter_rows(named=True)}
    assert paths["report.html"].read_text() == "<b>***</b> quokka"
    summary = json.loads(paths["out/data [1].json"].read_text())
    asked = summary["metrics"]["iteration_duration"]["values"]
    assert set(asked) == {"med", "p(99.9)"}, "the script's own statistics"
    assert (
        Run.load(run.save(tmp_path / "run.zip")).files["name"].to_list()
        == run.files["name"].to_list()
    )


def test_no_secret_is_stored_sent_away_or_shown(
    measured: tuple[Run, list[str]], tmp_path: Path
) -> None:
    run, lines = measured
    with zipfile.ZipFile(run.save(tmp_path / "run.zip")) as archive:
        packed = b"".join(map(archive.read, archive.namelist()))
    for where in (everything(run), packed, "\n".join(lines).encode(), repr(run).encode()):
        assert not [word for word in FORBIDDEN if word in where]
    assert any("config: " in line and "***" in line for line in lines)
    who = run.requests["tags"].str.json_path_match("$.who").drop_nulls()
    assert set(who) == {"***"}


def test_a_detached_one_is_the_same_from_another_process(
    lab: Lab, script: Path, caplog: pytest.LogCaptureFixture
) -> None:
    handle = lab.target.start_k6(2, script=script, env=env_of(lab), files=["more"], detach=True)
    caplog.set_level(logging.DEBUG)
    run = lab.attach(handle.run.id, progress=False)  # knows nothing of the environment
    assert run.status == "slo_failed"
    assert run.requests.height == 2 * 12
    assert run.files.height == 2 * 6
    for where in (everything(run), caplog.text.encode()):
        assert not [word for word in FORBIDDEN if word in where]


def test_a_script_without_http_is_a_complete_run(lab: Lab, script: Path) -> None:
    run = lab.target.run_k6(2, script=script.with_name("no-http.js"), progress=False)
    assert run.status == "ok"
    assert run.k6_metrics.filter(metric="checks")["samples"].to_list() == [4, 4]
    assert not [doubt for doubt in run.verdict.doubts if doubt.what.startswith("iterations")]
    assert repr(run)
    assert run.chart().to_dict()
    assert run.statistics().is_empty()


def test_a_file_that_is_not_sent_is_named_before_the_run(lab: Lab, script: Path) -> None:
    before = lab.store.run_ids()
    with pytest.raises(K6ScriptError) as refused:
        lab.target.run_k6(script=script, env=env_of(lab), progress=False)
    assert "files=['more/words [1].txt']" in refused.value.hint
    assert lab.store.run_ids() == before


def test_an_error_of_the_script_holds_no_secret(lab: Lab, tmp_path: Path) -> None:
    end = "export default function () {}"
    for where in ("throw new Error(__ENV.API_TOKEN);" + end,
                  "export default function () { throw new Error(__ENV.API_TOKEN); }"
                  "export function setup() { throw new Error(__ENV.API_TOKEN); }"):  # fmt: skip
        (tmp_path / "bad.js").write_text(where)
        with pytest.raises(K6Error) as failed:
            lab.target.run_k6(script=tmp_path / "bad.js", env=env_of(lab), progress=False)
        assert "***" in str(failed.value)
        assert "xyzzy" not in f"{failed.value} {failed.value.log_tail} {failed.value.__dict__}"


def test_an_archive_is_kept_without_its_environment(lab: Lab, script: Path, tmp_path: Path) -> None:
    archive = tmp_path / "packed.tar"
    plain = tmp_path / "plain"  # k6 itself resolves no name below a folder with brackets
    shutil.copytree(script.parent, plain)
    given = [word for name, value in env_of(lab).items() for word in ("-e", f"{name}={value}")]
    done = subprocess.run(
        [
            lab.generator._session.k6_path(),
            "archive",
            *given,
            "-O",
            str(archive),
            str(plain / script.name),
        ],
        env={"HOME": str(tmp_path)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"xyzzy" in archive.read_bytes(), "k6 writes its environment down"
    run = lab.target.run_k6(script=archive, progress=False)
    assert run.requests.height == 12
    assert not [word for word in FORBIDDEN if word in everything(run)]
    with pytest.raises(ConfigError, match="API_TOKEN"):
        run.reproduce(lab.target, progress=False)
    tarfile.open(run.path / "script.tar").close()


def test_a_run_that_a_threshold_ends_is_doubtful(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "abort.js").write_text(
        'import http from "k6/http"; import { sleep } from "k6";'
        'export const options = { vus: 1, duration: "20s", thresholds: { http_reqs: '
        '[{ threshold: "count<2", abortOnFail: true }] } };'
        "export default function () { http.get(`${__ENV.G}/function/env`); sleep(0.2); }"
    )
    run = lab.target.run_k6(
        script=tmp_path / "abort.js", env={"G": lab.target.gateway}, progress=False
    )
    assert run.status == "slo_failed"
    assert "of 20s" in str(run.verdict)


def test_an_exit_code_that_nobody_knows_loses_nothing(lab: Lab, script: Path) -> None:
    k6 = Path(_k6(lab))
    real = shutil.copy(k6.resolve(), k6.resolve().with_name("k6-real"))
    original = k6.resolve()
    moved = original.rename(original.with_name("k6-kept"))
    try:
        original.write_text(
            f'#!/bin/sh\n"{real}" "$@"\ncode=$?\n[ "$1" != run ] || exit 57\nexit $code\n'
        )
        original.chmod(0o755)
        with pytest.raises(K6Error) as odd:
            lab.target.run_k6(2, script=script, env=env_of(lab), files=["more"], progress=False)
        assert odd.value.exit_code == 57
        assert odd.value.run is not None
        assert odd.value.run.requests.height == 12
        assert odd.value.run.files.height == 6
    finally:
        moved.replace(original)
        Path(real).unlink()


def test_all_programs_of_a_folder_are_run_and_told(tmp_path: Path) -> None:
    (tmp_path / "01-right.py").write_text("from dfaas_lab.k6.journal import Journal")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "02-wrong.py").write_text(
        "print('WRONG: it is late'); raise SystemExit(1)"
    )
    runner = Path(__file__).parents[1] / "run_cases.py"
    done = subprocess.run(
        [sys.executable, str(runner), str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False, env=os.environ,
    )  # fmt: skip
    first, second, last = done.stdout.splitlines()
    assert first.startswith("ok")
    assert second.startswith("FAIL")
    assert second.endswith("deep/02-wrong.py  WRONG: it is late")
    assert (done.returncode, last) == (1, "1 failed")


@pytest.mark.slow
def test_k6_v2_is_provisioned_checked_and_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Path
) -> None:
    own = local_k6()
    assert own is not None
    fake = tmp_path / "k6"
    version = "k6 v2.2.0 (commit/1a2b3c, go1.25.0, linux/amd64)"
    fake.write_text(
        f'#!/bin/sh\n[ "$1" != version ] || exec echo "{version}"\nexec {own.path} "$@"\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("DFAAS_LAB_K6", str(fake))
    with Lab.local(store=tmp_path / "store") as lab:
        assert lab.provision(progress=False)
        assert lab.provision(progress=False).cached
        (found,) = lab.generator.check().filter(check="k6").rows(named=True)
        assert found["ok"]
        assert "2.2.0" in found["detail"]
        run = lab.target.run_k6(script=script, env=env_of(lab), files=["more"], progress=False)
        facts = run.provenance["provenance"]["generators"].values()
        assert [known["k6_version"] for known in facts] == ["2.2.0"]


@pytest.mark.slow
def test_what_a_script_writes_is_bounded_and_told(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "many.js").write_text(
        "export default function () {}\n"
        "export function handleSummary() { const files = { 'large [1].bin': 'x'.repeat(2e8) };"
        "for (let i = 0; i < 210; i++) files[`small-${i}.txt`] = 'x'; return files; }"
    )
    run = lab.target.run_k6(script=tmp_path / "many.js", progress=False)
    kept = run.files.filter(pl.col("path").is_not_null())
    assert (kept.height, kept["size"].sum()) == (200, 200)
    assert run.files.height == 211
    assert "large [1].bin" in run.files.filter(pl.col("size").is_null())["name"].to_list()


def test_a_time_limit_follows_from_what_the_environment_says(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "long.js").write_text(
        "export const options = { scenarios: { a: { executor: 'per-vu-iterations', vus: "
        "Number(__ENV.N), iterations: 1, maxDuration: __ENV.D } } }; export default function () {}"
    )
    env = {"N": "3", "D": "100s"}
    run = lab.target.run_k6(script=tmp_path / "long.js", env=env, progress=False)
    order = run.provenance["orders"][lab.target.name]
    # k6's graceful stop of 30 s, a minute each for setup and teardown, 20 s to start
    assert (order["limit_s"], order["max_vus"]) == (100 + 30 + 60 + 60 + 20, 3)


def test_what_a_script_writes_by_an_absolute_name_is_kept_too(lab: Lab, tmp_path: Path) -> None:
    """Of that run alone: a file that was there before, or is too large, is not taken for it."""
    out = tmp_path / "out [1]"
    (out / "deep").mkdir(parents=True)
    (out / "old.json").write_text("of somebody before")
    (tmp_path / "absolute.js").write_text(
        "export default function () {}\n"
        "export function handleSummary() { return {\n"
        f"'{out}/first.json': '{{}}', [`${{__ENV.DIR}}/second.html`]: 'the TOKEN is xyzzy-4711',\n"
        f"[__ENV.OUT]: 'x', '{out}/large.bin': 'x'.repeat(2e8 + 1), 'near.txt': 'here',\n"
        "[`${__ENV.TOKEN}.txt`]: 'y' }; }\n"
        f"const unused = ['{out}/old.json', '{out}/never.json', '/etc/hostname.conf'];\n"
    )
    env = {"DIR": f"{out}/deep", "OUT": f"{out}/third.csv", "TOKEN": "xyzzy-4711"}
    run = lab.target.run_k6(script=tmp_path / "absolute.js", env=env, progress=False)
    assert run.status == "ok"
    kept = {name: path for name, path in run.files.select("name", "path").rows() if path}
    assert set(kept) == {
        f"{out}/first.json", "***/second.html", f"{out}/third.csv", "near.txt", "***.txt",
    }  # fmt: skip
    assert Path(kept["***/second.html"]).read_text() == "the TOKEN is ***"
    assert run.files.filter(pl.col("path").is_null())["name"].to_list() == [f"{out}/large.bin"]
    assert not [file for file in run.path.rglob("*") if "xyzzy" in file.name]
