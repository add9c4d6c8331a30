"""The examples in the public docstrings are true: they run, in one embedded lab."""

from __future__ import annotations

import doctest
import inspect
import json
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import dfaas_lab
from dfaas_lab import Cooldown, Lab, Plan, charts
from dfaas_lab.errors import UnknownName, UnknownOption
from dfaas_lab.store import Store, new_run_id

# What is public, though not among the package's own names, and what ends what the others need.
_MORE = {
    "Store": Store,
    "UnknownName": UnknownName,
    "UnknownOption": UnknownOption,
    **{name: getattr(charts, name) for name in charts.__all__},
}
_LAST = ("Generator.close", "Lab.teardown", "Lab.close")
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _documented() -> dict[str, Any]:
    """Everything public that can be called, by its name."""
    public = {name: getattr(dfaas_lab, name) for name in dfaas_lab.__all__} | _MORE
    found = dict(public)
    for name, one in public.items():
        if isinstance(one, type) and not issubclass(one, BaseException):
            found |= {f"{name}.{own}": method for own, method in _methods(one)}
    return {name: found[name] for name in sorted(found.keys() - _LAST, key=str) + list(_LAST)}


def _methods(kind: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a class itself, as functions."""
    for name, member in vars(kind).items():
        inside = (getattr(member, wrapped, None) for wrapped in ("__func__", "func", "fget"))
        function = next((one for one in inside if one is not None), member)
        if not name.startswith("_") and inspect.isfunction(function):
            yield name, function


DOCUMENTED = _documented()


def _examples(name: str) -> doctest.DocTest:
    one = DOCUMENTED[name]
    docstring = inspect.getdoc(one) or ""
    return doctest.DocTestParser().get_doctest(docstring, {}, name, None, None)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("docstrings"))
        with Lab.local() as lab:
            lab.provision()
            yield lab


@pytest.fixture(scope="module")
def names(lab: Lab) -> dict[str, Any]:
    """What the examples use without making it."""
    target = lab.target
    assert lab._local is not None
    Path("lab.yml").write_text(json.dumps(lab._local.facts()))
    quick = {"duration": "1s", "progress": False}
    run = target.run_k6(3, load={"figlet": 10, "env": 20}, label="first", **quick)
    before, after = (target.run_k6(3, load={"env": rate}, **quick) for rate in (10, 20))
    campaign = lab.campaign(
        Plan(["env", "figlet"], [5, 10], sizes=(2, 2)),
        iterations=1,
        duration="1s",
        cooldown=Cooldown.fixed("0s"),
        label="study",
        progress=False,
    ).run()
    handle = target.start_k6(load={"env": 5}, duration="1s")
    handle.wait()
    made = {
        "lab": lab,
        "report": lab.provision(progress=False),
        "target": target,
        "generator": lab.generator,
        "run": run,
        "before": before,
        "after": after,
        "campaign": campaign,
        "handle": handle,
    }
    used = {"pl": pl, "timedelta": timedelta, "new_run_id": new_run_id, "Path": Path}
    public = {name: getattr(dfaas_lab, name) for name in dfaas_lab.__all__}
    return {**public, **_MORE, **used, **made}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in DOCUMENTED if _examples(name).examples])
def test_an_example_does_what_it_says(name: str, names: dict[str, Any]) -> None:
    if name == "Target.metrics" and names["target"].prometheus is None:
        pytest.skip("no prometheus here, and none could be fetched")
    told: list[str] = []
    test = _examples(name)
    module = vars(import_module(DOCUMENTED[name].__module__))
    test.globs = {**module, **names}
    failed = doctest.DocTestRunner(optionflags=_FLAGS).run(test, out=told.append).failed
    assert not failed, "".join(told)
    assert not any(example.options.get(doctest.SKIP) for example in test.examples)


@pytest.mark.parametrize(
    "name",
    [n for n, o in DOCUMENTED.items() if not (isinstance(o, type) and issubclass(o, Exception))],
)
def test_everything_public_has_an_example(name: str) -> None:
    assert _examples(name).examples, f"{name} has no example"
