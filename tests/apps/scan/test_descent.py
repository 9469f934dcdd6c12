"""Descents: known minima, limits, parameters held, impossible starts."""

import numpy as np
import pytest

from castalia.apps.scan.descent import descend


class Function:
    """A function of numpy arrays within a box."""

    def __init__(self, value, gradient, low, high):
        self.low, self.range = np.array(low), np.array(high) - np.array(low)
        self._value, self._gradient, self.points = value, gradient, 0

    def value_and_gradient(self, phi):
        self.points += len(phi)
        return self._value(phi), self._gradient(phi)


MATRIX = np.array([[4.0, 1.5], [1.5, 1.0]])


def quadratic(centre, low=(-10.0, -10.0), high=(10.0, 10.0)):
    centre = np.array(centre)
    return Function(
        lambda p: 0.5 * np.einsum("ki,ij,kj->k", p - centre, MATRIX, p - centre),
        lambda p: (p - centre) @ MATRIX,
        low,
        high,
    )


def rosenbrock():
    return Function(
        lambda p: (1 - p[:, 0]) ** 2 + 100 * (p[:, 1] - p[:, 0] ** 2) ** 2,
        lambda p: np.stack(
            [-2 * (1 - p[:, 0]) - 400 * p[:, 0] * (p[:, 1] - p[:, 0] ** 2), 200 * (p[:, 1] - p[:, 0] ** 2)], axis=1
        ),
        (-2.0, -2.0),
        (2.0, 2.0),
    )


STARTS = np.array([[-1.2, 1.0], [1.9, -1.9], [0.0, 0.0], [-1.9, 1.9]])


@pytest.mark.parametrize(("function", "minimum"), [(quadratic((0.5, -0.7)), (0.5, -0.7)), (rosenbrock(), (1.0, 1.0))])
def test_every_start_reaches_the_minimum(function, minimum):
    end = descend(function, STARTS, tolerance=1e-8)
    assert end.converged.all()
    assert end.phi == pytest.approx(np.tile(minimum, (4, 1)), abs=1e-2)
    assert (end.value < 1e-5).all()


def test_the_known_curvature_saves_the_steps():
    function = quadratic((0.5, -0.7))
    scaled = MATRIX * np.outer(function.range, function.range)
    assert descend(function, np.zeros((1, 2)), curvature=scaled).converged.all()
    assert function.points == 2


def test_a_minimum_beyond_a_limit_ends_at_it_with_the_others_at_their_best():
    function = quadratic((3.0, 0.0), high=(1.0, 10.0))
    end = descend(function, STARTS, tolerance=1e-10)
    assert end.phi[:, 0] == pytest.approx(1.0)
    assert end.phi[:, 1] == pytest.approx(1.5 * 2.0, abs=1e-4)
    assert end.converged.all()


def test_each_start_holds_its_own_parameters():
    function = quadratic((0.5, -0.7))
    free = np.array([[True, False], [False, True], [False, False], [True, True]])
    end = descend(function, STARTS, free=free, tolerance=1e-10)
    assert end.phi[0] == pytest.approx([0.5 - 1.5 / 4.0 * (1.0 + 0.7), 1.0], abs=1e-4)
    assert end.phi[1, 0] == pytest.approx(1.9)
    assert end.phi[2] == pytest.approx(STARTS[2])
    assert end.phi[3] == pytest.approx([0.5, -0.7], abs=1e-4)


def test_an_impossible_start_is_left_where_it_is():
    plain = quadratic((0.5, -0.7))
    function = Function(
        lambda p: np.where(p[:, 0] < -1.5, np.inf, plain._value(p)),
        lambda p: np.where(p[:, :1] < -1.5, np.nan, plain._gradient(p)),
        (-10.0, -10.0),
        (10.0, 10.0),
    )
    end = descend(function, STARTS)
    assert end.converged.tolist() == [True, True, True, False]
    assert end.value[3] == np.inf


def test_a_wrong_gradient_does_not_pass_for_a_minimum():
    function = Function(lambda p: (p**2).sum(axis=1), lambda p: -2.0 * p, (-10.0, -10.0), (10.0, 10.0))
    assert not descend(function, STARTS[:2]).converged.any()
