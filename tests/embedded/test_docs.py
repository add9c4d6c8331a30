"""The site: it is built without a warning, holds all that is public, and needs no network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import dfaas_lab
from dfaas_lab.errors import DfaasLabError

ROOT = Path(__file__).parents[2]
_FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


@pytest.fixture(scope="module")
def builder() -> Any:
    spec = spec_from_file_location("build_docs", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_has_its_place(builder: Any) -> None:
    told = {name for names in builder.API.values() for name in names}
    kinds = {error.__name__ for error in builder.error_kinds(DfaasLabError)} | {"DfaasLabError"}
    assert set(dfaas_lab.__all__) - kinds <= told


def test_every_error_says_what_helps(builder: Any) -> None:
    for error in builder.error_kinds(DfaasLabError):
        assert error.__subclasses__() or "**What helps:**" in builder._told(error), error


def test_the_verdict_page_has_every_kind_of_doubt(builder: Any) -> None:
    page = builder.verdict()
    for doubt in ("drops", "generator CPU", "requests sent late", "time blocked"):
        assert f"\n| {doubt}" in page


class Page(HTMLParser):
    """What a page fetches by itself, what it links to, and the places in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _FETCHED and given.get("rel") not in ("search", "next", "prev", "index"):
            self.fetched.append(given.get(_FETCHED[tag]) or "")
        if tag == "a":
            self.links.append(given.get("href") or "")
        self.places.add(given.get("id") or "")


def _broken(site: Path, pages: dict[Path, Page]) -> Iterator[str]:
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or not (parts.path or parts.fragment):
                continue
            place = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages.get(place)
            if not place.exists() or (known and unquote(parts.fragment) not in known.places | {""}):
                yield f"{path.relative_to(site)}: {link}"


@pytest.mark.slow
def test_the_site_is_built_strictly_and_read_offline() -> None:
    built = subprocess.run(
        [sys.executable, "docs/build.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    site = ROOT / "build" / "site"
    pages = {path: Page(path) for path in site.rglob("*.html")}
    assert {f"{path.relative_to(site)}" for path in pages} >= {
        "index.html",
        "docs/troubleshooting.html",
        "docs/numbers.html",
        "docs/api/target.html",
        "notebooks/04_figures.html",
    }
    remote = [one for page in pages.values() for one in page.fetched if "//" in one]
    assert not remote
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert "url(http" not in styles.replace('"', "").replace("'", "")
    assert "@import" not in styles
    assert list(_broken(site, pages)) == []
    # The figures of the gallery were drawn for it.
    assert len([one for one in pages[site / "notebooks/04_figures.html"].fetched if one]) > 15
