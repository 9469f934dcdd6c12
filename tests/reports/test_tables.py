"""Rounding, missing numbers and the naming of metrics."""

from __future__ import annotations

import math

import pytest

from castalia.errors import DataError
from castalia.reports.tables import MISSING, Cell, TableItem, cell, flatten, measured, metric_cells, rounded, status


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.827, 0.119, "0.83 ± 0.12"),  # the examples of the Review of Particle Physics
        (0.827, 0.367, "0.8 ± 0.4"),
        (14.674, 0.964, "14.7 ± 1.0"),
        (9.34e-4, 1.3e-5, "(9.34 ± 0.13) × 10⁻⁴"),
        (-0.0077, 0.0003, "−0.00770 ± 0.00030"),
        (0.0, 0.02, "0.000 ± 0.020"),
        (-1e-9, 0.02, "0.000 ± 0.020"),
        (123456.0, 1200.0, "123\u202f500 ± 1200"),
        (1234567.0, 1200.0, "(1.2346 ± 0.0012) × 10⁶"),
        (9.96, 0.0996, "9.96 ± 0.10"),
        (124.983, None, "124.983"),
        (700980, None, "700\u202f980"),
        (0.012345678, None, "0.01235"),
        (2.5e-7, None, "2.5 × 10⁻⁷"),
        (3.2, 0.0, "3.2"),
        (3.2, math.nan, "3.2"),
        (0, None, "0"),
    ],
)
def test_a_value_is_rounded_by_its_error(value: float, error: float | None, text: str) -> None:
    found = measured(value, error)
    assert found.text == text
    assert found.sort == value
    assert found.numeric


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (-11.6253, 11.8054, "−12"),  # the end of an interval, as the error itself: 12
        (0.027772, 0.027464, "0.028"),
        (475.0, 7.02, "475"),
        (9.34e-4, 1.3e-5, "9.34 × 10⁻⁴"),
        (0.004, 0.02, "0.004"),
        (1.31607, None, "1.31607"),
        (None, 0.1, MISSING),
    ],
)
def test_a_number_is_rounded_like_its_error(value: float | None, error: float | None, text: str) -> None:
    assert rounded(value, error).text == text
    assert rounded(value, error).sort == value


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_missing_number_is_a_dash_that_does_not_sort(value: float | None) -> None:
    assert measured(value, 0.1) == Cell(MISSING, None, numeric=True)


def test_the_printed_value_stays_within_half_a_digit_of_the_error() -> None:
    for error in (0.0123, 0.0355, 0.0949, 0.0951, 0.0999, 3.54, 951.0):
        for value in (0.123456, 1.98765, -7.77777):
            printed = float(measured(value, error).text.split(" ± ")[0].replace("−", "-").replace("\u202f", ""))
            assert abs(printed - value) <= 0.15 * error, (value, error, printed)


def test_units_follow_the_number() -> None:
    assert measured(1.5, 0.1, "GeV").text == "1.50 ± 0.10\u00a0GeV"


def test_values_of_every_json_type_become_cells() -> None:
    assert cell(None).text == MISSING
    assert cell(True) == Cell("yes", 1.0)
    assert cell(3).sort == 3
    assert cell(["a", "b"]).text == "a; b"
    assert cell([]).text == "none"
    assert cell([1, 2, 3]).text == "3 entries"
    assert cell("x").sort is None


def test_status_is_said_in_words() -> None:
    assert (status(True).text, status(False).text, status(None).text) == ("passed", "FAILED", MISSING)


def test_metrics_join_their_errors() -> None:
    metrics = {
        "kl": {"value": 0.0077, "error": 0.0003, "support": 1.0},
        "wd": {"floor": 0.5, "floor_error": 0.1},
        "odd_error": 2.0,
        "null": {"value": None, "error": 0.1},
        "gate": {"passed": False, "reasons": ["too wide"]},
    }
    cells = metric_cells(metrics)
    assert cells["kl"].text == "0.00770 ± 0.00030"
    assert cells["kl.support"].text == "1"
    assert cells["wd.floor"].text == "0.50 ± 0.10"
    assert "wd.floor_error" not in cells
    assert cells["odd_error"].text == "2"
    assert cells["null"].text == MISSING
    assert cells["gate.reasons"].text == "too wide"


def test_flatten_keeps_order_and_names_paths() -> None:
    assert list(flatten({"b": {"y": 1, "x": {"z": 2}}, "a": 3})) == ["b.y", "b.x.z", "a"]


def test_a_ragged_row_is_refused() -> None:
    with pytest.raises(DataError, match="row 1 has 1 cells but the header has 2"):
        TableItem("t", ("a", "b"), ((Cell("1"), Cell("2")), (Cell("1"),)))
