import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from castalia.data.table import Regrouper, Table, jagged, jagged_parts
from castalia.errors import DataError


def test_columns_keep_their_kind():
    table = Table({"flat": [1, 2], "fixed": [[1.0, 2.0], [3.0, 4.0]], "list": ak.Array([[1.0], [2.0, 3.0]])})
    assert table.names == ("flat", "fixed", "list")
    assert len(table) == 2
    assert table["flat"].shape == (2,)
    assert table["fixed"].shape == (2, 2)
    assert table["list"].to_list() == [[1.0], [2.0, 3.0]]
    regular = ak.to_regular(ak.Array([[1, 2], [3, 4]]))
    assert isinstance(Table({"x": regular})["x"], np.ndarray)


@pytest.mark.parametrize(
    "values", [["a"], np.zeros((1, 2, 2)), ak.Array([[[1]]]), ak.Array([["a"]]), ak.Array([{"x": 1}]), np.array([1j])]
)
def test_other_columns_are_refused_by_name(values):
    with pytest.raises(DataError, match="'odd'"):
        Table({"odd": values})


def test_unequal_lengths_are_refused():
    with pytest.raises(DataError, match="differ in length"):
        Table({"a": [1], "b": [1, 2]})


def test_a_column_that_is_absent_is_named():
    with pytest.raises(DataError, match="no column 'b'; it has a"):
        Table({"a": [1]})["b"]


def test_rows_and_columns_are_taken_without_touching_the_original(mixed):
    rows = np.array([5, 0, 5])
    taken = mixed.take(rows)
    assert taken["event"].tolist() == [6, 1, 6]
    assert taken["jet_pt"].to_list() == [mixed["jet_pt"][int(r)].to_list() for r in rows]
    mask = mixed["good"]
    assert len(mixed.take(mask)) == mask.sum()
    assert mixed.select(["mu", "event"]).names == ("mu", "event")
    assert "mu" not in mixed.without(["mu"])
    assert "mu" in mixed
    changed = mixed.with_columns({"mu": np.zeros(500), "new": np.ones(500)})
    assert changed["mu"].max() == 0.0
    assert mixed["mu"].max() > 0.0
    assert "new" in changed


def test_concatenation_undoes_slicing_and_needs_equal_columns(mixed):
    parts = [mixed.slice(0, 3), mixed.slice(3, 3), mixed.slice(3, 500)]
    whole = Table.concatenate(parts)
    for name in mixed.names:
        assert ak.array_equal(whole[name], mixed[name], dtype_exact=True), name
    with pytest.raises(DataError, match="cannot be put together"):
        Table.concatenate([mixed, mixed.without(["mu"])])
    with pytest.raises(DataError, match="'a' has lists"):
        Table.concatenate([Table({"a": np.ones((1, 2))}), Table({"a": np.ones((1, 3))})])


@given(st.lists(st.lists(st.integers(-5, 5), max_size=4), max_size=10))
def test_jagged_parts_invert_jagged(lists):
    counts, flat = np.array([len(x) for x in lists], dtype=int), np.array([v for x in lists for v in x], dtype=int)
    column = jagged(counts, flat)
    assert column.to_list() == lists
    back = jagged_parts(column[1:])
    assert back[0].tolist() == counts[1:].tolist()
    assert back[1].tolist() == [v for x in lists[1:] for v in x]


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 7))
def test_regrouped_tables_have_the_asked_size_whatever_came(pieces, size):
    regrouper, out, start = Regrouper(size), [], 0
    for length in pieces:
        out += list(regrouper.push(Table({"x": np.arange(start, start + length)})))
        start += length
    assert all(len(table) == size for table in out)
    rest = regrouper.rest()
    assert rest is None or 0 < len(rest) < size
    out += [] if rest is None else [rest]
    assert [int(x) for table in out for x in table["x"]] == list(range(start))


def test_regrouper_needs_a_size():
    with pytest.raises(DataError, match="at least 1"):
        Regrouper(0)


@pytest.mark.parametrize(("size", "numbers"), [(3, 1), (3, 7), (7, 20), (50, 9), (2, 10**6)])
def test_a_table_ends_early_where_its_lists_are_long(size, numbers):
    pieces = [3, 0, 5, 9, 1, 7, 2]
    counts = np.arange(sum(pieces)) % 5

    def cut(lengths):
        regrouper, out, start = Regrouper(size, numbers), [], 0
        for length in lengths:
            mine = counts[start : start + length]
            out += list(regrouper.push(Table({"x": jagged(mine, np.ones(mine.sum()))})))
            start += length
        rest = regrouper.rest()
        return [len(one) for one in out] + ([] if rest is None else [len(rest)])

    expected, rows, held = [], 0, 0
    for count in counts:
        rows, held = rows + 1, held + count
        if rows == size or held >= numbers:
            expected, rows, held = [*expected, rows], 0, 0
    assert cut(pieces) == cut([1] * len(counts)) == expected + ([rows] if rows else [])
