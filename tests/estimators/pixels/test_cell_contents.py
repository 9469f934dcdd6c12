"""Every cluster belongs to one cell with all its pixels, and no hit is lost."""

import torch

from castalia.estimators.pixels.canvas import Canvas
from castalia.estimators.pixels.cell_contents import contents_of
from castalia.estimators.pixels.hits import Hits, hits_of


def _hits(u: list[int], v: list[int]) -> Hits:
    none = torch.zeros(len(u), dtype=torch.int64)
    return Hits(1, none, none, torch.tensor(u), torch.tensor(v), torch.arange(len(u)) + 7)


def test_a_cluster_over_an_edge_is_not_cut(array):
    canvas = Canvas.over(array, 8, 2)
    assert (canvas.pad_u, canvas.pad_v) == (1, 1)
    contents = contents_of(_hits([3, 3, 3, 20], [5, 6, 7, 30]), canvas)
    # Its middle pixel is at v = 6, the last of the first cell; with one more to the right it is in the second.
    assert contents.place.tolist() == [0, 2 * 6 + 3]
    assert contents.size.tolist() == [3, 1]
    assert contents.v.tolist()[:3] == [6, 7, 8]
    assert contents.total.tolist() == [7 + 8 + 9, 10]
    assert contents_of(_hits([3, 3, 3, 3], [5, 6, 7, 8]), canvas).place.tolist() == [1]


def test_nothing_is_lost_and_order_does_not_matter(array, pixel_events):
    canvas, hits = Canvas.over(array, 8, 2), hits_of(pixel_events(4).target)
    contents = contents_of(hits, canvas)
    assert int(contents.size.sum()) == len(hits)
    assert int(contents.total.sum()) == int(hits.charge.sum())
    sensor = contents.place // (canvas.rows * canvas.columns)
    counts = torch.zeros(24, dtype=torch.int64).index_add_(0, sensor, contents.size)
    assert torch.equal(counts.view(4, 6), hits.counts(6))
    mixed = hits.map(lambda values: values[torch.arange(len(hits)).flip(0)])
    again = contents_of(Hits(4, *(getattr(mixed, name) for name in ("event", "sensor", "u", "v", "charge"))), canvas)
    assert torch.equal(again.place, contents.place)
    assert torch.equal(again.charge, contents.charge)


def test_one_in_three_of_the_cells(array, pixel_events):
    contents = contents_of(hits_of(pixel_events(4).target), Canvas.over(array, 8, 2))
    some = contents.every(3)
    assert torch.equal(some.place, contents.place[1::3])
    assert torch.equal(torch.bincount(some.owner), some.size)
    assert torch.equal(torch.zeros_like(some.total).index_add_(0, some.owner, some.charge), some.total)
    assert torch.equal(contents.every(1).charge, contents.charge)
