"""``lab.attach()`` takes the newest run that this lab can attach to."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfaas_lab import Function, Generator, Lab, StoreError, Target
from dfaas_lab.execution.attach import newest
from dfaas_lab.execution.create import _described
from dfaas_lab.remote.workspace import Workspace


def lab(store: Path, target: str, generator: str = "big") -> Lab:
    return Lab(
        [
            Target(
                target,
                gateway="http://192.0.2.2",
                generator=Generator("192.0.2.1", name=generator),
                functions=[Function("env")],
            )
        ],
        store=store,
    )


def begin(of: Lab, run_id: str, status: str = "running") -> None:
    """Store a run as it is when it begins."""
    part = of.target._part(of.target._spec(2))
    orders = {of.target.name: _described(part, [Workspace.new("/tmp/runs") for _ in range(2)])}
    manifest = {"targets": [of.target.name], "orders": orders, "status": status}
    of.store.create_run(run_id, manifest)


def test_runs_of_other_labs_and_those_that_ended_are_passed_over(tmp_path: Path) -> None:
    mine, other, elsewhere = lab(tmp_path, "a"), lab(tmp_path, "b"), lab(tmp_path, "a", "small")
    begin(mine, "20260101T000000-aaaaaa", "lost")
    begin(mine, "20260102T000000-bbbbbb")
    begin(mine, "20260103T000000-cccccc", "ok")
    begin(other, "20260104T000000-dddddd")
    begin(elsewhere, "20260105T000000-eeeeee")
    mine.store.create_run("20260106T000000-ffffff", {"status": "running"})  # says nothing
    assert newest(mine.store, mine._sessions()).run_id == "20260102T000000-bbbbbb"
    assert newest(mine.store, other._sessions()).run_id == "20260104T000000-dddddd"


def test_where_there_is_none_the_reason_is_told(tmp_path: Path) -> None:
    mine, other = lab(tmp_path, "a"), lab(tmp_path, "b")
    with pytest.raises(StoreError, match="has ended"):
        mine.attach()
    begin(other, "20260104T000000-dddddd")
    with pytest.raises(StoreError, match=r"none is of this lab.*measures b from the generator big"):
        mine.attach()
