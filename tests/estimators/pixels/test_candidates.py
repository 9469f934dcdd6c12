"""Clusters come back from the library, and the candidates that are kept are as many and as often as they should."""

import numpy as np
import pytest
import torch

from castalia.errors import DataError
from castalia.estimators.pixels.candidates import Candidates, in_order_of_score, merged, proposed, until_reached
from castalia.estimators.pixels.cluster_library import ClusterLibrary, found_clusters
from castalia.estimators.pixels.hits import Hits, SensorArray, hits_of
from castalia.rng import Stream

ARRAY = SensorArray(4, 40, 60, 256)


@pytest.fixture(scope="module")
def library(pixel_toys):
    made = ClusterLibrary(ARRAY, 200)
    made.update(hits_of(pixel_toys.toy_batch(20).target), Stream(1, "x").at())
    made.finish()
    return made


def test_clusters_have_all_pixels_in_any_order(pixel_toys):
    hits = hits_of(pixel_toys.toy_batch(3).target)
    found = found_clusters(hits, ARRAY)
    assert found.shape[:, 4].sum() == len(found.pixels) == len(hits)
    assert found.shape[:, 5].sum() == int(hits.charge.sum())
    mixed = torch.from_numpy(Stream(1, "order").at().permutation(len(hits)))
    mixed = mixed[torch.argsort(hits.event[mixed], stable=True)]
    again = found_clusters(hits.map(lambda values: values[mixed]), ARRAY)
    assert np.array_equal(again.shape, found.shape)
    assert np.array_equal(again.pixels, found.pixels)


def test_the_library_keeps_what_was_there(library):
    assert library.number.tolist() == [200] * 4
    size = library.shape[:, 4]
    charge = [
        int(library.pixels[s : s + n, 2].sum()) for s, n in zip(library.start.tolist(), size.tolist(), strict=True)
    ]
    assert charge == library.shape[:, 5].tolist()


def test_large_clusters_leave_room_for_fewer():
    u, v = torch.meshgrid(torch.arange(20), torch.arange(50), indexing="ij")
    one = Hits(1, torch.zeros(1000).long(), torch.zeros(1000).long(), u.flatten(), v.flatten(), torch.full((1000,), 9))
    with_room, without = ClusterLibrary(ARRAY, 100), ClusterLibrary(ARRAY, 10)
    for made, number in ((with_room, 2), (without, 0)):
        for _ in range(10):
            made.update(one, Stream(1, "x").at())
        made.finish()
        assert int(made.number[0]) == number


def test_no_hits_are_refused():
    with pytest.raises(DataError, match="no hits"):
        ClusterLibrary(ARRAY, 5).finish()


def test_numbers_are_met_and_pixels_are_in_range_and_unique(library):
    rng, counts = Stream(1, "x").at(), np.array([0, 1, 300, 900])
    missing = -2400.0 * np.log1p(-counts / 2400.0)
    hits = until_reached(library, proposed(library, 1.2 * missing, rng), counts, missing, rng)
    assert hits.counts(4)[0].tolist() == counts.tolist()
    key = (hits.sensor * ARRAY.u + hits.u) * ARRAY.v + hits.v
    assert (key.diff() > 0).all()
    assert 0 <= int(hits.u.min()) <= int(hits.u.max()) < ARRAY.u
    assert 0 <= int(hits.v.min()) <= int(hits.v.max()) < ARRAY.v
    assert 7 <= int(hits.charge.min()) <= int(hits.charge.max()) <= 255


def test_pixels_hit_twice_add_up_and_stop_at_the_number():
    sensor = np.array([0, 0, 0, 0, 1], dtype=np.int32)
    u, v = np.array([3, 2, 3, 9, 0], dtype=np.int32), np.zeros(5, dtype=np.int32)
    hits = merged(ARRAY, sensor, u, v, np.array([200, 8, 90, 9, 7], dtype=np.int16), np.array([2, 1, 0, 0]))
    assert hits.u.tolist() == [2, 3, 0]
    assert hits.charge.tolist() == [8, 255, 7]
    # The fourth hit is one too many, unless three are wanted.
    assert len(merged(ARRAY, sensor, u, v, np.full(5, 9, dtype=np.int16), np.array([3, 1, 0, 0]))) == 4


def test_equal_scores_keep_all_candidates_equally_often():
    rng, trials, number, kept = Stream(1, "x").at(), 4000, 8, 3
    given = Candidates(np.arange(number), np.zeros(number, dtype=np.int64))

    def often(score):
        first = [in_order_of_score(given, score, rng).entry[:kept] for _ in range(trials)]
        return np.bincount(np.concatenate(first), minlength=number) / trials

    part = kept / number
    tolerance = 5.0 * np.sqrt(part * (1.0 - part) / trials)
    assert np.abs(often(np.zeros(number, dtype=np.float32)) - part).max() < tolerance
    # Negative control: one is likelier.
    better = np.zeros(number, dtype=np.float32)
    better[2] = 1.0
    assert often(better)[2] - part > tolerance


def test_the_first_is_drawn_with_the_softmax_of_the_scores():
    rng, trials, score = Stream(1, "x").at(), 4000, np.log(np.array([1.0, 2.0, 5.0]))
    given = Candidates(np.arange(3), np.zeros(3, dtype=np.int64))
    first = np.bincount([in_order_of_score(given, score, rng).entry[0] for _ in range(trials)], minlength=3) / trials
    wanted = np.array([0.125, 0.25, 0.625])
    assert (np.abs(first - wanted) < 5.0 * np.sqrt(wanted * (1.0 - wanted) / trials)).all()


def test_sensors_stay_together():
    given = Candidates(np.arange(300), np.repeat([0, 2, 3], 100))
    ordered = in_order_of_score(given, np.full(300, -20.0, dtype=np.float32), Stream(1, "x").at())
    assert ordered.sensor.tolist() == given.sensor.tolist()
    assert sorted(ordered.entry.tolist()) == list(range(300))


def test_a_cluster_comes_to_many_places():
    array, many = SensorArray(1, 100, 200, 256), 12_000
    one = ClusterLibrary(array, 1)
    first = torch.zeros(1).long()
    one.update(Hits(1, first, first, torch.tensor([50]), torch.tensor([195]), torch.tensor([9])), Stream(1, "x").at())
    one.finish()
    entry = np.zeros(many, dtype=np.int64)
    hits = until_reached(one, Candidates(entry, entry), np.array([many]), np.array([2.0 * many]), Stream(2, "y").at())
    u, v = hits.u.numpy(), hits.v.numpy()
    # Within a tenth of the sensor to either side, and at the border back into it: 21 by 25 of its 20,000 pixels.
    assert (u.min(), u.max(), v.min(), v.max()) == (40, 60, 175, 199)
    assert len(hits) == 21 * 25
