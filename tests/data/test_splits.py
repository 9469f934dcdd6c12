import numpy as np
import pytest

from castalia.data.splits import SPLITS, event_keys, split_of
from castalia.data.table import Table
from castalia.errors import DataError

IDENTIFIERS = ("run", "luminosityBlock", "event")
SHA = "0123456789abcdef" * 4
ROWS = 100_000


def numbered(rows=ROWS, run=1, first=1):
    ones = np.ones(rows, dtype=np.int64)
    return Table({"run": run * ones, "luminosityBlock": ones, "event": np.arange(first, first + rows)})


def within_five_sigma(successes, trials, probability):
    return abs(successes - trials * probability) <= 5 * np.sqrt(trials * probability * (1 - probability))


@pytest.mark.statistical
@pytest.mark.parametrize(
    "keys",
    [
        event_keys(numbered(), IDENTIFIERS, SHA, 0),
        event_keys(numbered(), ("event",), SHA, 0),
        event_keys(numbered(run=2**40).without(["run"]), ("luminosityBlock", "event"), SHA, 0),
        event_keys(Table({"mu": np.ones(ROWS)}), IDENTIFIERS, SHA, 0),
    ],
)
def test_eight_to_one_to_one_and_independent_of_the_neighbour(keys):
    split = split_of(keys)
    assert len(np.unique(keys)) == ROWS
    for number, share in enumerate((0.8, 0.1, 0.1)):
        found = split == number
        assert within_five_sigma(found.sum(), ROWS, share), SPLITS[number]
        assert within_five_sigma((found[1:] & found[:-1])[::2].sum(), ROWS // 2, share**2)


@pytest.mark.statistical
def test_the_check_of_shares_notices_a_bad_hash():
    assert not within_five_sigma((np.arange(ROWS) % 10 == 0).sum() * 1.06, ROWS, 0.1)
    every_tenth = np.arange(ROWS) % 10 == 0
    assert not within_five_sigma((every_tenth[1:] & every_tenth[:-1])[::2].sum(), ROWS // 2, 0.01)


def test_the_split_of_an_event_never_changes():
    keys = event_keys(numbered(12), IDENTIFIERS, SHA, 0)
    assert [hex(int(key)) for key in keys[:2]] == ["0xed924f0f8721a2a2", "0x7ef248cfa5a229b1"]
    assert split_of(keys).tolist() == [2, 1, 0, 0, 2, 0, 0, 0, 1, 0, 0, 2]


def test_keys_do_not_depend_on_chunk_order_file_or_number_type():
    table = numbered(100)
    keys = event_keys(table, IDENTIFIERS, SHA, 0)
    order = np.arange(100)[::-1]
    assert np.array_equal(event_keys(table.take(order), IDENTIFIERS, "f" * 64, 7)[order], keys)
    for dtype in (np.int32, np.uint64, np.float64):
        other = table.with_columns({"event": table["event"].astype(dtype)})
        assert np.array_equal(event_keys(other, IDENTIFIERS, SHA, 0), keys)
    assert not np.array_equal(event_keys(numbered(100, run=2), IDENTIFIERS, SHA, 0), keys)


def test_without_identifiers_file_and_row_tell_events_apart():
    table = Table({"mu": np.ones(10)})
    keys = event_keys(table, IDENTIFIERS, SHA, 5)
    assert np.array_equal(event_keys(table.slice(3, 10), IDENTIFIERS, SHA, 8), keys[3:])
    assert not np.isin(event_keys(table, IDENTIFIERS, "f" * 64, 5), keys).any()


def test_identifiers_that_do_not_identify_are_refused():
    table = numbered(5)
    with pytest.raises(DataError, match=r"'luminosityBlock' is not there; set identifiers = \['run', 'event'\]"):
        event_keys(table.without(["luminosityBlock"]), IDENTIFIERS, SHA, 0)
    with pytest.raises(DataError, match="'event' is no whole number in row 2"):
        event_keys(table.with_columns({"event": [1.0, 2.0, 2.5, 3.0, 4.0]}), IDENTIFIERS, SHA, 0)
    with pytest.raises(DataError, match="'run' is a list per event"):
        event_keys(table.with_columns({"run": np.ones((5, 2))}), IDENTIFIERS, SHA, 0)
