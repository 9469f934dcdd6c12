import numpy as np
import pytest

from castalia.data.checks import BadRowPolicy, BadRows, check_table, check_targets, plausible_range
from castalia.data.layout import Variable
from castalia.data.schema import ColumnSpec, Need, Schema
from castalia.data.table import Table, jagged
from castalia.errors import DataError


def checked(values, first_row=0, rows=None, **spec):
    return check_table(Table({"x": values}), Schema(columns=(ColumnSpec(name="x", **spec),)), "a.root", first_row, rows)


def test_good_values_pass(mixed, mixed_schema):
    bad = check_table(mixed, mixed_schema, "a.root")
    assert not bad.mask.any()
    assert bad.reasons == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_found_in_every_kind_of_column(value):
    flat = np.ones(6)
    flat[[2, 4]] = value
    fixed = np.ones((6, 2))
    fixed[[2, 4], 1] = value
    lists = jagged(np.array([0, 1, 2, 0, 3, 1]), np.array([1, 1, value, 1, value, value, 1.0]))
    for values, count in ((flat, 2), (fixed, 2), (lists, 3)):
        bad = checked(values, first_row=100)
        assert np.flatnonzero(bad.mask).tolist() == [2, 4]
        assert bad.reasons == (f"column 'x' has {count} values that are NaN or infinite (first in row 102)",)


def test_the_row_is_the_one_in_the_file_when_rows_were_dropped_before():
    bad = checked(np.array([1.0, np.nan]), rows=np.array([7, 31]))
    assert "first in row 31" in bad.reasons[0]


def test_the_declared_range_is_closed_and_may_have_one_side():
    values = np.array([0.0, 40.0, 40.1, -0.1])
    assert checked(values, range=(0.0, 40.0)).mask.tolist() == [False, False, True, True]
    assert checked(values, range=(0.0, None)).mask.tolist() == [False, False, False, True]
    assert (
        "1 values that are outside [-inf, 40] GeV (first in row 2)"
        in checked(values, range=(None, 40.0), unit="GeV").reasons[0]
    )


def test_a_unit_has_a_plausible_range():
    assert plausible_range(ColumnSpec(name="x", unit="GeV")) == (-14000.0, 14000.0)
    assert plausible_range(ColumnSpec(name="x", unit="MeV")) == (-14e6, 14e6)
    assert plausible_range(ColumnSpec(name="x")) == (-np.inf, np.inf)
    assert checked(np.array([6.2, 6.4]), unit="rad").mask.tolist() == [False, True]


def test_mev_for_gev_is_refused_and_gev_is_not():
    gev = np.array([25.0, 60.0, 110.0, 45.0])
    assert not checked(gev, unit="GeV").mask.any()
    with pytest.raises(DataError, match=r"a\.root: column 'x' is declared in GeV, but 4 of 4 .* too large.*in MeV\?"):
        checked(1000 * gev, unit="GeV")
    assert not checked(1000 * gev, unit="MeV").mask.any()
    with pytest.raises(DataError, match=r"too small, such as 25 \(values in GeV\?\)"):
        checked(gev, unit="MeV", range=(20_000.0, None))


def test_single_outliers_are_bad_rows_and_no_wrong_unit():
    values = np.array([25.0, 60.0, 60_000.0, 45.0])
    assert checked(values, unit="GeV").mask.tolist() == [False, False, True, False]


def test_as_many_rows_are_left_out_as_were_allowed_and_no_more():
    bad = BadRows(np.array([True, False, True]), ("column 'x' has 2 NaN",), "a.root")
    policy = BadRowPolicy(3)
    assert policy.keep(bad).tolist() == [False, True, False]
    assert policy.skipped == 2
    with pytest.raises(DataError, match=r"a\.root: column 'x' has 2 NaN; .*--skip-bad N .*\(4 so far\)"):
        policy.keep(bad)
    with pytest.raises(DataError):
        BadRowPolicy().keep(bad)
    assert BadRowPolicy().keep(BadRows(np.zeros(2, dtype=bool), ())).all()


def test_values_must_be_what_their_use_asks():
    values = np.array([1.0, 0.0, -2.0, np.nan])
    log = Need(value="above 0", why='transform = "log"')
    bad = checked(values, needs=(log,), unit="GeV", rows=np.array([3, 8, 9, 20]))
    assert bad.mask.tolist() == [False, True, True, True]
    assert bad.reasons[0] == (
        "column 'x' must be above 0 (transform = \"log\"), but has 2 values that are not (first in row 8)"
    )
    assert checked(values, needs=(Need(value="other than 0", why="over"),)).mask.tolist() == [False, True, False, True]
    assert checked(values).mask.tolist() == [False, False, False, True]
    ranged = checked(values, needs=(log,), range=(0.0, None))  # a closed range admits the zero, the logarithm does not
    assert ranged.mask.tolist() == [False, True, True, True]
    lists = jagged(np.array([1, 0, 2]), np.array([1.0, 2.0, 0.0]))
    assert checked(lists, needs=(log,)).mask.tolist() == [False, False, True]


def test_targets_must_be_finite_inside_open_bounds_and_whole():
    target = np.array([[0.5, 1.0], [0.0, 2.0], [0.7, 2.5], [0.2, np.inf]])
    variables = (Variable("a", bounds=(0.0, 1.0)), Variable("b", integer=True))
    rows, numbers = np.array([0, 1, 1, 2]), np.array([10, 20, 30])
    bad = check_targets(target, variables, ("x", "y"), rows, numbers, "a.root")
    assert bad.mask.tolist() == [False, True, True]
    assert bad.reasons == (
        "target 'a' (column 'x') must be inside (0, 1) (bounds), but has 1 values that are not, such as 0 "
        "(first in row 20)",
        "target 'b' (column 'y') must be finite, but has 1 values that are not, such as inf (first in row 30)",
        "target 'b' (column 'y') must be whole (integer = true), but has 1 values that are not, such as 2.5 "
        "(first in row 20)",
    )
    free = (Variable("a"), Variable("b"))
    assert check_targets(target[:3], free, ("x", "y"), rows[:3], numbers, "a.root").reasons == ()
