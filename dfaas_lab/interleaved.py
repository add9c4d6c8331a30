"""Measures sides in turn, in randomised blocks that are stored and can be resumed."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from dfaas_lab.comparison import Comparison, compare_blocks
from dfaas_lab.errors import ConfigError, ResumeMismatch
from dfaas_lab.execution.attach import attach
from dfaas_lab.execution.create import create_run
from dfaas_lab.names import check_options
from dfaas_lab.progress import ELSEWHERE, ProgressView, Step
from dfaas_lab.run import Run
from dfaas_lab.secret import sealed
from dfaas_lab.spec.run_spec import RunOptions
from dfaas_lab.status import COMPLETE, FINAL
from dfaas_lab.store import Store, new_run_id
from dfaas_lab.store.files import errors_as_store_error, replace_file
from dfaas_lab.store.manifest import damage_as_store_error, read_entries
from dfaas_lab.target import Target

if TYPE_CHECKING:
    from dfaas_lab.execution.run_handle import RunHandle

FORMAT = 1
FEWEST_BLOCKS = 3
_ATTEMPTS = 3  # of one block's side, where the run was cut short

_BAR = Step("comparison")

Side = tuple["Target", Mapping[str, Any]]


@dataclass(frozen=True)
class Blocks:
    """What is asked of one comparison, and which runs were made for it.

    Args:
        id: Its id, and the name of its file.
        settings: Sides, blocks and options in words; the same settings go on with it.
        seed: Of the order within blocks.
        runs: The run of each side that was measured, by ``block/side``.
        done: Whether all blocks are measured.
    """

    id: str
    settings: Mapping[str, Any]
    seed: int
    runs: Mapping[str, str] = field(default_factory=dict)
    done: bool = False

    def order(self, block: int) -> list[str]:
        """The order of the sides in one block, drawn from the seed: the same after a resume."""
        sides = sorted(self.settings["sides"])
        random.Random(f"{self.seed}/{block}").shuffle(sides)  # noqa: S311  # no secret
        return sides

    def stored(self) -> bytes:
        """The file's content."""
        entries = {"format": FORMAT, **asdict(self)}
        return (json.dumps(entries, indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def read(cls, path: Path) -> Blocks:
        """Read a comparison's file.

        Raises:
            StoreError: It is damaged, or of a newer dfaas_lab.
        """
        found = read_entries(path)
        with damage_as_store_error(path):
            if found["format"] != FORMAT:
                raise ValueError(f"its format is {found['format']!r}")
            settings, runs = dict(found["settings"]), dict(found["runs"])
            return cls(str(found["id"]), settings, int(found["seed"]), runs, bool(found["done"]))


def run_interleaved(
    sides: Mapping[str, Target | Side],
    store: Store,
    *,
    blocks: int,
    seed: int | None,
    label: str | None,
    view: ProgressView | None,
    options: Mapping[str, Any],
) -> Comparison:
    """Measure sides in turn; see :meth:`dfaas_lab.Lab.run_interleaved`."""
    given = {name: _side(name, side, options) for name, side in sides.items()}
    if len(given) < 2:
        raise ConfigError(
            "a comparison needs two sides or more", hint='Give {"old": target, "new": target}.'
        )
    if not isinstance(blocks, int) or blocks < FEWEST_BLOCKS:
        raise ConfigError(
            f"{blocks!r} blocks cannot show a difference",
            hint=f"Give {FEWEST_BLOCKS} or more; 10 are usual.",
        )
    for target, asked in given.values():  # what cannot be is refused before anything runs
        target._spec(1, **{name: value for name, value in asked.items() if name != "live"})
    settings = _settings(given, blocks, label)
    loop = _Loop(given, store, _resumed(store, settings, seed), view)
    try:
        loop.run(blocks)
    except BaseException as error:
        error.add_note(
            f"{len(loop.asked.runs)} of {blocks * len(given)} measurements are stored: "
            "the same call goes on where it was."
        )
        raise
    return loop.comparison(blocks)


def sealed_env(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of a run with the values of a script's environment as secrets."""
    return {name: sealed(value) if name == "env" else value for name, value in options.items()}


def sealed_sides(sides: Mapping[str, Target | Side]) -> dict[str, Target | Side]:
    """Return the sides with such options.

    Raises:
        ConfigError: They are no mapping, or a tuple is not a target with its options.
    """
    if not isinstance(sides, Mapping):
        raise ConfigError(
            f"sides={sides!r} names no sides", hint='Give {"old": target, "new": target}.'
        )
    for name, side in sides.items():
        if isinstance(side, tuple) and not (len(side) == 2 and isinstance(side[1], Mapping)):
            raise ConfigError(
                f"the side {name!r} is no target with options",
                hint='Give a target, or (target, {"duration": "10s"}).',
            )
    return {
        name: (side[0], sealed_env(side[1])) if isinstance(side, tuple) else side
        for name, side in sides.items()
    }


def _side(name: str, side: Target | Side, options: Mapping[str, Any]) -> Side:
    target, own = side if isinstance(side, tuple) else (side, {})
    for option in ("iterations", "detach", "progress", "chart"):
        if option in own or option in options:
            raise ConfigError(
                f"a side that is measured in turn has no option {option!r}",
                hint="Give blocks=N: each block is one iteration of each side.",
            )
    if not isinstance(target, Target):
        raise ConfigError(
            f"the side {name!r} is no target", hint="Give a target, or (target, {options})."
        )
    asked = {**options, **own}
    check_options("run_interleaved()", asked, [*RunOptions.__annotations__, "live"])
    return target, asked


def _settings(sides: Mapping[str, Side], blocks: int, label: str | None) -> dict[str, Any]:
    described = {
        name: {"target": target.name, "gateway": target.gateway}
        | {option: str(value) for option, value in asked.items() if option not in ("live", "env")}
        for name, (target, asked) in sides.items()
    }
    return {"sides": described, "blocks": blocks, "label": label}


def _resumed(store: Store, settings: Mapping[str, Any], seed: int | None) -> Blocks:
    """The unfinished comparison of these settings, or a new one.

    Raises:
        ResumeMismatch: An unfinished one of this label asks for something else.
    """
    for path in sorted(_folder(store).glob("*.json"), reverse=True):
        found = Blocks.read(path)
        if found.done:
            continue
        if found.settings == settings and seed in (None, found.seed):
            return found
        if settings["label"] is not None and found.settings["label"] == settings["label"]:
            raise ResumeMismatch(
                f"the comparison {settings['label']!r} was begun with other settings: "
                f"{_difference(found.settings, settings) or f'seed {found.seed}'}",
                hint="Ask for what is stored to go on with it, or give another label=.",
            )
    drawn = secrets.randbelow(2**32) if seed is None else seed
    return Blocks(new_run_id(), settings, drawn)


def _difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{key} was {then.get(key)!r}, now {now[key]!r}" for key in now if then.get(key) != now[key]
    )


def _folder(store: Store) -> Path:
    return store.root / "comparisons"


@dataclass
class _Loop:
    """Measures block after block, and writes each run down before the next begins."""

    sides: Mapping[str, Side]
    store: Store
    asked: Blocks
    view: ProgressView | None
    step: Step = _BAR

    def run(self, blocks: int) -> None:
        """Measure what is missing."""
        every = [
            (block, side) for block in range(1, blocks + 1) for side in self.asked.order(block)
        ]
        state = "interrupted"
        try:
            for number, (block, side) in enumerate(every):
                text = f"block {block} of {blocks}, {side}"
                self.step = replace(_BAR, done=number, total=len(every), text=text)
                self._measure(block, side)
            self._save(replace(self.asked, done=True))
            state, self.step = "ok", replace(self.step, text=f"{blocks} blocks measured")
        finally:
            if self.view is not None:
                self.view.close((replace(self.step, state=state),))  # type: ignore[arg-type]

    def comparison(self, blocks: int) -> Comparison:
        """Compare what was measured."""
        frames: dict[str, list[pl.DataFrame]] = {name: [] for name in self.sides}
        for block in range(1, blocks + 1):
            for name, own in frames.items():
                summary = self._run(self.asked.runs[f"{block}/{name}"]).summary
                own.append(summary.with_columns(iteration=pl.lit(block, pl.Int64)))
        notes = self._doubts()
        return compare_blocks({name: pl.concat(own) for name, own in frames.items()}, notes=notes)

    def _doubts(self) -> list[str]:
        runs = [self._run(run_id) for run_id in self.asked.runs.values()]
        doubtful = [run.id for run in runs if not run.verdict.valid]
        if not doubtful:
            return []
        told = ", ".join(doubtful[:3]) + (" ..." if len(doubtful) > 3 else "")
        return [f"{len(doubtful)} of {len(runs)} runs are doubtful: {told}"]

    def _measure(self, block: int, side: str) -> None:
        key = f"{block}/{side}"
        for _ in range(_ATTEMPTS):
            known = self.asked.runs.get(key)
            if known is not None and self._run(known).status in FINAL:
                run: Run | None = self._run(known)
            else:
                run = self._wait(key, self._handle(key, block, side))
            if run is not None and run.status in COMPLETE:
                return
            self._forget(key)
        raise ConfigError(
            f"{side} was cut short {_ATTEMPTS} times in block {block}",
            hint=f"Look at the last runs of {self.sides[side][0].name} in the store.",
        )

    def _handle(self, key: str, block: int, side: str) -> RunHandle:
        """The run that an earlier process began, or a new one."""
        target, asked = self.sides[side]
        known = self.asked.runs.get(key)
        if known is not None:
            return attach(
                self.store.find(known),
                {target.name: target._session},
                shown=ELSEWHERE,
            )
        options = dict(asked)
        live = options.pop("live", None)
        handle = create_run(
            self.store.root,
            [target._part(target._spec(1, **options))],
            label=f"{self.asked.settings['label'] or self.asked.id} block {block} {side}",
            live=live,
            shown=ELSEWHERE,
            seed=self.asked.seed,
            campaign={"id": self.asked.id, "block": block, "side": side},
        )
        self._save(replace(self.asked, runs={**self.asked.runs, key: handle.run.id}))
        return handle

    def _wait(self, key: str, handle: RunHandle) -> Run:
        try:
            return handle.wait(_InBlock(self.view, lambda: self.step))
        except BaseException:
            if handle.run.status in FINAL and handle.run.status not in COMPLETE:
                self._forget(key)
            raise

    def _forget(self, key: str) -> None:
        """A run that was cut short does not count: its side is measured again in this block."""
        runs = {name: run_id for name, run_id in self.asked.runs.items() if name != key}
        self._save(replace(self.asked, runs=runs))

    def _save(self, asked: Blocks) -> None:
        folder = _folder(self.store)
        with errors_as_store_error(folder, "writing"):
            folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / f"{asked.id}.json", asked.stored())
        self.asked = asked

    def _run(self, run_id: str) -> Run:
        return Run(self.store.find(run_id))


@dataclass
class _InBlock:
    """Draws a run's bars below that of the comparison, whose end is not a run's."""

    view: ProgressView | None
    step: Callable[[], Step]

    def draw(self, steps: tuple[Step, ...]) -> None:
        """Show the comparison's bar and the run's."""
        if self.view is not None:
            self.view.draw((self.step(), *(replace(one, label="run") for one in steps)))

    def close(self, steps: tuple[Step, ...]) -> None:
        """Leave nothing: the next run goes on below the same bar."""
