"""Every regular expression of the package takes time that grows with its text, not its square."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import dfaas_lab
from dfaas_lab import completion
from dfaas_lab.k6 import output, thresholds
from dfaas_lab.load import duration
from dfaas_lab.provision import hints
from dfaas_lab.secret_values import _word
from tests.scenarios import scenarios

FOLDER = Path(dfaas_lab.__file__).parent
# Who makes a pattern in a function, and why it has to; each is in BUILT, but for the first two.
BUILDERS = {
    "services/queries.py": "a pattern of the user's own queries, which runs on 1,000 characters",
    "services/target_metrics.py": "the same",
    "k6/output.py": "an iteration's name is in it",
    "k6/thresholds.py": "what a metric can be asked is in it",
    "provision/hints.py": "a table of patterns and hints; on 8,000 characters",
    "secret_values.py": "the secret is in it",
}
LENGTH = 6000
# Where the text is cut before.
SHORTER = {
    "k6.output._NOISE": output._LONGEST_NOISE,
    "load.duration._PART": duration._MOST_CHARACTERS,
    "completion._KEY": completion._MOST,
}
# A pattern that takes the square of this does 64 million steps, and a linear one some thousand.
MOST_S = 0.15
PIECES = [
    *" \t\n\"'`()[]{}<>/\\.,:;=-+_@#$%&?!|~^*0aZé\x00\x1b\u2028",
    "a ", "a=", "a.", "a/", "a:", "1.", "1:", "0m", "1ms", "//", "./", "..", "[x", "${", "{a", "%2",
    "?a=", ";a=b", "&a=", "://", "a@", '"a', "'/", "-a", "a-", "=/", "* ", "a\n", "[ 1% ]", "é ",
]  # fmt: skip


Pattern = re.Pattern[str] | re.Pattern[bytes]


def patterns() -> Iterator[tuple[str, Pattern]]:
    """The compiled patterns of every module, by name."""
    for found in pkgutil.walk_packages(dfaas_lab.__path__, "dfaas_lab."):
        if found.name == "dfaas_lab.__main__":
            continue
        for name, value in vars(importlib.import_module(found.name)).items():
            if isinstance(value, re.Pattern):
                yield f"{found.name.removeprefix('dfaas_lab.')}.{name}", value


def built() -> Iterator[tuple[str, Pattern]]:
    """Those that are made of what they are given."""
    journal = output.K6Output("a1")
    yield "output, ended", journal._ended
    yield "output, stopping", journal._stopping
    yield "secret_values, a word", _word("ab1")
    for asked in sorted({*thresholds._ASKED_OF.values()}):
        rule = thresholds._EXPRESSION.format(asked=asked, number=thresholds._NUMBER)
        yield f"threshold {asked}", re.compile(rule)
    for number, (pattern, _) in enumerate(hints._HINTS):
        yield f"hint {number}", re.compile(pattern, re.IGNORECASE)


ALL = dict(chain(patterns(), built()))


def used(name: str) -> set[str]:
    """The methods that the package calls on a pattern; those of one that is built by its kind."""
    module, _, variable = name.rpartition(".")
    file = FOLDER / f"{module.replace('.', '/')}.py"
    if not file.is_file():
        return {"fullmatch" if name.startswith(("threshold", "output")) else "finditer"}
    called = set(re.findall(rf"\b{variable}\.(\w+)\(", file.read_text()))
    return {name if "match" in name else "finditer" for name in called} or {"fullmatch", "finditer"}


def openings(pattern: Pattern) -> list[str]:
    """What may lead into the middle of a pattern: the words that are written in it."""
    written = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode()
    words = re.findall(r"[A-Za-z0-9 =:/\"'.<@\[({-]{2,}", written)
    return ["", *dict.fromkeys(word.lstrip("bswdS") for word in words[:4])]


def seconds(pattern: Pattern, how: set[str], asked: str) -> float:
    text: Any = asked if isinstance(pattern.pattern, str) else asked.encode()
    began = time.process_time()
    for method in how & {"match", "fullmatch"}:
        getattr(pattern, method)(text)
    if "finditer" in how:
        for _ in pattern.finditer(text):
            pass
    return time.process_time() - began


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", scenarios(ALL, [*ALL][::8]))
def test_it_is_linear(name: str) -> None:
    pattern, how = ALL[name], used(name)
    length = SHORTER.get(name, LENGTH)
    for piece in PIECES:
        for first in openings(pattern):
            for text in (first + piece * length, (first + piece) * length):
                text = f"{text[:length]}\x01"
                # The fastest of some: another process takes the processor and its caches.
                spent = seconds(pattern, how, text)
                if spent > MOST_S:
                    spent = min(seconds(pattern, how, text) for _ in range(3))
                assert spent <= MOST_S, f"{name} on {text[:60]!r}: {spent:.2f} s"


def test_no_other_function_makes_a_pattern() -> None:
    methods = ("compile", "match", "search", "sub", "findall", "split", "fullmatch", "finditer")
    makers = {f"re.{method}" for method in methods}
    found = set()
    for file in FOLDER.rglob("*.py"):
        tree = ast.parse(file.read_text())
        inside = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.Lambda)]
        for node in chain.from_iterable(map(ast.walk, inside)):
            call = node.func if isinstance(node, ast.Call) else None
            if isinstance(call, ast.Attribute) and ast.unparse(call) in makers:
                found.add(file.relative_to(FOLDER).as_posix())
    assert found == set(BUILDERS)
