"""The store: whole iterations or none, readable by anybody, safe beside other processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset
import pytest

from dfaas_lab import schemas
from dfaas_lab.errors import ConfigError, StoreError
from dfaas_lab.k6.results import Frames
from dfaas_lab.store import FORMAT, RunFolder, Store, new_run_id, open_archive, save
from tests.unit.stored_runs import frames_of, start_writer

NAMES = ("mid", "a/b", "..", "ünï €", "x" * 300, "a=b&c", "'\"\n", "%2F")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def stored(store: Store, folder: Path, run_id: str = "run-1", iterations: int = 2) -> RunFolder:
    run = store.create_run(run_id, {"label": "first", "targets": ["mid"]}, {"plan.json": b"{}"})
    for number in range(1, iterations + 1):
        run.write_iteration(
            number, frames_of(folder, run_id, number), {"k6.log": b"a line\n"}, target="mid"
        )
    return run


def test_making_a_store_touches_no_disk(tmp_path: Path) -> None:
    Store(tmp_path / "results")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_store_reads_as_empty(store: Store) -> None:
    assert store.runs().is_empty()
    assert store.scan_requests().collect().schema == schemas.REQUESTS
    assert store.scan_summaries().collect().schema == schemas.SUMMARY
    assert not store.root.exists()


def test_what_was_stored_is_read_back_as_it_was(store: Store, tmp_path: Path) -> None:
    run = stored(store, tmp_path)
    expected = [frames_of(tmp_path, "run-1", number) for number in (1, 2)]
    for name in ("summary", "requests", "timeline", "k6_metrics"):
        both = pl.concat([getattr(frames, name) for frames in expected])
        assert store.find("run-1").frame(name).equals(both), name
    assert run.iterations() == [1, 2]
    assert (run.iteration_path(1, target="mid") / "k6.log").read_bytes() == b"a line\n"
    assert (run.path / "plan.json").read_bytes() == b"{}"


def test_a_run_without_iterations_has_empty_frames(store: Store) -> None:
    got = store.create_run("run-1").frame("requests")
    assert got.schema == schemas.REQUESTS
    assert got.is_empty()


def test_nothing_is_overwritten(store: Store, tmp_path: Path) -> None:
    run = stored(store, tmp_path)
    before = run.frame("requests")
    with pytest.raises(StoreError, match="never overwritten"):
        run.write_iteration(2, frames_of(tmp_path, "run-1", 9), target="mid")
    with pytest.raises(StoreError, match="never overwritten"):
        store.create_run("run-1")
    assert run.frame("requests").equals(before)
    assert list((store.root / ".staging").glob("[!r]*")) == []


@pytest.mark.parametrize("target", NAMES)
def test_a_target_may_have_any_name(store: Store, tmp_path: Path, target: str) -> None:
    run = store.create_run("run-1")
    for name in (target, "other"):
        run.write_iteration(1, frames_of(tmp_path, "run-1", 1, target=name), target=name)
    assert set(run.frame("requests")["target"]) == {target, "other"}
    assert all(path.is_relative_to(run.path / "iteration=1") for path in run.parts())
    assert set(store.scan_requests().collect()["target"]) == {target, "other"}


def test_a_long_name_is_cut_between_characters(store: Store) -> None:
    run = store.create_run("run-1")
    for name in ("ü" * 100, "A" * 300, "a" + "€" * 100):
        folder = run.iteration_path(1, target=name).name.removeprefix("target=")
        kept, _, digest = folder.rpartition("-")
        assert name.startswith(unquote(kept, errors="strict"))
        assert len(kept) > 120
        assert len(digest) == 16


@pytest.mark.parametrize("run_id", ["", ".", "..", "a/b", "../x", "a b", "x" * 200])
def test_a_run_id_is_a_plain_word(store: Store, run_id: str) -> None:
    with pytest.raises(StoreError, match="no run id"):
        store.create_run(run_id)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "", ".hidden", "a\0b"])
def test_a_raw_file_has_a_plain_name(store: Store, tmp_path: Path, name: str) -> None:
    run = store.create_run("run-1")
    with pytest.raises(StoreError, match="no plain file name"):
        run.write_iteration(1, Frames.empty(), {name: b""}, target="mid")
    assert run.iterations() == []


def test_raw_files_are_copied_from_paths(store: Store, tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"\0\xff")
    run = store.create_run("run-1")
    folder = run.write_iteration(1, Frames.empty(), {"samples.csv": tmp_path / "raw"}, target="mid")
    assert (folder / "samples.csv").read_bytes() == b"\0\xff"


def test_a_warm_up_is_kept_and_counted_nowhere(store: Store, tmp_path: Path) -> None:
    run = stored(store, tmp_path)
    folder = run.write_iteration(0, frames_of(tmp_path, "run-1", 7), target="mid")
    assert folder == run.path / "warmup" / "target=mid"
    assert run.frame("summary")["iteration"].to_list() == [1, 2]
    pattern = f"{store.root}/runs/**/requests.parquet"
    assert duckdb.sql(f"select count(*) from '{pattern}'").fetchall() == [(20,)]


def test_run_ids_sort_by_time_and_differ() -> None:
    early = datetime(2026, 11, 23, 9, 45, 12, tzinfo=UTC)
    assert new_run_id(early).startswith("20261123T094512-")
    assert new_run_id(early) < new_run_id(early + timedelta(seconds=1))
    assert len({new_run_id(early) for _ in range(100)}) == 100


def test_a_run_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    for run_id in ("2026-a", "2026-ab", "2027-a"):
        store.create_run(run_id)
    assert store.find("2027").run_id == "2027-a"
    assert store.find("2026-a").run_id == "2026-a"
    with pytest.raises(StoreError, match="several"):
        store.find("2026")
    with pytest.raises(StoreError, match="no run"):
        store.find("2028")


def test_runs_are_listed_also_beside_a_damaged_one(store: Store, tmp_path: Path) -> None:
    stored(store, tmp_path)
    broken = store.create_run("run-2")
    (broken.path / "manifest.json").write_text("{")
    got = store.runs()
    assert got["run_id"].to_list() == ["run-2", "run-1"]  # the newest first
    got = got.reverse()
    assert got["iterations"].to_list() == [2, 0]
    assert got["label"].to_list() == ["first", None]
    assert got["targets"].to_list() == [["mid"], None]
    assert got["problem"][0] is None
    assert "damaged" in got["problem"][1]


def test_a_manifest_changes_whole(store: Store) -> None:
    run = store.create_run("run-1", {"label": "ünï \udc80"})
    run.update(status="ok", verdict={"valid": True})
    got = run.read()
    assert (got["format"], got["status"], got["label"]) == (FORMAT, "ok", "ünï \udc80")
    assert got["verdict"] == {"valid": True}
    with pytest.raises(StoreError, match="JSON"):
        run.update(bad=float("nan"))
    assert run.read() == got


def test_scans_read_only_what_is_asked_for(store: Store, tmp_path: Path) -> None:
    stored(store, tmp_path, "run-1")
    stored(store, tmp_path, "run-2", iterations=3)
    means = store.scan_requests().group_by("run_id").agg(pl.len()).sort("run_id").collect()
    assert means.rows() == [("run-1", 20), ("run-2", 30)]
    assert store.scan_summaries(["run-2"]).collect().height == 3


def test_other_readers_need_no_dfaas_lab(store: Store, tmp_path: Path) -> None:
    stored(store, tmp_path)
    pattern = f"{store.root}/runs/*/*/*/requests.parquet"
    by_duckdb = duckdb.sql(
        f"select iteration, count(*), max(latency_ms) from read_parquet('{pattern}', "
        "hive_partitioning=true) group by iteration order by iteration"
    ).fetchall()
    assert by_duckdb == [(1, 10, pytest.approx(10.3)), (2, 10, pytest.approx(10.3))]
    files = sorted((store.root / "runs").glob("*/iteration=*/target=*/requests.parquet"))
    by_pandas = pd.concat(pd.read_parquet(file, partitioning=None) for file in files)
    assert by_pandas["latency_ms"].max() == pytest.approx(10.3)
    assert str(by_pandas["started_at"].dtype) == "datetime64[us, UTC]"
    by_arrow = pyarrow.dataset.dataset([str(file) for file in files]).to_table()
    assert by_arrow.num_rows == 20
    by_polars = pl.scan_parquet(pattern, hive_partitioning=True).select(pl.len()).collect()
    assert by_polars.item() == 20


def test_other_readers_take_runs_of_one_and_of_several_targets_by_one_pattern(
    store: Store, tmp_path: Path
) -> None:
    """As README and Store say: the pattern, with hive partitioning or without."""
    stored(store, tmp_path)
    several = store.create_run("run-2", {"targets": ["mid", "a b/c"]})
    for target in ("mid", "a b/c"):
        several.write_iteration(1, frames_of(tmp_path, "run-2", 1, target=target), target=target)
    several.write_iteration(0, frames_of(tmp_path, "run-2", 9), target="mid")
    pattern = f"{store.root}/runs/**/requests.parquet"
    rows = [("run-1", "mid", 20), ("run-2", "a b/c", 10), ("run-2", "mid", 10)]
    for hive in (False, True):
        scan = pl.scan_parquet(pattern, hive_partitioning=hive)
        by_polars = scan.group_by("run_id", "target").len().sort("run_id", "target")
        assert by_polars.collect().rows() == rows
        assert scan.filter(pl.col("iteration") == 1).select(pl.len()).collect().item() == 30
        read = f"from read_parquet('{pattern}', hive_partitioning = {hive})"
        by_duckdb = duckdb.sql(f"select run_id, target, count(*) {read} group by all order by all")
        assert by_duckdb.fetchall() == rows
        one = duckdb.sql(f"select count(*) {read} where iteration = 1").fetchall()
        assert one == [(30,)]
    assert several.frame("requests").height == 20


@pytest.mark.parametrize(
    "names",
    [
        ["5", "007"],
        ["n\u0153ud 2", "\u8282\u70b9"],
        ["true", "null"],
        ["2026-11-23"],
        ["a=b", "50%", "*"],
    ],
)
def test_other_readers_take_any_targets_name(
    store: Store, tmp_path: Path, names: list[str]
) -> None:
    run = store.create_run("run-1", {"targets": names})
    for name in names:
        run.write_iteration(1, frames_of(tmp_path, "run-1", 1, target=name), target=name)
    pattern = f"{store.root}/runs/**/requests.parquet"
    by_polars = pl.scan_parquet(pattern, hive_partitioning=True).collect()
    assert sorted(by_polars["target"].unique()) == sorted(names)
    assert sorted(run.frame("requests")["target"].unique()) == sorted(names)
    assert sorted(target for _, target, _ in run.named_parts()) == sorted(names)
    read = f"select distinct target from read_parquet('{pattern}', hive_partitioning = true)"
    assert sorted(str(row[0]) for row in duckdb.sql(read).fetchall()) == sorted(names)


def test_there_is_room_for_several_generators_of_a_target(store: Store, tmp_path: Path) -> None:
    run = store.create_run("run-1", {"targets": ["mid"]})
    part = run.write_iteration(1, frames_of(tmp_path, "run-1", 1), target="mid")
    for name in ("one", "two"):
        shutil.copytree(part, part.parent / "split" / f"generator={name}")
    shutil.rmtree(part)
    (part.parent / "split").rename(part)
    assert [(n, t, p.name) for n, t, p in run.named_parts()] == [
        (1, "mid", "generator=one"), (1, "mid", "generator=two"),
    ]  # fmt: skip
    assert run.frame("requests").height == 20
    loaded = open_archive(save(run, tmp_path / "run.zip"))
    assert loaded.frame("requests").height == 20
    pattern = f"{store.root}/runs/**/requests.parquet"
    scan = pl.scan_parquet(pattern, hive_partitioning=True)
    assert sorted(scan.collect()["generator"].unique()) == ["one", "two"]


def test_pruning_keeps_what_it_was_not_told_to_remove(store: Store, tmp_path: Path) -> None:
    for number in range(4):
        run = store.create_run(f"run-{number}", {"status": "ok"})
        run.update(created_at=(datetime.now(UTC) - timedelta(days=4 - number)).isoformat())
    store.create_run("run-9")  # still running
    with pytest.raises(ConfigError, match="what to remove"):
        store.prune()
    old = {"older_than": timedelta(days=2, hours=1)}
    assert store.prune(**old, dry_run=True)["run_id"].to_list() == ["run-0", "run-1"]
    assert len(store.run_ids()) == 5
    assert store.prune(**old, keep_last=4)["run_id"].to_list() == ["run-0"]
    store.prune(keep_last=0)
    assert store.run_ids() == ["run-9"]
    store.prune(runs=["run-9"])
    assert store.run_ids() == []
    assert not any((store.root / ".staging").iterdir())  # nor do its locks stay


def test_pruning_sweeps_what_killed_processes_left(store: Store) -> None:
    store.create_run("run-1", {"status": "ok"})
    stale, fresh = store.root / ".staging" / "stale", store.root / ".staging" / "fresh"
    stale.mkdir()
    fresh.mkdir()
    os.utime(stale, (0, 0))
    store.prune(keep_last=1)
    assert (stale.exists(), fresh.exists()) == (False, True)


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_export_writes_one_file_of_each(store: Store, tmp_path: Path, format_: str) -> None:
    stored(store, tmp_path)
    stored(store, tmp_path, "run-2")
    paths = store.export(tmp_path / "out", runs=["run-2"], format=format_)
    assert [path.name for path in paths] == [f"requests.{format_}", f"summary.{format_}"]
    read = pl.read_csv if format_ == "csv" else pl.read_parquet
    assert read(paths[0])["run_id"].unique().to_list() == ["run-2"]


# Format versions


def test_a_run_of_format_0_is_read(store: Store, tmp_path: Path) -> None:
    run = stored(store, tmp_path)
    old = {"id": "run-1", "target": "mid", "label": "old", "status": "ok",
           "created_at": "2025-01-02T03:04:05+00:00"}  # fmt: skip
    (run.path / "manifest.json").write_text(json.dumps(old))
    requests = run.iteration_path(1, target="mid") / "requests.parquet"
    pl.read_parquet(requests, hive_partitioning=False).drop("served_by").write_parquet(requests)
    got = run.read()
    assert (got["format"], got["run_id"], got["targets"]) == (FORMAT, "run-1", ["mid"])
    assert json.loads((run.path / "manifest.json").read_text()) == old
    assert store.runs()["label"].to_list() == ["old"]
    assert run.frame("requests").schema == schemas.REQUESTS
    assert store.scan_requests().collect().height == 20


def test_a_newer_run_and_a_newer_store_are_refused_with_a_clear_word(
    store: Store, tmp_path: Path
) -> None:
    run = stored(store, tmp_path)
    (run.path / "manifest.json").write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(StoreError, match=r"newer dfaas_lab.*\n.*Update"):
        run.read()
    assert "newer" in store.runs()["problem"][0]
    (store.root / "store.json").write_text(json.dumps({"format": FORMAT + 1}))
    for ask in (store.runs, store.scan_requests, lambda: store.create_run("x")):
        with pytest.raises(StoreError, match="newer dfaas_lab"):
            ask()


# Faults


def test_a_torn_file_is_named(store: Store, tmp_path: Path) -> None:
    run = stored(store, tmp_path)
    (run.iteration_path(1, target="mid") / "requests.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match="requests cannot be read"):
        run.frame("requests")


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs util-linux")
def test_a_full_disk_is_told_and_harms_nothing(tmp_path: Path) -> None:
    # A small disk of its own, in a mount namespace of its own: no trace is left on this machine.
    script = """
import sys
from pathlib import Path
from dfaas_lab.errors import StoreError
from dfaas_lab.store import Store
from tests.unit.stored_runs import frames_of
disk, folder = Path(sys.argv[1]), Path(sys.argv[2])
run = Store(disk / "results").create_run("run-1")
run.write_iteration(1, frames_of(folder, "run-1", 1), target="mid")
before = run.frame("requests")
for doing in (
    lambda: run.write_iteration(
        2, frames_of(folder, "run-1", 2), {"k6.log": bytes(3_000_000)}, target="mid"
    ),
    lambda: (disk / "filler").write_bytes(bytes(10_000_000)),
    lambda: run.write_iteration(3, frames_of(folder, "run-1", 3), target="mid"),
    lambda: run.update(status="x" * 100_000),
    lambda: Store(disk / "results").create_run("run-2"),
):
    try:
        doing()
    except StoreError as error:
        print(str(error).splitlines()[0].partition(":")[0])
    except OSError as error:
        print("the filler:", error.strerror)
print(run.iterations(), run.frame("requests").equals(before), run.read()["status"])
print(Store(disk / "results").run_ids(), [p.name for p in run.staging.iterdir() if p.is_dir()])
"""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=2m tmpfs "{disk}" && exec "$@"'
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    done = subprocess.run(
        [*unshare, sys.executable, "-c", script, str(disk), str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    if "unshare failed" in done.stderr or "unshare:" in done.stderr:
        pytest.skip("no user namespaces on this machine")
    assert done.stdout.splitlines() == [
        "the disk is full",
        "the filler: No space left on device",
        "the disk is full",
        "the disk is full",
        "the disk is full",
        "[1] True running",
        "['run-1'] []",
    ], done.stderr


def test_two_processes_write_to_one_store_at_once(tmp_path: Path) -> None:
    root = tmp_path / "results"
    writers = [start_writer(root, f"run-{n}", 10, tmp_path) for n in range(3)]
    for writer in writers:
        with writer:
            assert writer.stdout.read().split() == [str(n) for n in range(1, 11)]
        assert writer.returncode == 0
    store = Store(root)
    assert store.runs()["iterations"].to_list() == [10, 10, 10]
    assert store.runs()["status"].to_list() == ["ok", "ok", "ok"]
    assert store.scan_requests().collect().height == 300


def test_of_two_that_write_one_run_one_wins(tmp_path: Path) -> None:
    writers = [start_writer(tmp_path / "results", "run-1", 5, tmp_path) for _ in range(2)]
    codes = []
    for writer in writers:
        with writer:
            writer.stdout.read()
        codes.append(writer.returncode)
    assert sorted(code != 0 for code in codes) == [False, True]
    assert Store(tmp_path / "results").find("run-1").frame("requests").height == 50


def test_two_that_change_one_manifest_lose_nothing(store: Store) -> None:
    run = store.create_run("run-1")
    script = (
        "import sys; from dfaas_lab.store import Store\n"
        "run = Store(sys.argv[1]).find('run-1')\n"
        "for n in range(20): run.update(**{f'{sys.argv[2]}{n}': n})"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(store.root), name]) for name in "ab"
    ]
    assert [process.wait() for process in processes] == [0, 0]
    assert {f"{name}{n}" for name in "ab" for n in range(20)} <= run.read().keys()
