"""What a measurement gives, refuses and survives, with a real k6 on the embedded lab."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dfaas_lab import Function, Generator, Lab, Limits, Run, Target
from dfaas_lab.errors import (
    ConfigError,
    ConnectionFailed,
    GatewayError,
    K6Crashed,
    K6Missing,
    K6TimedOut,
)
from dfaas_lab.execution.preflight import preflight
from dfaas_lab.remote.facts import read_facts
from dfaas_lab.schemas import REQUESTS, SUMMARY, TIMELINE
from tests.embedded.ready import make_ready

SEED = 20
_RANDOM = random.Random(SEED)
BODIES: list[bytes] = [
    b"",
    b"'",
    b'"; touch /tmp/x; echo "',
    b"$(id) `id` ${HOME} %s %00 \\n \\u0041",
    b"\n\r\n\r\n",
    b"\x00",
    b"a=1;b=2&c=[1,2]",
    b"</script>{{ body }}{% raw %}",
    "caffè \U0001f600 \u2028\u2029 \ufeff".encode(),
    b"\xff\xfe\xc3\x28\xed\xa0\x80",
    bytes(range(256)),
    _RANDOM.randbytes(1_000_000),
    *(_RANDOM.randbytes(_RANDOM.randrange(1, 400)) for _ in range(20)),
]
ROOT = Path(__file__).parents[2]
PATIENT = {"duration": "20s", "progress": False}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which the functions ``keepN`` note what they were sent."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, kept: Path) -> Iterator[Lab]:
    keep = {f"keep{n}": ["/bin/sh", "-c", f"sha256sum >> '{kept}/{n}'"] for n in range(len(BODIES))}
    with Lab.local(functions=keep, store=tmp_path_factory.mktemp("store")) as lab:
        make_ready(lab)
        yield lab


@pytest.fixture(scope="module")
def run(lab: Lab) -> Run:
    load = {"env": 8.0, "echo": 4.0}
    # k6 sums up by function what a threshold asks about.
    rules = {"http_reqs": "count>0", "http_req_failed": "rate<=1", "http_req_duration": "avg>=0"}
    return lab.target.run_k6(
        2, load=load, duration="2s", label="pair", thresholds=dict.fromkeys(load, rules),
        progress=False,
    )  # fmt: skip


def _workspaces(lab: Lab) -> set[str]:
    return {p.name for p in Path(lab.generator.workspace_root).iterdir() if p.is_dir()}


def _runs(lab: Lab) -> set[str]:
    return {p.name for p in lab.store.root.glob("runs/*")}


def _k6(lab: Lab) -> list[int]:
    """Return the pids of the k6 that run in the lab's workspaces."""
    found = []
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        with suppress(OSError):
            inside = str((place / "cwd").readlink()).startswith(f"{lab.generator.workspace_root}/")
            if inside and (place / "exe").readlink().name == "k6":
                found.append(int(place.name))
    return found


def _same(one: Run, other: Run) -> None:
    for name in ("summary", "requests", "timeline", "k6_metrics"):
        assert_frame_equal(getattr(one, name), getattr(other, name))


def test_the_frames_have_the_columns_of_the_contract(run: Run) -> None:
    assert run.status == "ok"
    assert run.summary.schema == SUMMARY
    assert run.requests.schema == REQUESTS
    assert run.timeline.schema == TIMELINE
    pairs = run.summary.select("iteration", "function").rows()
    assert sorted(pairs) == [(1, "echo"), (1, "env"), (2, "echo"), (2, "env")]
    assert set(run.requests["http_status"]) == {200}


def test_each_iteration_is_stored_and_its_workspace_removed(lab: Lab, run: Run) -> None:
    assert run.path == lab.store.root / "runs" / f"run_id={run.id}"
    for iteration in (1, 2):
        place = run.path / f"iteration={iteration}" / "target=node1"
        for name in ("requests", "summary", "timeline"):
            stored = pl.read_parquet(place / f"{name}.parquet", hive_partitioning=False)
            whole: pl.DataFrame = getattr(run, name)
            assert_frame_equal(stored, whole.filter(pl.col("iteration") == iteration))
    assert _workspaces(lab) == set()


def test_the_target_remembers_its_last_run(lab: Lab) -> None:
    run = lab.target.run_k6(load={"env": 2}, duration="1s", progress=False)
    assert lab.target.last_run is not None
    assert lab.target.last_run.id == run.id


def test_a_run_is_the_same_from_its_folder_and_from_its_archive(run: Run, tmp_path: Path) -> None:
    _same(Run.load(run.path), run)
    loaded = Run.load(run.save(tmp_path / "run.zip"))
    _same(loaded, run)
    assert (loaded.id, loaded.label, loaded.status) == (run.id, "pair", "ok")
    assert loaded.chart().to_dict() == run.chart().to_dict()


def test_the_summary_agrees_with_that_of_k6(run: Run) -> None:
    for iteration in (1, 2):
        text = (run.path / f"iteration={iteration}" / "target=node1" / "summary.json").read_text()
        metrics = json.loads(text)["metrics"]
        for scenario, function in enumerate(("env", "echo")):
            chosen = (pl.col("iteration") == iteration) & (pl.col("function") == function)
            (row,) = run.summary.filter(chosen).iter_rows(named=True)
            name = f"{{scenario:f{scenario}}}"
            assert row["requests"] == metrics[f"http_reqs{name}"]["values"]["count"]
            assert row["failed"] == metrics[f"http_req_failed{name}"]["values"]["passes"]
            theirs = metrics[f"http_req_duration{name}"]["values"]
            ours = {
                "avg": row["latency_ms_mean"],
                "min": row["latency_ms_min"],
                "max": row["latency_ms_max"],
                "med": row["latency_ms_p50"],
                "p(90)": row["latency_ms_p90"],
                "p(95)": row["latency_ms_p95"],
                "p(99)": row["latency_ms_p99"],
            }
            expected = {key: theirs[key] for key in ours}
            assert ours == pytest.approx(expected, rel=1e-6, abs=1e-3)


def test_a_function_gets_exactly_the_bytes_of_its_body(lab: Lab, kept: Path) -> None:
    functions = [
        Function(f"keep{n}", method="POST", body=body, timeout="30s")
        for n, body in enumerate(BODIES)
    ]
    target = _target(lab, functions)
    for note in kept.iterdir():
        note.unlink()  # provisioning called each once, to see that it answers
    run = target.run_k6(load=1, duration="1s", progress=False)
    sent = dict(run.summary.select("function", "requests").iter_rows())
    for n, body in enumerate(BODIES):
        got = [line.split()[0] for line in (kept / str(n)).read_text().splitlines()]
        assert set(got) == {hashlib.sha256(body).hexdigest()}, f"body {n} of seed {SEED}"
        assert len(got) == sent[f"keep{n}"]


def _target(lab: Lab, functions: list[Function], **options: Any) -> Target:
    settings = {"gateway": lab.target.gateway, "generator": lab.generator} | options
    return Target("own", functions=functions, store=lab.store.root, **settings)


@pytest.mark.parametrize(
    "asked",
    [
        {"load": {"nobody": 1}},
        {"load": {"env": -1}},
        {"load": {"env": 0, "echo": 0}},
        {"load": {"env": 0.1}, "duration": "1s"},
        {"load": {"env": float("nan")}},
        {"load": {}},
        {"duration": "soon"},
        {"duration": "-1s"},
        {"duration": "0s"},
        {"duration": 5},
        {"iterations": 0},
        {"rest": "long"},
        {"warmup": "-1s"},
        {"limits": Limits(lease="1s")},
        {"limits": Limits(timeout="never")},
        {"limits": Limits(timeout="0s")},
        {"thresholds": {"nobody": "p(95)<1"}},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_before_anything_runs(lab: Lab, asked: dict[str, Any]) -> None:
    before = _runs(lab)
    with pytest.raises(ConfigError) as refused:
        lab.target.run_k6(**({"load": {"env": 1}, "progress": False} | asked))
    assert refused.value.hint
    assert _runs(lab) == before


def test_what_its_generator_has_no_room_for_is_refused_before_anything_runs(lab: Lab) -> None:
    before = _runs(lab)
    with pytest.raises(ConfigError, match="samples; the generator has"):
        lab.target.run_k6(load={"env": 20_000}, duration="100h", progress=False)
    with pytest.raises(ConfigError, match="samples; the generator has"):
        lab.target.preview({"env": 20_000}, "100h")
    assert _runs(lab) == before


def test_room_that_was_made_or_taken_since_the_last_look_counts(lab: Lab) -> None:
    generator = Generator(lab.generator.host, workspace_root=lab.generator.workspace_root)
    target = Target(
        "again", gateway=lab.target.gateway, generator=generator, functions=[Function("env")]
    )
    assert not generator.check().is_empty()
    free_bytes = generator._session.free_resources()["disk_bytes"]
    assert free_bytes  # what check() asked is known without asking again
    then = read_facts(generator._session.remote, generator.workspace_root)
    generator._session.set_facts(replace(then, root=replace(then.root, free_bytes=1000)))
    with pytest.raises(ConfigError, match="free"):
        target.preview(100, "10s")
    preflight(target._part(target._spec(1, load=100, duration="10s")))  # looks anew
    assert generator._session.free_resources()["disk_bytes"] == pytest.approx(free_bytes, rel=0.5)
    generator.close()


@pytest.mark.parametrize("name", ["", "Env", "a b", "../env", "a/b", "-a", "a" * 64, "a;id"])
def test_a_bad_function_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        Function(name)


def test_a_gateway_that_is_not_there_is_told_before_anything_runs(lab: Lab) -> None:
    before = _runs(lab)
    target = _target(lab, [Function("env")], gateway="http://127.0.0.1:1")
    with pytest.raises(GatewayError, match=r"127\.0\.0\.1:1"):
        target.run_k6(load=1, duration="1s", progress=False)
    assert _runs(lab) == before


def _refused(lab: Lab, generator: Generator, kind: type[Exception], match: str) -> None:
    before = _runs(lab)
    try:
        target = _target(lab, [Function("env")], generator=generator)
        with pytest.raises(kind, match=match):
            target.run_k6(load=1, duration="1s", progress=False)
    finally:
        generator.close()
    assert _runs(lab) == before


def _new_key(path: Path) -> Path:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(argv, check=True, timeout=30)
    return path


def test_a_generator_without_k6_names_what_to_do(lab: Lab, tmp_path: Path) -> None:
    generator = Generator(lab.generator.host, workspace_root=str(tmp_path / "none"))
    _refused(lab, generator, K6Missing, r"provision\(\)")


def test_a_host_that_is_not_there(lab: Lab) -> None:
    _refused(lab, Generator("no-such-host.invalid"), ConnectionFailed, r"no-such-host\.invalid")


def test_a_wrong_key(lab: Lab, tmp_path: Path) -> None:
    host = replace(lab.generator.host, key=_new_key(tmp_path / "key"))
    _refused(lab, Generator(host), ConnectionFailed, "does not let .* in")


def test_a_wrong_host_key(lab: Lab, tmp_path: Path) -> None:
    kind, key, *_ = _new_key(tmp_path / "other").with_suffix(".pub").read_text().split()
    host = lab.generator.host
    known = tmp_path / "known_hosts"
    known.write_text(f"[{host.address}]:{host.port} {kind} {key}\n")
    generator = Generator(replace(host, known_hosts=known))
    _refused(lab, generator, ConnectionFailed, "not the one that is known")


def test_a_rate_of_zero_gives_a_row_without_latencies(lab: Lab) -> None:
    run = lab.target.run_k6(load={"env": 3, "echo": 0}, duration="1s", progress=False)
    (row,) = run.summary.filter(pl.col("function") == "echo").iter_rows(named=True)
    assert (row["rate_rps"], row["requests"], row["failed"], row["dropped"]) == (0, 0, 0, 0)
    assert {value for key, value in row.items() if key.startswith("latency")} == {None}
    assert run.summary.filter(pl.col("function") == "env")["requests"].item() >= 3


def test_a_crossed_threshold_is_a_status_and_no_error(lab: Lab) -> None:
    run = lab.target.run_k6(
        load={"env": 3}, duration="1s", thresholds={"env": "p(95)<0.0001"}, progress=False
    )
    assert run.status == "slo_failed"
    assert set(run.summary["status"]) == {"slo_failed"}


def test_several_targets_give_one_run(tmp_path: Path) -> None:
    with Lab.local(targets=2, store=tmp_path) as lab:
        make_ready(lab)
        run = lab.run_k6(load={"env": 3}, duration="1s", progress=False)
        assert set(run.summary["target"]) == set(lab.targets)
        assert set(run.requests["target"]) == set(lab.targets)
        assert len(lab.targets) == 2
        assert len(_runs(lab)) == 1
        _same(Run.load(run.path), run)


def _kill_when_it_works(lab: Lab, kept: list[int]) -> None:
    deadline = time.monotonic() + 30
    while not (found := _k6(lab)):
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)
    time.sleep(2.5)  # k6 writes its samples once a second
    kept.extend(found)
    for pid in found:
        os.kill(pid, signal.SIGKILL)


def test_a_killed_k6_leaves_what_it_measured(lab: Lab) -> None:
    killed: list[int] = []
    killer = threading.Thread(target=_kill_when_it_works, args=(lab, killed))
    killer.start()
    with pytest.raises(K6Crashed) as crashed:
        lab.target.run_k6(load={"env": 10}, **PATIENT)
    killer.join()
    assert len(killed) == 1
    error = crashed.value
    assert error.exit_code == 137
    assert error.run is not None
    assert error.run.status == "failed"
    assert error.run.requests.height > 0
    assert error.workspace is not None
    assert Path(error.workspace.rpartition(":")[2]).is_dir()
    again = lab.target.run_k6(load={"env": 3}, duration="1s", progress=False)
    assert again.status == "ok"


def test_a_run_that_takes_too_long_leaves_what_it_measured(lab: Lab) -> None:
    with pytest.raises(K6TimedOut) as late:
        lab.target.run_k6(load={"env": 10}, limits=Limits(timeout="2s"), **PATIENT)
    assert late.value.run is not None
    assert late.value.run.status == "timed_out"
    assert 0 < late.value.run.requests.height < 200
    assert _k6(lab) == []


# As a notebook's kernel does it: the main thread waits in run_k6 and is sent SIGINT.
INTERRUPTED = """
import json, os, signal, sys, threading, time
from pathlib import Path
from dfaas_lab import Lab
from tests.embedded.ready import make_ready
signal.signal(signal.SIGINT, signal.default_int_handler)
with Lab.local(functions={"note": ["/bin/sh", "-c", "echo >> " + sys.argv[2]]}, store=sys.argv[1]) as lab:
    make_ready(lab)
    sent = []
    def interrupt():
        note = Path(sys.argv[2])
        while not note.exists() or note.stat().st_size < 5:
            time.sleep(0.05)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        lab.target.run_k6(load={"note": 5}, duration="60s", progress=False)
    except KeyboardInterrupt:
        run = lab.target.last_run
        left = [p.name for p in Path(lab.generator.workspace_root).iterdir() if p.is_dir()]
        print(json.dumps({
            "took": time.monotonic() - sent[0], "requests": run.requests.height,
            "status": run.status, "rows": run.summary["status"].to_list(), "left": left,
            "root": lab.generator.workspace_root,
            "k6": [c for c in os.popen("ps -eo args").read().splitlines()
                   if lab.generator.workspace_root in c and "k6" in c.split()[0]],
        }))
"""  # noqa: E501


def test_an_interrupt_brings_home_what_was_measured(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "store"), str(tmp_path / "note")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
    assert done.stdout, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["took"] < 30  # the load would have gone on for a minute
    assert told["requests"] > 0
    assert told["status"] == "interrupted"
    assert set(told["rows"]) == {"interrupted"}
    assert told["left"] == []
    assert told["k6"] == []
