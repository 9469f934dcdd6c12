"""Hits become padded lists and come back, and a layout says what array they belong to."""

from dataclasses import replace

import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError, DataError
from castalia.estimators.base import Events, ObjectSet
from castalia.estimators.pixels.hits import HITS, Hits, SensorArray, hits_of, padded

ARRAY = SensorArray(3, 5, 8, 256)
FOUR = Hits(
    4,
    torch.tensor([0, 0, 0, 2]),
    torch.tensor([0, 2, 2, 1]),
    torch.tensor([4, 0, 1, 3]),
    torch.tensor([7, 6, 0, 2]),
    torch.tensor([255, 7, 8, 9]),
)


def same(one: Hits, other: Hits) -> bool:
    names = ("event", "sensor", "u", "v", "charge")
    return one.events == other.events and all(torch.equal(getattr(one, n), getattr(other, n)) for n in names)


def test_lists_come_back():
    lists = padded(FOUR)
    assert lists.objects[HITS].values.shape == (4, 3, 4)
    assert lists.objects[HITS].mask.sum(1).tolist() == [3, 0, 1, 0]
    assert same(hits_of(lists), FOUR)
    # Negative control: another order of the events.
    assert not same(hits_of(lists.map(lambda values: values.flip(0))), FOUR)


def test_what_is_under_the_mask_does_not_matter():
    given = padded(FOUR).objects[HITS]
    noise = torch.where(given.mask[..., None], given.values, 99)
    assert same(hits_of(Events(torch.zeros(4, 0), {HITS: ObjectSet(noise, given.mask)})), FOUR)


def test_no_hits_at_all():
    none = torch.zeros(0, dtype=torch.int64)
    empty = Hits(2, none, none, none, none, none)
    assert same(hits_of(padded(empty)), empty)
    assert empty.counts(3).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_hits_are_counted_by_event_and_sensor():
    assert FOUR.counts(3).tolist() == [[1, 0, 2], [0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert len(FOUR.map(lambda values: values[1:])) == 3


def test_a_layout_tells_the_array():
    assert SensorArray.of(Layout((), ARRAY.variables)) == ARRAY
    for wrong in ((), (Variable("x"),), ARRAY.variables[::-1], tuple(replace(v, bounds=None) for v in ARRAY.variables)):
        with pytest.raises(ConfigError, match="sensor, u, v, charge"):
            SensorArray.of(Layout((), wrong))


@pytest.mark.parametrize("objects", [{}, {HITS: ObjectSet(torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool))}])
def test_other_lists_are_refused(objects):
    with pytest.raises(DataError, match="sensor, u, v, charge"):
        hits_of(Events(torch.zeros(1, 0), objects))
