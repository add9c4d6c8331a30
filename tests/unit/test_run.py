"""A stored run as its user reads it: what its verdict knows of, and whose numbers are whose."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from dfaas_lab import ConfigError, Function, Generator, Lab, Run, Target
from dfaas_lab.k6.results import Frames
from dfaas_lab.store import RunFolder, Store, open_archive, save
from tests.unit.stored_runs import frames_of

HOST = b"10.0,100,900,8000,5,1024,16000\n11.0,140,960,4000,70,1024,16000\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def stored(
    store: Store,
    folder: Path,
    status: str,
    *,
    ordered: int = 3,
    finished: Collection[int] = (),
    targets: Collection[str] = ("mid",),
) -> RunFolder:
    """A run of some targets, of whose iterations these have finished."""
    orders = {name: {"iterations": ordered} for name in targets}
    run = store.create_run("run-1", {"status": status, "targets": list(targets), "orders": orders})
    for target in targets:
        for number in finished:
            frames = frames_of(folder, "run-1", number, target=target)
            run.write_iteration(number, frames, {"host.csv": HOST}, target=target)
    return run


@pytest.mark.parametrize(
    ("status", "finished", "said"),
    [
        ("ok", (1, 2, 3), "VALID"),
        ("slo_failed", (1, 2, 3), "VALID"),
        ("ok", (), "DOUBTFUL: iterations: 0 (expected 3)"),
        ("ok", (1, 3), "DOUBTFUL: iterations: 2 (expected 3)"),
        ("lost", (1, 3),
         "DOUBTFUL: status: lost (expected ok); iterations: 2 (expected 3)"),
        ("interrupted", (1, 2),
         "DOUBTFUL: status: interrupted (expected ok); iterations: 2 (expected 3)"),
        ("running", (1,), "RUNNING"),
        ("running", (), "RUNNING"),
    ],
)  # fmt: skip
def test_a_verdict_knows_how_far_the_run_came(
    store: Store, tmp_path: Path, status: str, finished: Collection[int], said: str
) -> None:
    folder = stored(store, tmp_path, status, finished=finished)
    assert str(Run(folder).verdict) == said
    assert str(Run(open_archive(save(folder, tmp_path / "run.zip"))).verdict) == said


def test_an_iteration_that_could_not_be_read_was_not_measured(store: Store, tmp_path: Path) -> None:
    folder = stored(store, tmp_path, "failed", finished=(1, 2))
    folder.write_iteration(3, Frames.empty(), {"samples.csv": b"?"}, target="mid")
    assert str(Run(folder).verdict) == (
        "DOUBTFUL: status: failed (expected ok); iterations: 2 (expected 3)"
    )


def test_of_several_targets_the_one_that_lacks_iterations_is_named(
    store: Store, tmp_path: Path
) -> None:
    folder = stored(store, tmp_path, "ok", ordered=1, finished=(1,), targets=("mid", "far"))
    assert Run(folder).verdict.valid
    folder.update(orders={"mid": {"iterations": 1}, "far": {"iterations": 2}})
    assert str(Run(folder).verdict) == "DOUBTFUL: iterations of far: 1 (expected 2)"


@pytest.mark.parametrize("orders", [None, [], "x", {"mid": None}, {"mid": {"iterations": "3"}}])
def test_a_run_that_does_not_say_what_was_asked_is_judged_all_the_same(
    store: Store, tmp_path: Path, orders: object
) -> None:
    folder = stored(store, tmp_path, "ok", finished=(1,))
    folder.update(orders=orders)
    assert Run(folder).verdict.valid


def target(name: str) -> Target:
    generator = Generator("10.0.0.50")
    return Target(name, gateway="http://h", generator=generator, functions=[Function("env")])


def test_a_labs_results_stay_where_they_were_when_the_notebook_changes_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    alone, lab = target("mid"), Lab([target("mid")], store="out")
    monkeypatch.chdir("/")
    assert alone.store == tmp_path / "results"
    assert (lab.store.root, lab.target.store) == (tmp_path / "out", tmp_path / "out")


def test_targets_whose_names_one_disk_confuses_are_refused(tmp_path: Path) -> None:
    one = target("Mid")
    with pytest.raises(ConfigError, match="two targets are called 'mid'"):
        Lab([one, target("mid")], store=tmp_path)


@pytest.mark.parametrize("name", ["nöde a", "ü" * 100, "A" * 300, "100%2F"])
def test_a_targets_own_name_stands_in_all_frames(store: Store, tmp_path: Path, name: str) -> None:
    run = Run(stored(store, tmp_path, "ok", ordered=1, finished=(1,), targets=(name, "far")))
    joined = run.summary.join(run.metrics, on=["target", "iteration"])
    assert set(joined["target"]) == {name, "far"}
    assert joined["cpu_fraction"].null_count() == 0
    for log in (part / "k6.log" for part in run.path.glob("iteration=1/*")):
        log.write_text("dial tcp: connect: cannot assign requested address\n")
    assert f"of {name} 1, iteration 1" in str(Run.load(run.path).verdict)
