"""Sides measured in turn on the embedded lab: blocks, interrupts, resume."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfaas_lab import ConfigError, Lab, ResumeMismatch
from dfaas_lab.execution.run_handle import RunHandle

TERMS = {"load": {"env": 20}, "duration": "1s", "progress": False}


def test_sides_are_measured_in_turn_and_compared(lab: Lab) -> None:
    sides = {"quiet": lab.target, "busy": (lab.target, {"load": {"env": 60}})}
    got = lab.run_interleaved(sides, blocks=3, seed=1, **TERMS)
    assert got.sides == ("quiet", "busy")
    assert got.interleaved
    assert got.power["blocks"].unique().to_list() == [3]
    assert "measured in turn" in str(got)
    runs = lab.store.runs()
    labels = [label.split(" ", 1)[1] for label in runs["label"].to_list() if " block " in label]
    assert sorted(labels) == sorted(f"block {n} {side}" for n in (1, 2, 3) for side in sides)
    assert {"rate of env differs" in remark for remark in got.remarks} >= {True}


@pytest.mark.slow
def test_an_interrupt_is_resumed_where_it_was(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = {"one": lab.target, "two": lab.target}
    real, calls = RunHandle.wait, []

    def wait(self: RunHandle, *args: object) -> object:
        calls.append(self.run.id)
        if len(calls) == 4:
            self.stop()
            real(self, *args)
            raise KeyboardInterrupt
        return real(self, *args)

    monkeypatch.setattr(RunHandle, "wait", wait)
    with pytest.raises(KeyboardInterrupt) as raised:
        lab.run_interleaved(sides, blocks=3, label="resumed", **TERMS)
    assert "3 of 6 measurements are stored" in raised.value.__notes__[-1]
    with pytest.raises(ResumeMismatch, match="blocks was 3, now 4"):
        lab.run_interleaved(sides, blocks=4, label="resumed", **TERMS)
    calls.append("from here on it is not interrupted")
    before = lab.store.runs().height
    got = lab.run_interleaved(sides, blocks=3, label="resumed", **TERMS)
    assert lab.store.runs().height == before + 3
    assert got.power["blocks"].unique().to_list() == [3]


@pytest.mark.parametrize(
    ("sides", "blocks", "said"),
    [({}, 3, "two sides"), ("one", 2, "cannot show"), ("many", 3, "no option 'iterations'")],
)
def test_what_cannot_be_compared_is_refused(
    lab: Lab, sides: object, blocks: int, said: str, tmp_path: Path
) -> None:
    given = {"a": lab.target, "b": lab.target} if sides else {}
    options = {"iterations": 2} if sides == "many" else {}
    with pytest.raises(ConfigError, match=said):
        lab.run_interleaved(given, blocks=blocks, **options, **TERMS)
