"""The whole judgement: truth passes beside truth, and each thing that is broken is seen where it belongs."""

import numpy as np
import pytest
from pixel_toys import hits

from castalia.apps.pixels.gathered import gather, pieces_of
from castalia.apps.pixels.judging import judge
from castalia.apps.pixels.results import goals_of, metrics_of
from castalia.detectors.pxd.digitiser import PixelHits
from castalia.metrics.pixels.shuffled import shuffle_hits
from castalia.rng import Stream

EVENTS, HITS, COMMON = 100, 5000, 0.15


def sampled(seed):
    """Make events that share a common mode at a luminosity of their own."""
    rng = Stream(seed, "common modes").at()
    counts = rng.poisson(HITS * LUMINOSITY * np.exp(COMMON * rng.standard_normal(EVENTS)))
    return hits(counts, seed)


LUMINOSITY = Stream(1, "luminosities").at().uniform(0.5, 1.0, EVENTS)
CONDITION = np.column_stack([LUMINOSITY, np.ones(EVENTS)])


def kept(one, rows):
    return PixelHits(one.events, one.event[rows], one.sensor[rows], one.u[rows], one.v[rows], one.charge[rows])


@pytest.fixture(scope="module")
def truth():
    return gather(pieces_of(sampled(1)), 1, control=True)


def judgement(truth, made):
    return judge(truth, gather(pieces_of(made), 1), CONDITION, 1)


def distances(judged):
    return {
        **judged.occupancies.sizes, **judged.spectra, "pairs": judged.pairs, **judged.frechet,
        **{f"correlations {name}": one.difference for name, one in judged.relations.items()},
    }  # fmt: skip


def seen(judged):
    return {name for name, one in distances(judged).items() if one.excess > 5.0 * one.excess_error}


@pytest.mark.statistical
def test_truth_passes_beside_truth(truth):
    judged = judgement(truth, sampled(2))
    assert not seen(judged)
    total = judged.occupancies.total
    assert abs(total.value) < 5.0 * total.error
    for one in (judged.excess, judged.auc, *judged.impact.values(), *(r.mean for r in judged.relations.values()),
                *(r.variance for r in judged.relations.values())):  # fmt: skip
        assert abs(one.difference.value) <= 5.0 * one.difference.error
    metrics = metrics_of(judged, {"judged": EVENTS})
    assert metrics["goals"]["charge_distance"]["met"] == (judged.spectra["charge"].value <= 1.0)
    assert len(goals_of(judged)) == 3


@pytest.mark.statistical
def test_shuffled_sensors_are_seen_as_such_alone(truth):
    judged = judgement(truth, shuffle_hits(sampled(2), Stream(1, "broken").at()))
    given = judged.relations["given"]
    assert {"correlations all", "correlations given", "physics"} <= seen(judged)
    assert not {"charge", "size", "sensors"} & seen(judged)
    # The mean correlation of the common mode: rates vary by 0.15, and 94 hits a sensor by 0.10.
    assert given.mean.truth.value > 0.5
    assert given.mean.difference.value < -5.0 * given.mean.difference.error
    assert judged.auc.truth.value > 0.5 + 5.0 * judged.auc.truth.error
    for one in (given.mean, judged.auc):
        assert abs(one.made.value - one.control.value) < 5.0 * np.hypot(one.made.error, one.control.error)


@pytest.mark.statistical
def test_scaled_charges_are_seen_as_such_alone(truth):
    made = sampled(2)
    charge = np.minimum(np.round(1.05 * made.charge), 255).astype(np.uint8)
    judged = judgement(truth, PixelHits(made.events, made.event, made.sensor, made.u, made.v, charge))
    assert {"charge", "cluster_charge", "physics"} <= seen(judged)
    assert not {"sensors", "size", "correlations given"} & seen(judged)
    assert not goals_of(judged)[2].met
    assert "misses the goal" in goals_of(judged)[2].sentence


@pytest.mark.statistical
def test_lost_hits_are_seen_as_such_alone(truth):
    made = sampled(2)
    judged = judgement(truth, kept(made, Stream(1, "lost").at().random(len(made.u)) > 0.2))
    total = judged.occupancies.total
    assert abs(total.value + 0.2) < 5.0 * total.error
    assert "sensors" in seen(judged)
    assert not goals_of(judged)[0].met
    assert not {"charge", "correlations given"} & seen(judged)
