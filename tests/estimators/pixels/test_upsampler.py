"""The upsampler keeps numbers of hits, about keeps charges, and stays inside the sensor."""

import pytest
import torch

from castalia.errors import DataError
from castalia.estimators.pixels.canvas import Canvas
from castalia.estimators.pixels.cell_contents import contents_of
from castalia.estimators.pixels.hits import hits_of
from castalia.estimators.pixels.upsampler import Upsampler


@pytest.fixture
def fitted(array, pixel_events):
    canvas = Canvas.over(array, 8, 2)
    upsampler = Upsampler(canvas, 6, 20_000)
    upsampler.fit([contents_of(hits_of(pixel_events(200).target), canvas)])
    return upsampler


def test_its_own_contents_come_back_whole(fitted):
    size = torch.arange(1, 7).repeat_interleave(50)
    rank = torch.linspace(0.001, 0.999, 50).repeat(6)
    # One cell of a sensor each, in as many events, so that none touches another.
    hits = fitted(torch.arange(300) * fitted.canvas.rows * fitted.canvas.columns + 7, size, rank, 50)
    count = hits.counts(6).flatten()
    assert torch.equal(count[size < 6], size[size < 6])
    assert bool((count[size == 6] >= 6).all())  # six and more are one kind
    for number in range(1, 6):
        charge = torch.zeros(300, dtype=torch.int64).index_add_(0, hits.event * 6 + hits.sensor, hits.charge)
        assert bool((charge[size == number].diff() >= 0).all())  # ranks are ranks of the charge


def test_counts_and_charges_of_unseen_events_are_kept(fitted, pixel_events):
    truth = hits_of(pixel_events(100, "test").target)
    contents = contents_of(truth, fitted.canvas)
    noise = torch.rand(len(contents.size), generator=torch.Generator().manual_seed(1))
    hits = fitted(contents.place, contents.size, fitted.rank(contents.size, contents.total, noise), 100)
    # Hits are lost only where contents meet, and cells of six and more are not told apart: 2 % at this occupancy.
    assert abs(len(hits) / len(truth) - 1.0) < 0.02
    assert abs(float(hits.charge.sum()) / float(truth.charge.sum()) - 1.0) < 0.03
    assert (
        float(torch.corrcoef(torch.stack([hits.counts(6).flatten(), truth.counts(6).flatten()]).double())[0, 1]) > 0.98
    )
    # Negative control: charges at random ranks keep the mean, but not those of single cells.
    by_cell = [
        torch.zeros(len(contents.size)).index_add_(0, contents.owner, contents.charge.float()),
        fitted.total[fitted.pick(contents.size, fitted.rank(contents.size, contents.total, noise))].float(),
        fitted.total[fitted.pick(contents.size, noise)].float(),
    ]
    assert float((by_cell[1] - by_cell[0]).abs().mean()) < 0.1 * float((by_cell[2] - by_cell[0]).abs().mean())


def test_what_would_leave_the_sensor_is_moved(fitted):
    corner = torch.tensor([0, fitted.canvas.rows * fitted.canvas.columns - 1])
    for part in torch.linspace(0.01, 0.99, 30):
        hits = fitted(corner, torch.tensor([4, 4]), part.repeat(2), 1)
        assert len(hits) == 8
        assert int(hits.u.min()) >= 0
        assert int(hits.u.max()) < 30
        assert int(hits.v.max()) < 45


def test_no_cells_and_no_training(fitted, array):
    none = torch.zeros(0, dtype=torch.int64)
    assert len(fitted(none, none, torch.zeros(0), 2)) == 0
    with pytest.raises(DataError, match="no training event has a hit"):
        Upsampler(Canvas.over(array, 8, 2), 6, 10).fit([])
