import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from castalia.apps.unfold.unfolded_sample import BinCovariance, Replica, TruthColumn, UnfoldedSample
from castalia.errors import DataError
from castalia.rng import Stream

COLUMNS = (TruthColumn("pt", "GeV"), TruthColumn("eta"))
EDGES = np.linspace(0.0, 200.0, 5)


def sample(**changes: object) -> UnfoldedSample:
    rng = Stream(1, "unfolded sample").at()
    values = np.stack([rng.exponential(50.0, (300, 4)), rng.normal(0.0, 1.0, (300, 4))], axis=2)
    return dataclasses.replace(UnfoldedSample(COLUMNS, values, rng.uniform(0.5, 1.5, 300)), **changes)


def test_a_histogram_counts_every_event_once():
    plain = sample()
    shares = np.repeat(plain.weights / 4, 4)
    spectrum = plain.histogram("pt", EDGES)
    assert spectrum.contents == pytest.approx(np.histogram(plain.values[:, :, 0].ravel(), EDGES, weights=shares)[0])
    assert set(spectrum.covariances) == {"statistics"}
    whole = plain.histogram("pt", [0.0, 1e6])
    assert whole.contents[0] == pytest.approx(plain.weights.sum())
    assert whole.covariance[0, 0] == pytest.approx(np.square(plain.weights).sum())
    assert spectrum.covariance[0, 1] > 0  # draws of one event lie in both bins


def test_draws_have_weights_of_their_own():
    first = np.zeros((300, 4))
    first[:, 0] = 7.0
    only = sample(draw_weights=first)
    alone = sample(values=only.values[:, :1])
    assert only.histogram("pt", EDGES).contents == pytest.approx(alone.histogram("pt", EDGES).contents)


def test_functions_of_columns_are_filled_draw_by_draw():
    plain = sample()
    momentum = plain.histogram(lambda c: c["pt"] * np.cosh(c["eta"]), EDGES)
    direct = plain.values[:, :, 0] * np.cosh(plain.values[:, :, 1])
    shares = np.repeat(plain.weights / 4, 4)
    assert momentum.contents == pytest.approx(np.histogram(direct.ravel(), EDGES, weights=shares)[0])
    with pytest.raises(DataError, match="no column 'mass'; it has pt, eta"):
        plain.histogram("mass", EDGES)


def test_every_kind_of_replica_has_its_covariance():
    plain, rng = sample(), Stream(2, "replicas").at()
    events = len(plain.weights)
    scaled = plain.values.copy()
    scaled[:, :, 0] *= 1.1
    boots = tuple(Replica("data", "bootstrap", plain.weights * rng.poisson(1.0, events)) for _ in range(400))
    members = tuple(Replica("seed", "ensemble", plain.weights * f) for f in (0.9, 1.0, 1.1))
    scale = (Replica("energy scale", "systematic", values=scaled),)
    spectrum = sample(replicas=(*members, *scale)).histogram("pt", EDGES)
    assert set(spectrum.covariances) == {"statistics", "seed", "energy scale"}
    content, moved = spectrum.contents, sample(values=scaled).histogram("pt", EDGES).contents
    assert spectrum.covariances["seed"] == pytest.approx(0.01 * np.outer(content, content))
    assert spectrum.covariances["energy scale"] == pytest.approx(np.outer(moved - content, moved - content))
    assert spectrum.covariance == pytest.approx(np.sum(list(spectrum.covariances.values()), axis=0))
    # The bootstrap takes the place of the statistics of the events, and agrees with it.
    repeated = sample(replicas=(*boots, *scale)).histogram("pt", EDGES)
    assert set(repeated.covariances) == {"data", "energy scale"}
    statistics = np.diag(spectrum.covariances["statistics"])
    found = np.diag(repeated.covariances["data"])
    assert np.all(np.abs(found - statistics) < 5 * statistics * np.sqrt(2 / 400))
    assert np.any(np.abs(found - content) > 5 * content * np.sqrt(2 / 400))  # control: weights taken for counts


def test_the_methods_own_covariance_replaces_the_statistics_of_its_bins_only():
    own = BinCovariance("pt", EDGES, np.diag([4.0, 3.0, 2.0, 1.0]))
    known = sample(bin_covariances=(own,))
    assert known.histogram("pt", EDGES).covariance == pytest.approx(own.covariance)
    assert set(known.histogram("pt", EDGES[:-1]).covariances) == {"statistics"}
    assert set(known.histogram("eta", EDGES).covariances) == {"statistics"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": np.zeros((300, 4))}, "at least one of each"),
        ({"values": np.zeros((300, 4, 3))}, "values: has shape"),
        ({"weights": np.ones(299)}, "weights: has shape"),
        ({"weights": np.full(300, np.nan)}, "NaN or infinite"),
        ({"draw_weights": np.zeros((300, 4))}, "give each event a draw that counts"),
        ({"replicas": (Replica("data", "bootstrap", np.ones(3)),)}, "weights of replica 'data'"),
        ({"replicas": (Replica("a", "bootstrap"), Replica("a", "ensemble"))}, "different kinds"),
        ({"bin_covariances": (BinCovariance("pt", EDGES, np.eye(3)),)}, "covariance of column 'pt'"),
    ],
)
def test_what_does_not_belong_together_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        sample(**changes)


def test_a_single_random_replica_is_refused():
    with pytest.raises(DataError, match="one replica has no spread"):
        sample(replicas=(Replica("data", "bootstrap"),)).histogram("pt", EDGES)


def test_results_load_without_torch():
    code = (
        f"import sys; sys.path = {sys.path!r}; import castalia.apps.unfold.sample_file; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout == b"False\n"
