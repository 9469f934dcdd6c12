"""The page: self-contained, escaped, deterministic; bad figures are named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from castalia.errors import DataError
from castalia.reports.document import FigureItem, Headline, Report, Section, Verdict, render, write_report
from castalia.reports.tables import Cell, TableItem, measured

HOSTILE = "<script>alert('x')</script>\"&"


def _report(png: Path, word: str = "word") -> Report:
    table = TableItem(word, (word, "n"), ((Cell(word), measured(1.0)), (Cell(word), measured(None))), word)
    section = Section(word, (word,), (FigureItem(png, word, word),), (table,))
    cards = (Headline(word, measured(1.0, 0.1), measured(0.5), word, True),)
    return Report(word, word, Verdict(False, (word,)), (section, section), {word: {word: word}}, cards)


def test_the_page_needs_nothing_but_itself(tmp_path: Path, draw: Callable[..., Path]) -> None:
    page = render(_report(draw(tmp_path / "a.png")))
    addresses = re.findall(r"""(?:src|href)=["']([^"']*)""", page)
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "url(" not in page
    assert "@import" not in page
    assert "http:" not in page
    assert "https:" not in page


def test_hostile_words_are_escaped_everywhere(tmp_path: Path, draw: Callable[..., Path]) -> None:
    png = draw(tmp_path / "a.png")
    hostile, tame = render(_report(png, HOSTILE)), render(_report(png))
    assert "alert(" in hostile  # the words do stand on the page …
    assert hostile.count("<script") == tame.count("<script") == 1  # … but open no element
    assert HOSTILE not in hostile
    assert not re.search(r'(alt|aria-label)="[^"]*<', hostile)


def test_equal_reports_give_equal_pages(tmp_path: Path, draw: Callable[..., Path]) -> None:
    png = draw(tmp_path / "a.png")
    assert render(_report(png)) == render(_report(png))
    assert render(_report(png)) != render(_report(png, "other"))


def test_what_is_known_stands_on_the_page(tmp_path: Path, draw: Callable[..., Path]) -> None:
    page = render(_report(draw(tmp_path / "a.png", 40, 30)))
    assert "FAILED" in page
    assert "PASSED" not in page
    assert 'data-sort="1.0"' in page
    assert "data-missing" in page
    assert 'width="40" height="30" alt="word"' in page
    assert 'class="narrow"' in page
    assert 'name="viewport"' in page
    assert "prefers-color-scheme" in page


def test_a_flat_or_large_figure_takes_the_whole_width(tmp_path: Path, draw: Callable[..., Path]) -> None:
    assert 'class="wide"' in render(_report(draw(tmp_path / "flat.png", 60, 20)))
    assert 'class="wide"' in render(_report(draw(tmp_path / "large.png", 1500, 1500)))


def test_a_report_without_verdict_sections_and_provenance_renders() -> None:
    page = render(Report("t", "s", None, ()))
    assert "FAILED" not in page
    assert "Provenance" not in page


def test_missing_and_wrong_figures_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png: the figure cannot be read"):
        render(_report(tmp_path / "gone.png"))
    (tmp_path / "page.png").write_text("<html>" * 10)
    with pytest.raises(DataError, match=r"page\.png: not a PNG"):
        render(_report(tmp_path / "page.png"))


def test_a_failed_write_leaves_the_old_page(tmp_path: Path, draw: Callable[..., Path]) -> None:
    target = tmp_path / "report.html"
    write_report(_report(draw(tmp_path / "a.png")), target)
    before = target.read_bytes()
    with pytest.raises(DataError):
        write_report(_report(tmp_path / "gone.png"), target)
    assert target.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "report.html"]
