"""Widths of the photon response: the check values, and the faults of the print that the repair removes."""

import numpy as np
import pytest

from castalia.detectors.resolution import OBSERVABLES, PARAMETRISATIONS, photon_resolutions
from castalia.errors import ConfigError

# et [GeV], eta, and the printed digits of the widths at mu = 20: et in GeV, eta and phi in 1e-3.
CHECK_VALUES = [
    (40.0, 0.0, ("1.737", ".464", "1.333")),
    (60.0, 1.0, ("2.271", ".538", "1.390")),
    (100.0, 2.0, ("2.384", ".832", "1.007")),
    (200.0, 0.0, ("3.488", ".341", ".573")),
    (500.0, 0.0, ("3.488", ".341", ".573")),
]


def digits(widths) -> tuple[str, ...]:
    return tuple(f"{float(w) * scale:.3f}".removeprefix("0") for w, scale in zip(widths, (1.0, 1e3, 1e3), strict=True))


@pytest.mark.parametrize(("et", "eta", "expected"), CHECK_VALUES)
def test_check_values(et, eta, expected):
    assert digits(photon_resolutions("repaired", et, eta, 20.0)) == expected
    assert digits(photon_resolutions("printed", et, eta, 20.0)) != expected, "the print is the negative control"
    assert digits(photon_resolutions("repaired", et, eta - 0.5, 20.0)) != expected


def grid():
    return np.meshgrid(np.arange(20.0, 260.0, 5.0), np.linspace(-2.5, 2.5, 101), np.linspace(0, 40, 41), indexing="ij")


@pytest.mark.parametrize("parametrisation", ["repaired", "smooth"])
def test_every_width_is_positive(parametrisation):
    assert all((width > 0.0).all() for width in photon_resolutions(parametrisation, *grid()))


def test_printed_fault_widths_of_the_last_bins_are_negative():
    et, eta, mu = grid()
    width = photon_resolutions("printed", et, eta, mu)[0]
    assert (width[eta >= 2.0] < 0.0).all()
    assert (width[eta < 1.5] > 0.0).all()


def test_printed_fault_prefactors_are_swapped():
    # At x = 0 of et, eta and mu the polynomials agree within their rounding, so the widths' ratio is the prefactors'.
    printed, repaired = (photon_resolutions(p, 20.0, -2.5, 0.0) for p in ("printed", "repaired"))
    ratios = [float(a / b) for a, b in zip(printed, repaired, strict=True)]
    assert ratios == pytest.approx([1.0, 0.0005 / 0.00032, 0.0003 / 0.00048], rel=0.03)


def test_printed_fault_x_is_a_bin_and_not_a_unit():
    inside = [photon_resolutions("repaired", et, 0.2, 3.0) for et in (40.0, 59.9)]
    assert np.array_equal(inside[0], inside[1])
    assert not np.array_equal(inside[0], photon_resolutions("repaired", 60.0, 0.2, 3.0))
    assert photon_resolutions("repaired", 50.0, 1.9, 3.0) != photon_resolutions("repaired", 50.0, -1.9, 3.0)


def test_repaired_coefficients_are_inside_the_rounding_of_the_print():
    from castalia.detectors.resolution import _PRINTED, _REPAIRED

    for observable in OBSERVABLES:
        for variable, printed in _PRINTED[observable].items():
            for p, q in zip(printed, _REPAIRED[observable][variable], strict=True):
                digit = 10.0 ** (np.floor(np.log10(abs(p))) - 1)
                assert abs(p - q) <= 0.5001 * digit, (observable, variable, p, q)


def test_smooth_meets_repaired_in_the_middle_of_each_bin():
    et, eta, mu = np.meshgrid(np.arange(30.0, 220.0, 20.0), np.arange(-2.25, 2.5, 0.5), np.arange(2.5, 40.0, 5.0))
    for smooth, repaired in zip(*(photon_resolutions(p, et, eta, mu) for p in ("smooth", "repaired")), strict=True):
        assert np.abs(smooth / repaired - 1.0).max() < 1e-12


def test_smooth_does_not_jump():
    edge = [photon_resolutions("smooth", et, 0.5, 20.0)[0] for et in (np.nextafter(200.0, 0.0), 200.0)]
    assert abs(edge[0] - edge[1]) < 1e-12
    edge = [photon_resolutions("repaired", et, 0.5, 20.0)[0] for et in (np.nextafter(200.0, 0.0), 200.0)]
    assert abs(edge[0] - edge[1]) > 0.01, "the binned widths are the negative control"


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_shapes_broadcast_and_the_outermost_bins_go_on(parametrisation):
    widths = photon_resolutions(parametrisation, np.full((3, 1), 300.0), np.zeros(4), 39.0)
    assert all(width.shape == (3, 4) for width in widths)
    assert widths[0][0, 0] == photon_resolutions(parametrisation, 6000.0, 0.0, 500.0)[0]


def test_an_unknown_parametrisation_lists_the_known():
    with pytest.raises(ConfigError, match="repaired, printed, smooth"):
        photon_resolutions("fixed", 50.0, 0.0, 20.0)
