"""Builds the site from what is there: README, docstrings, notebooks, playbooks. ``make docs``.

The pages are made in ``build/docs``, laid out as the repository, so that links hold in both. Sphinx
runs in its strict mode: a link to nowhere, or a docstring that is no reStructuredText, is an error.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from inspect import cleandoc, isclass
from pathlib import Path

import dfaas_lab
from dfaas_lab import charts, errors
from dfaas_lab.analysis import generator_doubts, run_doubts
from dfaas_lab.analysis.doubt import Kind
from dfaas_lab.playbook_variables import ARGUMENTS, SETTABLE

ROOT = Path(__file__).parents[1]
COPIED = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "notebooks", "playbooks", "docs/numbers.md")

# By page: what is on it. Every public name is on one of them; a test holds it to that.
API = {
    "Lab": ["Lab"],
    "Generator": ["Generator", "Host", "ProvisionReport"],
    "Target": ["Target", "Function", "Limits", "RunHandle"],
    "Run": ["Run", "Verdict", "Doubt"],
    "Campaign": [
        "Campaign",
        "Plan",
        "Linear",
        "Exponential",
        "Random",
        "Custom",
        "Cooldown",
        "Overload",
    ],
    "Comparison": ["compare", "Comparison"],
    "Store": ["store.Store"],
    "Charts": [f"charts.{name}" for name in charts.__all__],
}
STATISTICS = (
    "statistics",
    "intervals",
    "order_statistics",
    "rate_intervals",
    "difference",
    "trend",
    "stability",
    "quantile_bounds",
    "error_budget",
    "scrapes",
)


def main() -> None:
    """Build the site; the place of its first page is the last line."""
    source, site = ROOT / "build" / "docs", ROOT / "build" / "site"
    shutil.rmtree(source, ignore_errors=True)
    shutil.rmtree(site, ignore_errors=True)
    stage(source)
    options = ["-b", "html", "-W", "--keep-going", "-q", "-c", str(ROOT / "docs")]
    ended = subprocess.run([sys.executable, "-m", "sphinx", *options, str(source), str(site)])
    if ended.returncode:
        sys.exit(ended.returncode)
    print(f"The documentation is in {site / 'index.html'}")


def stage(source: Path) -> None:
    """Make all pages: copies, and what follows from the code."""
    for name in COPIED:
        place = source / name
        place.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, place)
    made = {
        "troubleshooting": troubleshooting(),
        "verdict": verdict(),
        "statistics": statistics(),
        "playbooks-variables": playbooks(),
        **{f"api/{_file(title)}": api(title, names) for title, names in API.items()},
    }
    for name, text in made.items():
        page = source / "docs" / f"{name}.md"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    (source / "index.md").write_text(index(), encoding="utf-8")


def index() -> str:
    """The README, and the tables of contents, which the sidebar shows."""
    notebooks = sorted(f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb"))
    api_pages = [f"docs/api/{_file(title)}" for title in API]
    numbers = ["docs/numbers", "docs/verdict", "docs/statistics"]
    tables = {
        "Notebooks": notebooks,
        "Numbers": numbers,
        "Help": ["docs/troubleshooting", "docs/playbooks-variables"],
        "Objects": api_pages,
        "Project": ["CHANGELOG", "CONTRIBUTING"],
    }
    contents = "".join(
        f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n"
        for caption, pages in tables.items()
    )
    return (ROOT / "README.md").read_text(encoding="utf-8") + contents


def api(title: str, names: list[str]) -> str:
    """One page of objects, from their docstrings."""
    drawn = "\n[All of them, drawn.](../../notebooks/04_figures.ipynb)\n" * (title == "Charts")
    return f"# {title}\n{drawn}" + "".join(_documented(name) for name in names)


def _documented(name: str) -> str:
    one: object = dfaas_lab
    for part in name.split("."):
        one = getattr(one, part)
    kind, members = ("class", "\n   :members:") if isclass(one) else ("function", "")
    heading = f"\n## {name.split('.')[-1]}\n"
    return f"{heading}\n```{{eval-rst}}\n.. auto{kind}:: dfaas_lab.{name}{members}\n```\n"


def troubleshooting() -> str:
    """Each error with what it means and what helps, from its docstring."""
    head = "# Troubleshooting, by the error's name\n\nEach error ends with what to do next.\n"
    return head + "".join(
        f"\n## {error.__name__}\n\n{_told(error)}\n" for error in error_kinds(errors.DfaasLabError)
    )


def error_kinds(root: type[errors.DfaasLabError]) -> Iterator[type[errors.DfaasLabError]]:
    """The public errors below one of them, from the top down."""
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
            yield from error_kinds(kind)


def _told(error: type) -> str:
    told, _, _ = cleandoc(error.__doc__ or "").partition("\n>>>")
    told, _, _ = told.partition("\nArgs:")
    return told.replace("``", "`").replace("What helps:", "**What helps:**").strip()


def verdict() -> str:
    """The doubts that a verdict can have, from where they are made."""
    found = [*vars(run_doubts).values(), *vars(generator_doubts).values()]
    found += [kind for one in found if isinstance(one, dict) for kind in one.values()]
    rows = "".join(
        f"| {kind.what} | {kind.expected} | {kind.fix} |\n"
        for kind in found
        if isinstance(kind, Kind)
    )
    return (
        "# The verdict\n\nA run is VALID where the load that was asked for was made, and nothing "
        "speaks against its numbers. Each doubt has its number, what was expected, and what to do."
        f"\n\n| doubt | expected | what to do |\n| --- | --- | --- |\n{rows}"
        "\nAn overloaded node is no doubt: failures and slow answers are what was measured. In a "
        "campaign, these thresholds tell when it is overloaded:\n\n```{eval-rst}\n"
        ".. autoclass:: dfaas_lab.Overload\n   :noindex:\n```\n"
    )


def statistics() -> str:
    """The statistics with their sources, from the modules that compute them."""
    parts = (
        f"\n## {one.replace('_', ' ').capitalize()}\n\n"
        f"```{{eval-rst}}\n.. automodule:: dfaas_lab.analysis.{one}\n```\n"
        for one in STATISTICS
    )
    return "# Statistics, with their sources\n" + "".join(parts)


def playbooks() -> str:
    """The playbooks' variables, with the comments that explain them."""
    settable = ", ".join(f"`{name}`" for name in SETTABLE)
    arguments = "".join(f"| `{name}` | `{argument}` |\n" for name, argument in ARGUMENTS.items())
    variables = (ROOT / "playbooks" / "group_vars" / "all.yml").read_text(encoding="utf-8")
    return (
        "# The playbooks' variables\n\nThe playbooks work without Python, too: `ansible-playbook "
        "playbooks/setup_global.yml -e k6_host=10.0.0.50`.\n\n"
        f"From Python, `Generator(variables={{...}})` takes: {settable}. Others are arguments:\n\n"
        f"| variable | argument |\n| --- | --- |\n{arguments}\n"
        f"What each means, and what holds by default:\n\n```yaml\n{variables}```\n"
    )


def _file(title: str) -> str:
    return title.lower().replace(" ", "_")


if __name__ == "__main__":
    main()
