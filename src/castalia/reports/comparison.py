"""Several report folders side by side: one page with every metric, every figure and where each came from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from castalia.errors import DataError
from castalia.reports.document import FigureItem, Report, Section, write_report
from castalia.reports.tables import MISSING, Cell, TableItem, cell, flatten, metric_cells, status

__all__ = ["ReportFolder", "compare", "distinct_names", "read_report_folder", "write_comparison"]


@dataclass(frozen=True)
class ReportFolder:
    """What one evaluation left behind.

    Attributes:
        path: The folder.
        metrics: Content of ``metrics.json``.
        record: Content of ``run.json``.
        figures: Figure name (without ending) to PNG file, in order of name.
    """

    path: Path
    metrics: Mapping[str, object]
    record: Mapping[str, object]
    figures: Mapping[str, Path]


def read_report_folder(path: Path) -> ReportFolder:
    """Read a report folder.

    Raises:
        DataError: If ``metrics.json`` or ``run.json`` is missing or is not a JSON object; the file is named.
    """
    return ReportFolder(
        path,
        _read_object(path / "metrics.json"),
        _read_object(path / "run.json"),
        {png.stem: png for png in sorted((path / "figures").glob("*.png"))},
    )


def compare(folders: Sequence[Path]) -> Report:
    """Build the page of ``castalia report``: headline numbers, all metrics, figures as thumbnails, provenance.

    Args:
        folders: Report folders, in the order in which the page shall show them.

    Raises:
        DataError: If there is no folder, or one cannot be read.
    """
    if not folders:
        raise DataError("No report folder was given; name at least one folder written by 'evaluate'.")
    names = distinct_names(folders)
    reports = dict(zip(names, (read_report_folder(folder) for folder in folders), strict=True))
    metrics = {name: metric_cells(report.metrics) for name, report in reports.items()}
    sections = [
        Section("Headline numbers", tables=(_headline_table(reports, metrics),)),
        Section("All metrics", tables=(_side_by_side("One row a metric, one column a report", "metric", metrics),)),
        *_figure_sections(reports),
    ]
    records = {name: _each(cell, flatten(report.record)) for name, report in reports.items()}
    sections.append(
        Section("Where they come from", tables=(_side_by_side("run.json of each report", "entry", records),))
    )
    title = f"{len(reports)} reports compared" if len(reports) > 1 else f"Report {names[0]}"
    return Report(title, ", ".join(names), None, tuple(sections))


def write_comparison(folders: Sequence[Path], output: Path) -> None:
    """Write the page of :func:`compare` to ``output``, whole or not at all.

    Raises:
        DataError: If there is no folder, or one cannot be read.
    """
    write_report(compare(folders), output)


def _read_object(path: Path) -> Mapping[str, object]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); give a folder written by 'castalia … evaluate'."
        ) from error
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON ({error}); run the evaluation again.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: a JSON object was expected, not {type(content).__name__}; run the evaluation again.")
    return content


def distinct_names(folders: Sequence[Path]) -> tuple[str, ...]:
    """Name each folder by as few trailing parts of its path as tell it from the others.

    Raises:
        DataError: If one is named twice.
    """
    parts = [folder.resolve().parts for folder in folders]
    for depth in range(1, max(len(p) for p in parts) + 1):
        names = tuple("/".join(p[-depth:]) for p in parts)
        if len(set(names)) == len(names):
            return names
    twice = next(path for path in folders if [one.resolve() for one in folders].count(path.resolve()) > 1)
    raise DataError(f"{twice}: is named twice; name every folder once.")


def _headline_keys(reports: Mapping[str, ReportFolder]) -> tuple[str, ...]:
    """Choose what was measured as a whole: entries with a ``value``, and those called largest something."""
    keys: dict[str, None] = {}
    for report in reports.values():
        for name in flatten(report.metrics):
            parts = name.split(".")
            if parts[-1] == "value":
                keys[name.removesuffix(".value")] = None
            elif parts[-1].startswith("largest_") and not parts[-1].endswith("_error"):
                keys[name] = None
    return tuple(keys)


def _headline_table(reports: Mapping[str, ReportFolder], metrics: Mapping[str, Mapping[str, Cell]]) -> TableItem:
    keys = _headline_keys(reports)
    missing = Cell(MISSING, numeric=True)
    rows = []
    for name, report in reports.items():
        passed = flatten(report.metrics).get("gate.passed")
        verdict = status(passed if isinstance(passed, bool) else None)
        rows.append((Cell(name), verdict, *(metrics[name].get(key, missing) for key in keys)))
    header = ("report", "gate", *(key.replace("_", " ").replace(".", ": ") for key in keys))
    return TableItem("One row a report; click a title to sort", header, tuple(rows))


def _side_by_side(caption: str, first: str, columns: Mapping[str, Mapping[str, Cell]]) -> TableItem:
    names = dict.fromkeys(name for column in columns.values() for name in column)
    rows = tuple(
        (Cell(name), *(column.get(name, Cell(MISSING, numeric=True)) for column in columns.values())) for name in names
    )
    return TableItem(caption, (first, *columns), rows, f"{MISSING} where a report has no such entry.")


def _figure_sections(reports: Mapping[str, ReportFolder]) -> list[Section]:
    figures = dict.fromkeys(figure for report in reports.values() for figure in report.figures)
    return [
        Section(
            f"Figure: {figure.replace('_', ' ')}",
            figures=tuple(
                FigureItem(report.figures[figure], name, f"Figure {figure.replace('_', ' ')} of report {name}")
                for name, report in reports.items()
                if figure in report.figures
            ),
            thumbnails=True,
        )
        for figure in figures
    ]


def _each(convert: Callable[[object], Cell], values: Mapping[str, object]) -> dict[str, Cell]:
    return {name: convert(value) for name, value in values.items()}
