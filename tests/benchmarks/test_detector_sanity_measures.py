"""The benchmark's measures: a known peak, tags that follow the card or do not, a pair of leptons."""

import awkward as ak
import numpy as np
import pytest

from castalia.data.table import Table, jagged
from castalia.detectors.parametric.card import load_card
from castalia.rng import Stream
from detector_sanity_measures import dilepton_mass, peak, tag_efficiency, worst_pull

EVENTS = 20_000


def tagged(scale):
    """One b jet an event, tagged as the card says times ``scale``."""
    rng, card = Stream(1, "test sanity").at(), load_card("cms-like")
    pt, eta = rng.uniform(25.0, 180.0, EVENTS), rng.uniform(-2.0, 2.0, EVENTS)
    expected = 0.79 * np.tanh(pt / 25) / (1 + pt / 1200) * (1 - 0.15 * (np.abs(eta) > 1.6))
    assert card.jets.btag.b == "0.79 * tanh(pt / 25) / (1 + pt / 1200) * (1 - 0.15 * (abs(eta) > 1.6))"
    columns = {
        "jet_pt": pt,
        "jet_eta": eta,
        "jet_btag": (rng.uniform(size=EVENTS) < scale * expected).astype(np.int8),
        "jet_flavour": np.full(EVENTS, 5, dtype=np.int8),
        "jet_truth": np.zeros(EVENTS, dtype=np.int32),
        "truth_jet_pt": pt,
    }
    ones = np.ones(EVENTS, dtype=np.int64)
    return tag_efficiency(Table({name: jagged(ones, values) for name, values in columns.items()}), card, 5, "b")


@pytest.mark.statistical
def test_tags_by_the_card_pass_and_others_do_not():
    assert worst_pull(tagged(1.0)) < 4.5
    assert worst_pull(tagged(0.9)) > 4.5, "the negative control"


@pytest.mark.statistical
def test_a_normal_peak():
    found = peak(Stream(2, "test sanity").at().normal(125.0, 10.0, EVENTS))
    assert abs(found.median - 125.0) < 5.0 * found.error
    assert found.error == pytest.approx(1.2533 * 10.0 / np.sqrt(EVENTS), rel=0.05)
    # The 68 % between the quantiles are 0.994 standard deviations on either side.
    assert found.half_width == pytest.approx(9.945, rel=0.05)
    assert peak(np.full(10, 1.0)) is None


def test_the_mass_of_the_two_hardest():
    pt, eta, phi = ([[62.5, 1.0, 62.5], [50.0]], [[0.0, 2.0, 0.0], [0.0]], [[0.0, 1.0, np.pi], [0.0]])
    assert dilepton_mass(ak.Array(pt), ak.Array(eta), ak.Array(phi)) == pytest.approx([125.0])
