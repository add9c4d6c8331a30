"""A file that somebody names may be a FIFO, a device or huge: it is refused, and nothing waits."""

from __future__ import annotations

import os
import re
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from dfaas_lab import ConfigError, Function
from dfaas_lab.k6.generator_load import read_log
from dfaas_lab.labfile import read
from dfaas_lab.regular_file import read_regular, text_of_regular
from tests.scenarios import scenarios


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(50 * 10**9)


def folder(path: Path) -> None:
    path.mkdir()


def circle(path: Path) -> None:
    path.symlink_to(path.name)


ODD = [fifo, device, huge, folder, circle]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", ODD)
def test_it_is_refused_at_once_and_with_a_reason(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    for name in ("lab.yml", "lab.json", "lab.toml"):
        make(tmp_path / name)
        tracemalloc.start()
        with pytest.raises(ConfigError, match=rf"lab file .*{name} cannot be read: \w"):
            read(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
        tracemalloc.stop()
    with pytest.raises(OSError, match=re.compile(".")):
        read_regular(tmp_path / "lab.yml", most_bytes=1000)
    with pytest.raises(ConfigError, match="body's file cannot be read"):
        Function("f", body=tmp_path / "lab.yml").body_bytes()


def test_the_limit_is_the_last_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 10)
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", most_bytes=10) == b"x" * 10
    with pytest.raises(OSError, match="10 bytes, and 9 are the most"):
        read_regular(tmp_path / "file", most_bytes=9)


@pytest.mark.timeout(30)
def test_of_a_log_without_end_or_lines_the_beginning_is_read(tmp_path: Path) -> None:
    log = tmp_path / "k6.log"
    log.write_text("dial: no such host\n")
    os.truncate(log, 50 * 10**9)  # one line
    with text_of_regular(log, most_bytes=1000) as lines:
        assert len(lines.read()) == 1000
    assert read_log(log)[0]


def test_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=re.escape(str(tmp_path))):
        read_regular(tmp_path)


LETTERS = list(pairwise("abcdefghijklmnopqrst"))
NESTED = {
    "aliases of aliases": "a: &a [x, x]\n"
    + "".join(f"{new}: &{new} [*{old}, *{old}]\n" for old, new in LETTERS),
    "an alias of itself": "a: &a [*a]\n",
    "merged bombs": "a: &a {x: 1}\n"
    + "".join(f"{new}: &{new} {{<<: [*{old}, *{old}]}}\n" for old, new in LETTERS),
    "depth": "[" * 100_000,
    "a Python object": "a: !!python/object/apply:os.system [id]\n",
    "a Python name": "a: !!python/name:os.system\n",
    "an unknown tag": "a: !vault |\n  x\n",
    "a set of sets": "a: !!set {? !!set {x}}\n",
    "no timestamp": "a: !!timestamp 9999-99-99\n",
    "no binary": "a: !!binary '*'\n",
    "a long number": "a: " + "9" * 10_000 + "\n",
    "a number to the base 60": "a: " + "1:" * 50_000 + "1\n",
    "no float": "a: !!float x\n",
    "many documents": "---\na: 1\n" * 1000,
    "a null": "a: \0\n",
    "a key without end": f"? {'k' * 200_000}\n: 1\n",
    "many keys": "".join(f"k{n}: 1\n" for n in range(20_000)),
    "an unknown anchor": "a: *none\n",
}  # fmt: skip
LONG = {"many keys", "a number to the base 60"}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", scenarios(NESTED, NESTED.keys() - LONG))
def test_yaml_that_is_more_than_it_looks_is_refused(tmp_path: Path, what: str) -> None:
    (tmp_path / "lab.yml").write_text(NESTED[what])
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / "lab.yml")
    assert len(str(caught.value)) < 21_000


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lab.toml", "a." * 400_000 + "b = 1\n"),
        ("lab.toml", 'x = {"a".' + "'b' . " * 100_000 + "c = 1}\n"),
        ("lab.toml", "a = " + "[" * 100_000),
        ("lab.toml", "".join(f"[t{n}]\n" for n in range(50_000))),
        ("lab.json", "[" * 400_000),
        ("lab.json", '{"a":' * 100_000),
        ("lab.json", '{"a": ' + "9" * 10_000 + "}"),
        ("lab.json", '{"a": NaN, "b": Infinity, "c": 1e999}'),
        ("lab.json", "[" + "1," * 400_000 + "1]"),
    ],
    ids=range(9),
)
def test_so_are_toml_and_json(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError):
        read(tmp_path / name)


def test_values_of_a_type_of_yaml_alone_are_refused(tmp_path: Path) -> None:
    for odd in (
        "!!binary aGFsbG8=",
        "2024-01-01",
        "!!set {a}",
        "!!omap [a: 1]",
        ".nan",
        "!!null x",
    ):
        (tmp_path / "lab.yml").write_text(
            f"generators: [{{host: g, variables: {{task_timeout_s: {odd}}}}}]\n"
            "targets: [{name: t, gateway: 'http://h', functions: [env]}]\n"
        )
        with pytest.raises(ConfigError, match="task_timeout_s"):
            read(tmp_path / "lab.yml")
