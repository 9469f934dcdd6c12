"""Angles are wrapped into (-pi, pi] and distances are symmetric."""

import numpy as np
import pytest

from castalia.physics.angles import delta_phi, delta_r, wrap_phi
from castalia.rng import Stream


@pytest.mark.parametrize(
    ("angle", "wrapped"),
    [
        (0.0, 0.0),
        (np.pi, np.pi),
        (-np.pi, np.pi),
        (3.0 * np.pi, np.pi),
        (-3.0 * np.pi, np.pi),
        (np.nextafter(np.pi, 4.0), np.nextafter(-np.pi, 0.0)),
        (4.0, 4.0 - 2.0 * np.pi),
        (-4.0, 2.0 * np.pi - 4.0),
        (7.0, 7.0 - 2.0 * np.pi),
    ],
)
def test_known_angles(angle, wrapped):
    # Subtracting 2 pi rounds at the size of the larger of the two numbers.
    assert abs(float(wrap_phi(angle)) - wrapped) <= 4.0 * np.spacing(max(abs(angle), np.pi)) or (
        abs(abs(float(wrap_phi(angle))) - np.pi) <= np.spacing(4.0) and abs(abs(wrapped) - np.pi) <= np.spacing(4.0)
    )
    assert -np.pi < wrap_phi(angle) <= np.pi


def test_any_angle_lands_inside_and_keeps_its_direction():
    angle = Stream(1, "test angles").at().uniform(-100.0, 100.0, 20_000)
    wrapped = wrap_phi(angle)
    assert (wrapped > -np.pi).all()
    assert (wrapped <= np.pi).all()
    assert np.abs(np.sin(wrapped) - np.sin(angle)).max() < 20 * np.spacing(100.0)
    assert np.abs(np.cos(wrapped) - np.cos(angle)).max() < 20 * np.spacing(100.0)


def test_wrapping_twice_changes_no_bit():
    angle = np.concatenate([Stream(2, "test angles").at().uniform(-20.0, 20.0, 5_000), [np.pi, -np.pi, 1e-300]])
    once = wrap_phi(angle)
    assert np.array_equal(once, wrap_phi(once))


def test_what_is_no_angle_stays_none():
    assert np.isnan(wrap_phi([np.nan, np.inf, -np.inf])).all()


def test_differences_across_the_seam():
    assert float(delta_phi(3.1, -3.1)) == pytest.approx(6.2 - 2.0 * np.pi, abs=4 * np.spacing(6.2))
    assert float(delta_phi(-3.1, 3.1)) == pytest.approx(2.0 * np.pi - 6.2, abs=4 * np.spacing(6.2))
    assert 3.1 - -3.1 > np.pi, "the plain difference is the negative control"


def test_distance():
    assert float(delta_r(0.5, 3.1, 0.5, -3.1)) == pytest.approx(2.0 * np.pi - 6.2, abs=4 * np.spacing(6.2))
    assert float(delta_r(1.0, 0.3, -2.0, 0.3 + 4.0 - 2.0 * np.pi)) == pytest.approx(np.hypot(3.0, 2 * np.pi - 4.0))
    assert delta_r(np.zeros(3), np.zeros(3), np.ones((2, 1)), np.zeros(3)).shape == (2, 3)
