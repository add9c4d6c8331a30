"""A store with one odd, damaged or newer entry: that one is named, the others are read."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import threading
import tracemalloc
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from dfaas_lab import Run
from dfaas_lab.errors import ConfigError, StoreError
from dfaas_lab.k6.results import Frames
from dfaas_lab.store import FORMAT, RunFolder, Store, open_archive, save
from dfaas_lab.store.files import sync_folder
from tests.unit.stored_runs import frames_of


def stored(store: Store, folder: Path, run_id: str, **entries: object) -> RunFolder:
    run = store.create_run(run_id, {"status": "ok", "targets": ["mid"], **entries})
    run.write_iteration(1, frames_of(folder, run_id, 1), target="mid")
    return run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of two good runs."""
    store = Store(tmp_path / "results")
    for run_id in ("run-1", "run-3"):
        stored(store, tmp_path, run_id)
    return store


def scanned(store: Store) -> list[str]:
    return sorted(store.scan_requests().collect()["run_id"].unique())


# Where it is


def test_a_store_stays_where_it_was_when_the_notebook_changes_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store("results")
    folder = stored(store, tmp_path, "run-1")
    run = Run.load("results/runs/run_id=run-1")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    folder.write_iteration(2, frames_of(tmp_path, "run-1", 2), target="mid")
    assert run.summary["iteration"].to_list() == [1, 2]
    assert store.run_ids() == ["run-1"]
    assert list(Path.cwd().iterdir()) == []


def test_a_run_is_opened_from_inside_its_folder(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store.find("run-1").path)
    assert Run.load(".").id == "run-1"


def test_a_run_that_is_gone_is_no_empty_run(store: Store, tmp_path: Path) -> None:
    run = Run(store.find("run-1"))
    store.prune(runs="run-1")
    for ask in (lambda: run.summary, lambda: run.requests, lambda: run.verdict, lambda: run.metrics,
                lambda: run.save(tmp_path / "x.zip")):  # fmt: skip
        with pytest.raises(StoreError, match="run-1 is not in"):
            ask()
    assert not (tmp_path / "x.zip").exists()


# One odd entry


def test_what_is_no_run_is_no_run(store: Store) -> None:
    runs = store.root / "runs"
    shutil.copytree(runs / "run_id=run-1", runs / "run_id=run-1 (copy)")
    (runs / "run_id=notes").write_text("a file")
    assert store.runs()["run_id"].to_list() == ["run-3", "run-1"]
    assert scanned(store) == ["run-1", "run-3"]
    assert store.prune(keep_last=1)["run_id"].to_list() == ["run-1"]


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("created_at", "yesterday"),
        ("created_at", 20261123),
        ("created_at", ["2026-11-23"]),
        ("label", {"a": 1}),
        ("status", ["ok"]),
        ("targets", "mid"),
        ("targets", [1, 2]),
    ],
)
def test_an_odd_manifest_is_a_row_with_its_problem(
    store: Store, tmp_path: Path, name: str, entry: object
) -> None:
    stored(store, tmp_path, "run-2").update(**{name: entry})
    listed = store.runs()
    assert listed["run_id"].to_list() == ["run-3", "run-2", "run-1"]
    assert listed["problem"].to_list() == [None, f"its manifest has an odd {name}", None]
    assert listed[name][1] is None
    assert store.prune(older_than=timedelta(days=1)).is_empty()


def test_a_label_that_no_frame_can_hold_is_shown_all_the_same(store: Store, tmp_path: Path) -> None:
    stored(store, tmp_path, "run-2", label="of \udc80.ipynb", targets=["a\udc80"])
    row = store.runs().row(1, named=True)
    assert (row["label"], row["targets"], row["problem"]) == ("of ?.ipynb", ["a?"], None)


def test_a_moment_without_its_zone_is_utc(store: Store, tmp_path: Path) -> None:
    stored(store, tmp_path, "run-2", created_at="2025-01-02T03:04:05")
    assert store.runs().filter(run_id="run-2")["created_at"].item().isoformat() == (
        "2025-01-02T03:04:05+00:00"
    )


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000])
def test_a_damaged_store_file_is_named(store: Store, content: str) -> None:
    (store.root / "store.json").write_text(content)
    with pytest.raises(StoreError, match=r"store\.json is damaged"):
        store.runs()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100)])
def test_a_damaged_run_is_left_out_of_a_scan_and_named(
    store: Store, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    run = stored(store, tmp_path, "run-2")
    (run.iteration_path(1, target="mid") / "requests.parquet").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert scanned(store) == ["run-1", "run-3"]
    assert "run run-2 is left out" in caplog.text
    with pytest.raises(StoreError, match="run_id=run-2"):
        store.scan_requests(["run-1", "run-2"])
    assert store.scan_summaries().collect().height == 3


def test_a_run_of_a_newer_format_is_refused_wherever_it_is_read(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = stored(store, tmp_path, "run-2")
    run = Run(folder)
    (folder.path / "manifest.json").write_text(json.dumps({"format": FORMAT + 98}))
    for ask in (
        lambda: Run.load(folder.path),
        lambda: run.summary,
        run.statistics,
        run.chart,
        lambda: run.save(tmp_path / "x.zip"),
        lambda: store.scan_requests("run-2"),
    ):
        with pytest.raises(StoreError, match="newer dfaas_lab"):
            ask()
    with caplog.at_level(logging.WARNING):
        assert scanned(store) == ["run-1", "run-3"]
    assert "run run-2 is left out" in caplog.text


# Which runs


def test_a_run_that_is_named_twice_is_scanned_once(store: Store, tmp_path: Path) -> None:
    assert store.scan_requests(["run-1", "run-1"]).collect().height == 10
    stored(store, tmp_path, "other")
    assert store.scan_requests(["other", "oth"]).collect().height == 10
    assert store.scan_requests("run-3").collect()["run_id"].unique().to_list() == ["run-3"]
    (requests, _) = store.export(tmp_path / "out", runs="run-3")
    assert pl.read_csv(requests)["run_id"].unique().to_list() == ["run-3"]


@pytest.mark.parametrize(
    "bad", [{"keep_last": -1}, {"older_than": timedelta(days=-1)}], ids=["keep_last", "older_than"]
)
def test_pruning_refuses_a_number_below_0(store: Store, bad: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="below 0"):
        store.prune(**bad)
    assert store.run_ids() == ["run-1", "run-3"]


def test_pruning_leaves_what_is_measured_at_this_moment(store: Store, tmp_path: Path) -> None:
    lost = stored(store, tmp_path, "run-2", status="lost")
    with lost.claimed(threading.Event()):  # as lab.attach() does
        assert store.prune(keep_last=0, dry_run=True)["run_id"].to_list() == ["run-1", "run-3"]
        assert store.prune(keep_last=0)["run_id"].to_list() == ["run-1", "run-3"]
    assert store.run_ids() == ["run-2"]
    assert store.prune(keep_last=0)["run_id"].to_list() == ["run-2"]


def test_pruning_by_one_id_removes_that_run(store: Store) -> None:
    assert store.prune(runs="run-1")["run_id"].to_list() == ["run-1"]
    assert store.run_ids() == ["run-3"]


def test_an_iteration_has_ended_when_it_has_on_all_targets(store: Store, tmp_path: Path) -> None:
    run = store.create_run("run-2", {"targets": ["mid", "far"]})
    for number, target in ((1, "mid"), (1, "far"), (2, "mid")):
        frames = frames_of(tmp_path, "run-2", number, target=target)
        run.write_iteration(number, frames, target=target)
    assert store.runs().filter(run_id="run-2")["iterations"].item() == 1


def test_an_export_that_fails_leaves_the_last_one(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = [path.read_bytes() for path in store.export(out)]
    requests = store.find("run-1").iteration_path(1, target="mid") / "requests.parquet"
    content = bytearray(requests.read_bytes())
    content[20:200] = os.urandom(180)  # its end still says what it was
    requests.write_bytes(content)
    with pytest.raises(StoreError, match="exporting"):
        store.export(out)
    assert [path.read_bytes() for path in sorted(out.iterdir())] == before


# What a stranger wrote


def test_an_iteration_is_not_read_twice(store: Store) -> None:
    run = store.find("run-1")
    shutil.copytree(run.path / "iteration=1", run.path / "iteration=01")
    shutil.copytree(run.path / "iteration=1", run.path / "iteration=²")
    shutil.copytree(run.path / "iteration=1", run.path / "iteration=٣")
    assert run.iterations() == [1]
    assert run.frame("requests").height == 10


def test_a_manifest_nested_without_end_is_damaged(store: Store, tmp_path: Path) -> None:
    run = store.find("run-1")
    path = run.path / "manifest.json"
    path.write_text('{"a":' + "[" * 100_000 + "]" * 100_000 + "}")
    with pytest.raises(StoreError, match="damaged"):
        run.read()
    path.write_text('{"a":' + "[" * 900 + "]" * 900 + "}")  # which JSON takes
    with pytest.raises(StoreError, match="too deep"):
        run.update(status="ok")
    path.write_text("{}")
    archive = save(run, tmp_path / "x.zip")
    path.write_text('{"a":' + "[" * 100_000)
    assert "damaged" in store.runs().filter(run_id="run-1")["problem"].item()
    assert open_archive(archive).run_id == "run-1"


def test_a_parquet_bomb_is_not_unpacked(store: Store) -> None:
    """Nor one that comes in pieces."""
    run = store.find("run-1")
    row = run.frame("requests").head(1)
    bomb = pl.concat([row] * 16).select(pl.all().repeat_by(50_000).explode())
    for number in (2, 3):
        folder = run.write_iteration(number, Frames.empty(), target="mid")
        bomb.write_parquet(folder / "requests.parquet")
    assert sum(file.stat().st_size for file in run.path.rglob("requests.parquet")) < 250_000
    with pytest.raises(StoreError, match="1,600,010 rows"):
        run.frame("requests")
    with pytest.raises(StoreError, match="1,600,010 rows"):
        Run(run).statistics()


def test_a_file_system_that_cannot_sync_a_folder_is_no_error() -> None:
    """As some network file systems; /proc is one that is everywhere."""
    descriptor = os.open("/proc", os.O_RDONLY)
    with pytest.raises(OSError, match="Invalid argument"):
        os.fsync(descriptor)
    os.close(descriptor)
    sync_folder(Path("/proc"))
    with pytest.raises(OSError, match="No such file"):
        sync_folder(Path("/none/there"))


# Paths


@pytest.mark.parametrize(
    "name", ["thesis [2026]", "a*b", "what?", "{a,b}", "100%20", "~x $HOME 'q'"]
)
def test_no_character_of_a_path_is_a_pattern(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.mkdir()
    store = Store(place / "results")
    folder = stored(store, place, "run-1")  # the samples are read below that path, too
    assert Run(folder).requests.height == 10
    assert scanned(store) == ["run-1"]
    assert pl.read_csv(store.export(place / "out")[0].read_bytes()).height == 10
    assert Run.load(save(folder, place / "run.zip")).requests.height == 10
    assert store.prune(keep_last=0).height == 1


def linked(store: Store, run_id: str, elsewhere: Path) -> Path:
    """Move a run to another place, with a link to it in the store."""
    path = store.find(run_id).path
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    return path


def test_a_run_that_was_moved_is_removed_with_its_link(store: Store, tmp_path: Path) -> None:
    link = linked(store, "run-1", tmp_path / "moved")
    assert Run.load(link).id == "run-1"
    assert scanned(store) == ["run-1", "run-3"]
    assert store.prune(keep_last=1)["run_id"].to_list() == ["run-1"]
    assert not link.is_symlink()
    assert not (tmp_path / "moved").exists()


def test_a_run_on_another_disk_goes_on(store: Store, tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this machine has no second file system that anybody may write to")
    place = Path(tempfile.mkdtemp(dir=memory)) / "moved"
    try:
        shutil.move(store.find("run-1").path, place)
        (store.root / "runs" / "run_id=run-1").symlink_to(place)
        folder = store.find("run-1")
        folder.write_iteration(2, frames_of(tmp_path, "run-1", 2), target="mid")
        assert Run(folder).summary["iteration"].to_list() == [1, 2]
        assert len(list(Run.load(save(folder, tmp_path / "run.zip")).path.rglob("*.parquet"))) == 6
    finally:
        shutil.rmtree(place.parent)


def test_a_link_to_what_is_not_that_run_is_all_that_goes(store: Store, tmp_path: Path) -> None:
    link = linked(store, "run-1", tmp_path / "moved")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    for other in (store.find("run-3").path, tmp_path / "thesis"):
        link.unlink()
        link.symlink_to(other)
        store.prune(runs="run-1")
        assert not link.is_symlink()
        assert list(other.iterdir())
        link.symlink_to(other)


# What is sent away


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", '=HYPERLINK("http://x")', "\uff1d1"],
)
def test_no_text_of_others_is_a_formula_in_a_csv(store: Store, tmp_path: Path, text: str) -> None:
    frames = frames_of(tmp_path, "run-2", 1)
    odd = replace(frames, requests=frames.requests.with_columns(served_by=pl.lit(text)))
    store.create_run("run-2", {"targets": ["mid"]}).write_iteration(1, odd, target="mid")
    paths = store.export(tmp_path / "out", runs="run-2")
    exported = pl.read_csv(paths[0].read_bytes(), infer_schema=False)
    assert set(exported["served_by"]) == {"'" + text}
    assert set(exported["function"]) == {"figlet"}
    assert exported["latency_ms"].cast(pl.Float64).min() > 0
    whole = store.export(tmp_path / "out", runs="run-2", format="parquet")[0]
    assert set(pl.read_parquet(whole)["served_by"]) == {text}


def test_what_a_script_wrote_is_kept_by_any_name(store: Store, tmp_path: Path) -> None:
    names = ["report.html", "samples.csv", "out/data.json", "\u00e9 [1] \u4f60.txt", "x" * 255,
             ".hidden", "-rf", "100%", "a:b*c?", "\udcff"]  # fmt: skip
    written = {name: name.encode(errors="surrogateescape") for name in names}
    folder = store.create_run("run-2", {"targets": ["mid"]})
    folder.write_iteration(1, frames_of(tmp_path, "run-2", 1), None, written, target="mid")
    for run in (Run(folder), Run.load(save(folder, tmp_path / "run.zip"))):
        found = {row["name"]: Path(row["path"]) for row in run.files.iter_rows(named=True)}
        assert len(found) == len(names)
        assert {path.read_bytes() for path in found.values()} == set(written.values())
        assert set(names[:4]) < set(found)
        assert run.requests.height == 10


# Parquet of a stranger


@pytest.mark.parametrize("rows", [3_000_000, 5_000_000])
def test_a_small_file_that_would_be_billions_of_rows_is_not_read(
    store: Store, tmp_path: Path, rows: int
) -> None:
    """Parquet keeps a column of one value in some bytes, whatever the number of rows."""
    run = RunFolder.at(store.root / "runs" / "run_id=run-3")
    bomb = next(run.path.rglob("requests.parquet"))
    pl.select(run_id=pl.repeat("x", rows), iteration=pl.repeat(1, rows)).write_parquet(bomb)
    assert bomb.stat().st_size < rows / 100
    tracemalloc.start()
    with pytest.raises(StoreError, match=rf"would be {rows:,} rows out of") as caught:
        _ = Run(run).requests
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    assert "Ask who made it" in caught.value.hint
    assert scanned(store) == ["run-1"]  # a scan leaves it out, too


def test_nor_is_one_row_that_holds_a_list_without_end(store: Store) -> None:
    run = RunFolder.at(store.root / "runs" / "run_id=run-3")
    bomb = next(run.path.rglob("requests.parquet"))
    pl.DataFrame({"run_id": ["run-3"], "tags": [[None] * 5_000_000]}).write_parquet(bomb)
    with pytest.raises(StoreError, match="has lists in tags"):
        _ = Run(run).requests
    assert scanned(store) == ["run-1"]


def test_columns_that_are_not_ours_are_not_read(store: Store) -> None:
    run = RunFolder.at(store.root / "runs" / "run_id=run-3")
    file = next(run.path.rglob("requests.parquet"))
    before = pl.read_parquet(file, hive_partitioning=False)
    before.with_columns(other=pl.lit([1, 2, 3])).write_parquet(file)
    assert Run(run).requests.columns == before.columns
