"""Comparing report folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from castalia.errors import DataError
from castalia.reports.comparison import compare, read_report_folder, write_comparison
from castalia.reports.document import render
from castalia.reports.tables import MISSING

GOOD = {
    "kl_per_event": {"value": 0.004, "error": 0.0002, "support": 1.0},
    "resolution": {"largest_discrepancy": 0.008},
    "gate": {"passed": True, "reasons": []},
}
POOR = {"kl_per_event": None, "extra": 3, "gate": {"passed": False, "reasons": ["too wide"]}}


def test_every_metric_stands_beside_the_others(report_folder: Callable[..., Path]) -> None:
    report = compare([report_folder("good", GOOD, ("mass", "pt")), report_folder("poor", POOR)])
    headline, everything, *figures, provenance = report.sections
    (table,) = headline.tables
    assert table.header == ("report", "gate", "kl per event", "resolution: largest discrepancy")
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["good", "passed", "0.00400 ± 0.00020", "0.008"],
        ["poor", "FAILED", MISSING, MISSING],
    ]
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in everything.tables[0].rows}
    assert rows["kl_per_event"] == ["0.00400 ± 0.00020", MISSING]
    assert rows["extra"] == [MISSING, "3"]
    assert rows["gate.reasons"] == ["none", "too wide"]
    assert [len(section.figures) for section in figures] == [2, 1]
    assert all(section.thumbnails for section in figures)
    assert {row[0].text for row in provenance.tables[0].rows} == {"format", "seed", "inputs.a.root"}
    assert render(report).count('type="checkbox"') == 3


def test_folders_of_one_name_are_told_apart(report_folder: Callable[..., Path]) -> None:
    report = compare([report_folder("one/report", GOOD), report_folder("two/report", GOOD)])
    assert report.subtitle == "one/report, two/report"


def test_one_folder_twice_is_refused(report_folder: Callable[..., Path]) -> None:
    folder = report_folder("one", GOOD)
    with pytest.raises(DataError, match="named twice"):
        compare([folder, folder])


def test_nothing_to_compare_is_an_error() -> None:
    with pytest.raises(DataError, match="No report folder"):
        compare([])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("metrics.json", None, "metrics.json: cannot be read"),
        ("metrics.json", "{", "metrics.json: not valid JSON"),
        ("metrics.json", "\xff\xfe", "metrics.json: not valid JSON"),
        ("metrics.json", "[1]", "metrics.json: a JSON object was expected, not list"),
        ("run.json", None, "run.json: cannot be read"),
    ],
)
def test_a_damaged_folder_is_named(
    report_folder: Callable[..., Path], name: str, content: str | None, words: str
) -> None:
    folder = report_folder("broken", GOOD)
    read_report_folder(folder)  # the same folder is fine before
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=words):
        compare([folder])


def test_the_page_is_written_whole(report_folder: Callable[..., Path], tmp_path: Path) -> None:
    output = tmp_path / "site" / "index.html"
    write_comparison([report_folder("good", GOOD)], output)
    assert "kl_<wbr>per_<wbr>event" in output.read_text(encoding="utf-8")
    with pytest.raises(DataError):
        write_comparison([tmp_path / "nowhere"], tmp_path / "other.html")
    assert not (tmp_path / "other.html").exists()
