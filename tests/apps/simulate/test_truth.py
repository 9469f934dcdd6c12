import numpy as np
import pytest
from castalia_console import CONFIG

from castalia.apps.simulate.config import parse_config
from castalia.apps.simulate.events import JudgedEvents
from castalia.apps.simulate.truth import analytic_truth, is_diphoton
from castalia.data.sidecar import Truth
from castalia.detectors.photon_response import PhotonResponse
from castalia.errors import DataError
from castalia.rng import Stream

TEXT = CONFIG.format(files='"a.root"', model="", training="", epochs=1)
# The same variables under other names and in another order.
LINES = [line for line in TEXT.splitlines() if " = { column" in line]
TURNED = TEXT.replace("\n".join(LINES[:3]), "\n".join(reversed(LINES[:3]))).replace(
    "\n".join(LINES[3:]), "\n".join(reversed(LINES[3:]))
)
TRUTH = Truth(process="toy", scenario="correlated", rho=0.5, parametrisation="repaired", mixture="amplitude")


def features(text, tmp_path):
    return parse_config(text, tmp_path / "c.toml", tmp_path).features()


def conditions(layout, values):
    return np.stack([values[variable.name] for variable in layout.condition], axis=1)


def test_the_variables_were_turned():
    assert TURNED != TEXT
    assert sorted(TURNED.splitlines()) == sorted(TEXT.splitlines())


@pytest.fixture
def values():
    rng = Stream(2, "conditions").at()
    return {
        "et_1": rng.uniform(60, 200, 500),
        "et_2": rng.uniform(20, 60, 500),
        "eta_1": rng.uniform(-2.4, 2.4, 500),
        "eta_2": rng.uniform(-2.4, 2.4, 500),
        "mu": rng.uniform(0, 40, 500),
    }


@pytest.mark.parametrize("text", [TEXT, TURNED], ids=["as is", "turned"])
def test_the_truth_in_any_order_of_the_variables(text, values, tmp_path):
    known = features(text, tmp_path)
    truth = analytic_truth(known, TRUTH)
    condition = conditions(known.layout, values)
    response = PhotonResponse(scenario="correlated", rho=0.5)
    ordered = np.stack([values[name] for name in ("et_1", "et_2", "eta_1", "eta_2", "mu")], axis=1)
    drawn = response.sample(ordered, Stream(3, "draws").at())
    order = [("et_1", "eta_1", "phi_1", "et_2", "eta_2", "phi_2").index(v.name) for v in known.layout.target]
    np.testing.assert_allclose(truth.redraw(condition, Stream(3, "draws").at()), drawn[:, order], rtol=1e-14)
    np.testing.assert_allclose(truth.log_density(condition, drawn[:, order]), response.log_density(ordered, drawn))
    np.testing.assert_allclose(truth.widths(condition), response.widths(ordered)[:, order])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("take = 2", 'take = "each"'),
        ('minus = "photon_et_true"', 'over = "photon_et_true"'),
        ('mu = { column = "mu", per = "event" }', ""),
    ],
)
def test_other_variables_have_no_known_truth(old, new, tmp_path):
    assert analytic_truth(features(TEXT.replace(old, new), tmp_path), TRUTH) is None


def test_without_a_sidecar_there_is_no_known_truth(tmp_path):
    known = features(TEXT, tmp_path)
    assert is_diphoton(known)
    assert analytic_truth(known, None) is None


def judged(known, values, bound, truth=TRUTH):
    condition = conditions(known.layout, values)
    found = analytic_truth(known, truth)
    target = analytic_truth(known, TRUTH).redraw(condition, Stream(4, "target").at())
    return JudgedEvents(
        known, condition, target, np.zeros_like(target), np.ones(6), found, np.asarray(bound), 1, 0
    )  # fmt: skip


def test_a_model_with_a_limited_support_is_judged_inside_it(values, tmp_path):
    known = features(TEXT, tmp_path)
    bound = np.array([20.0, 0.005, 0.01] * 2) / 5
    every = judged(known, values, bound)
    kept = every.inside()
    assert 0 < kept.left_out < len(every)
    assert kept.left_out + len(kept) == len(every)
    assert (np.abs(kept.target) < bound).all()
    assert (np.abs(kept.redraw(1)) < bound).all()
    assert not np.array_equal(kept.redraw(1), kept.redraw(2))
    np.testing.assert_array_equal(kept.redraw(1), kept.redraw(1))
    # Renormalised: the density inside is larger than that of the whole response, and nothing is left outside.
    whole = kept.truth.log_density(kept.condition, kept.target)
    assert (kept.true_log_density(kept.target) > whole).all()
    assert np.isneginf(kept.true_log_density(2 * np.broadcast_to(bound, kept.target.shape))).all()


@pytest.mark.statistical
def test_the_truncated_density_is_normalised(values, tmp_path):
    """The average of p_whole / p_truncated over truncated draws is the mass inside, event by event."""
    known = features(TEXT, tmp_path)
    kept = judged(known, values, np.array([20.0, 0.005, 0.01] * 2) / 5).inside()
    whole = kept.truth
    inside = np.exp(whole.log_mass_inside(kept.condition, kept.bound))
    draws, rng = 400, Stream(5, "whole").at()
    hits = np.zeros(len(kept))
    for _ in range(draws):
        hits += (np.abs(whole.redraw(kept.condition, rng)) < kept.bound).all(axis=1)
    pull = (hits / draws - inside).sum() / np.sqrt((inside * (1 - inside) / draws).sum())
    assert abs(pull) < 5


def test_without_a_truth_nothing_is_redrawn(values, tmp_path):
    events = judged(features(TEXT, tmp_path), values, np.full(6, np.inf), truth=None)
    assert not events.truncated
    assert len(events.inside()) == len(events)
    with pytest.raises(DataError, match="not analytic"):
        events.redraw(1)
    with pytest.raises(DataError, match="not analytic"):
        events.true_log_density(events.target)


def test_no_event_inside_is_refused(values, tmp_path):
    with pytest.raises(DataError, match="No test event"):
        judged(features(TEXT, tmp_path), values, np.full(6, 1e-12)).inside()
