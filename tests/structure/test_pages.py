"""Pages of docs/ are short, linked to each other, listed in the site's navigation, and in plain words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scripts import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TOP_PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
MAX_WORDS = 1200
LOGS = {"research/experiments.md"}  # entries are appended
LOOKED_UP = {"reference/errors.md"}  # a table that a program writes
WRITTEN = ("reference/cli/", "reference/json/")  # by programs; their index pages are in the navigation
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
STRANGE_WORDS = re.compile(
    r"\b(foretell\w*|foretold|anew|amiss|hang on|beside|whoever|needn't|says what is|is told|are told)\b",
    re.IGNORECASE,
)


def name_of(page: Path) -> str:
    return page.relative_to(DOCS if page.is_relative_to(DOCS) else ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    results = set()
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE):
        text = re.sub(r"[^\w\s-]", "", heading.lower())
        results.add(re.sub(r"\s+", "-", text.strip()))
    return results


@pytest.mark.parametrize("page", [*PAGES, *TOP_PAGES], ids=name_of)
def test_a_page_is_read_in_five_minutes(page: Path) -> None:
    if name_of(page) not in LOGS | LOOKED_UP:
        assert len(page.read_text("utf-8").split()) <= MAX_WORDS


@pytest.mark.parametrize("page", [*PAGES, *TOP_PAGES, ROOT / "CHANGELOG.md"], ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text("utf-8"))
    for link in LINK.findall(text):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def test_every_page_is_in_the_navigation() -> None:
    site = (ROOT / "mkdocs.yml").read_text("utf-8")
    listed = re.findall(r":\s+([\w/.-]+\.md)$", site, re.MULTILINE)
    assert sorted(listed) == sorted(name for name in map(name_of, PAGES) if not name.startswith(WRITTEN))


def test_logs_are_under_research() -> None:
    assert all(name.startswith("research/") and (DOCS / name).exists() for name in LOGS)


@pytest.mark.parametrize("page", [*PAGES, *TOP_PAGES], ids=name_of)
def test_words_are_plain(page: Path) -> None:
    if name_of(page) not in LOGS | LOOKED_UP and not name_of(page).startswith(WRITTEN):
        assert STRANGE_WORDS.findall(page.read_text("utf-8")) == []


@pytest.mark.parametrize("folder", ["isthmus", "tests", "benchmarks", "studies", "tools"])
def test_pages_and_scripts_that_code_names_exist(folder: str) -> None:
    named = re.compile(r"\b(?:docs|benchmarks|studies|tools)/[\w/.-]+\.(?:md|py)\b")
    missing = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in (ROOT / folder).rglob("*.py")
        for name in named.findall(path.read_text("utf-8"))
        if not (ROOT / name).exists()
    }
    assert missing == set()


@pytest.mark.parametrize("page", [p for p in PAGES if p.parent.name == "develop"], ids=name_of)
def test_files_named_for_developers_exist(page: Path) -> None:
    if page.stem == "modules-0.1":  # a table of names that are gone
        return
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", page.read_text("utf-8")))
    missing = {
        name
        for name in named
        if not any((ROOT / place / name).exists() for place in (".", "isthmus", "tests"))
    }
    assert not missing
