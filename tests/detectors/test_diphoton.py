"""The diphoton file: truth events get reconstructed photons, the same ones for the same arguments."""

import numpy as np
import pytest

from castalia.data.table import Table
from castalia.detectors.diphoton import DIPHOTON_SCHEMA, apply_response, diphoton_condition, diphoton_response
from castalia.detectors.photon_response import PhotonResponse
from castalia.errors import DataError
from castalia.physics.angles import wrap_phi
from castalia.rng import Stream

EVENTS = 4_000


def truth(events: int = EVENTS) -> Table:
    rng = Stream(1, "test truth").at()
    et = np.sort(rng.uniform(20.0, 250.0, (EVENTS, 2)), axis=1)[:, ::-1]
    columns = {
        "photon_et_true": et,
        "photon_eta_true": rng.uniform(-2.5, 2.5, (EVENTS, 2)),
        # Half of the photons sit beside the seam, so that wrapping has work to do.
        "photon_phi_true": wrap_phi(np.pi + rng.uniform(-0.002, 0.002, (EVENTS, 2))),
        "mu": rng.uniform(0.0, 40.0, EVENTS),
        "event": np.arange(EVENTS),
    }
    return Table(columns).slice(0, events)


def test_columns_shapes_and_angles():
    table, refused = apply_response(truth(), PhotonResponse(), 1, 0)
    assert refused == 0
    assert set(table.names) == set(DIPHOTON_SCHEMA.names) - {"run", "luminosityBlock", "weight"}
    assert np.array_equal(table["event"], np.arange(EVENTS))
    phi = table["photon_phi"]
    assert ((phi > -np.pi) & (phi <= np.pi)).all()
    unwrapped = table["photon_phi_true"] + diphoton_response(table).reshape(-1, 2, 3)[:, :, 2]
    assert (np.abs(unwrapped) > np.pi).sum() > 100, "without wrapping, many would have left the interval"


def test_the_response_comes_back_from_the_columns():
    response = PhotonResponse("crystal-ball")
    table, _ = apply_response(truth(), response, 1, 0)
    drawn = response.sample(diphoton_condition(table), Stream(1, "photon response", "0").at())
    lost = np.abs(diphoton_response(table) - drawn)
    # A sum of truth and response rounds at the size of the truth, and wrapping once more at 2 pi.
    assert (lost <= np.array([np.spacing(512.0), np.spacing(4.0), 4 * np.spacing(8.0)] * 2)).all()


def test_a_function_of_its_arguments():
    response = PhotonResponse("asymmetric")
    table, _ = apply_response(truth(), response, 1, 3)
    again, _ = apply_response(truth(1_000), response, 1, 3)
    for name in again.names:
        assert np.array_equal(again[name], table[name][:1_000])
    for seed, unit in ((2, 3), (1, 4), (1, "ggH 3")):
        other, _ = apply_response(truth(1_000), response, seed, unit)
        assert not np.isin(other["photon_et"], table["photon_et"]).any()


def test_printed_leaves_out_what_it_cannot_smear():
    response = PhotonResponse(parametrisation="printed")
    table, refused = apply_response(truth(), response, 1, 0)
    bad = (truth()["photon_eta_true"] >= 2.0).any(axis=1)
    assert refused > 0
    assert refused + len(table) == EVENTS
    assert not np.isin(table["event"], np.flatnonzero(bad)).any()


def test_every_column_is_declared():
    roles = {spec.name: spec.role for spec in DIPHOTON_SCHEMA.columns}
    assert [name for name, role in roles.items() if role == "identifier"] == ["run", "luminosityBlock", "event"]
    assert [name for name, role in roles.items() if role == "target"] == ["photon_et", "photon_eta", "photon_phi"]
    assert DIPHOTON_SCHEMA.column("photon_et").unit == "GeV"
    assert all(DIPHOTON_SCHEMA.column(f"photon_{x}{t}").shape == 2 for x in ("et", "eta", "phi") for t in ("", "_true"))


def test_one_photon_is_not_two():
    table = truth(10).with_columns({"photon_et_true": np.ones((10, 3))})
    with pytest.raises(DataError, match="photon_et_true"):
        apply_response(table, PhotonResponse(), 1, 0)
    with pytest.raises(DataError, match="mu"):
        apply_response(truth(10).without(["mu"]), PhotonResponse(), 1, 0)
