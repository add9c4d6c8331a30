"""Damaged samples files, at random: read or refused with one kind of error, in linear time."""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path

import pytest

from dfaas_lab.errors import ResultsUnreadable
from dfaas_lab.k6.results import read
from dfaas_lab.load import Function, Load
from tests.unit.sample_files import HEADERS, T0, Request, mark, rows_of, text_of

LOAD = Load.of({"figlet": 10}, duration="1s", functions=[Function("figlet")])
PIECES = [b"NaN", b"-1", b"9" * 25, b'"', b",", b"\n", b"\x00", b"\xff", b"&", b"=", b"=" * 300,
          b"1e400", b"vu=1", b"http_reqs"]  # fmt: skip


def text(seed: int, requests: int) -> bytes:
    chance = random.Random(seed)
    made = [
        Request(
            end_ns=T0 + n * 10**7, vu=n % 7 + 1, iter=n,
            tags={"function": "figlet", "a b": chance.choice(["x", 'y"z', "1,2", "n\nl"])},
            function_ns=chance.choice([None, 10**6]), served_by=chance.choice([None, "node 1"]),
        )
        for n in range(requests)
    ]  # fmt: skip
    rows = [row for one in made for row in rows_of(one, chance)]
    rows += [mark("dropped_iterations", T0, "f0"), mark("mine", T0, "f0", 3.0)]
    return text_of(rows, HEADERS[seed % len(HEADERS)]).encode()


def damaged(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        until = at + chance.choice([0, 0, 1, 5, 40])
        changed[at:until] = chance.choice([*PIECES, chance.randbytes(3)])
    return bytes(changed[: chance.choice([len(changed), chance.randrange(len(changed))])])


def read_one(path: Path, load: Load | None) -> None:
    with contextlib.suppress(ResultsUnreadable):
        read(
            path, run_id="r", target="t", iteration=1, load=load,
            scenarios={"f0": "figlet"} if load else {}, started_at=None, status="ok",
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_no_damage_gives_another_error(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    content = text(seed, 5)
    for number in range(60):
        path = tmp_path / f"samples [{number}].csv"
        path.write_bytes(damaged(content, chance))
        read_one(path, LOAD if number % 2 else None)


@pytest.mark.parametrize("piece", PIECES)
def test_the_time_grows_with_the_size(tmp_path: Path, piece: bytes) -> None:
    spent = []
    for requests in (300, 3000):
        path = tmp_path / "samples.csv"
        path.write_bytes(text(1, requests) + piece * requests * 10)
        began = time.process_time()
        read_one(path, None)
        spent.append(time.process_time() - began)
    assert spent[1] < 30 * max(spent[0], 0.05)
