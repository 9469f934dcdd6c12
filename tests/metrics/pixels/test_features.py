"""Features of events: as many as names, and each what its name says."""

import numpy as np
from pixel_samples import hits_of, random_hits

from castalia.metrics.pixels.clusters import find_clusters
from castalia.metrics.pixels.features import FEATURES, physics_features, sensor_quantities
from castalia.metrics.pixels.summary import summarise


def features(hits):
    return physics_features(summarise(hits, find_clusters(hits)))


def test_every_feature_is_what_its_name_says():
    hits = hits_of(1, [0, 0, 0, 0], [3, 3, 3, 20], [5, 5, 9, 1], [7, 8, 100, 1], [8, 30, 110, 12])
    found = dict(zip(FEATURES, features(hits)[0], strict=True))
    assert found["occupancy 3"] == 3
    assert found["mean charge 3"] == 148 / 3
    assert found["occupancy 0"] == found["mean charge 0"] == 0
    assert found["clusters of 1 to 1"] == 2 / 3
    assert found["clusters of 2 to 2"] == 1 / 3
    assert found["pixels of 10 to 13 ADU"] == found["pixels of 100 to 255 ADU"] == 0.25
    assert found["mean extent along v"] == 4 / 3
    assert (found["clusters in layer 1"], found["clusters in layer 2"]) == (2, 1)
    assert found["mean charge of a cluster"] == 160 / 3


def test_fractions_sum_to_one():
    table = features(random_hits(3, 30.0, charge=(7, 256)))
    assert table.shape == (3, len(FEATURES))
    for word in ("clusters of", "pixels of"):
        mine = [name.startswith(word) for name in FEATURES]
        np.testing.assert_allclose(table[:, mine].sum(axis=1), 1.0)


def test_quantities_of_sensors_are_in_their_order():
    hits = random_hits(2, 30.0)
    summary = summarise(hits, find_clusters(hits))
    found = sensor_quantities(summary)
    np.testing.assert_array_equal(found[..., 0], summary.occupancy)
    np.testing.assert_array_equal(found[..., 2], 20.0)
