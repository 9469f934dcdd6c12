"""Parameter points: values and intervals are checked, drawn evenly, and kept apart where the process asks for it."""

import numpy as np
import pytest
from scipy import stats

from castalia.errors import ConfigError
from castalia.processes.hard import find_hard_process
from castalia.processes.points import check_choices, draw_point, is_scattered
from castalia.rng import Stream

HIGGS = find_hard_process("heavy-higgs")
BOX = {"m_H": (350.0, 600.0), "m_Hpm": (200.0, 450.0)}
# The two-sided five-standard-error level of a p-value.
SMALLEST_P = 2.0 * stats.norm.sf(5.0)


def points(choices, number):
    stream = Stream(1, "test points")
    return [draw_point(HIGGS, check_choices(HIGGS, choices), stream.at(k)) for k in range(number)]


def test_values_are_kept_and_defaults_filled_in():
    choices = check_choices(HIGGS, {"m_H": 500})
    assert choices == {"m_H": 500.0, "m_Hpm": 325.0}
    assert not is_scattered(choices)
    assert points({"m_H": 500}, 1) == [choices]
    assert is_scattered(check_choices(HIGGS, {"m_Hpm": (200, 300)}))


@pytest.mark.statistical
def test_points_are_uniform_where_they_are_allowed():
    drawn = np.array([(point["m_H"], point["m_Hpm"]) for point in points(BOX, 2_000)])
    heavy, charged = drawn.T
    assert (heavy > charged + 85.0).all()
    # At a given m_H the charged mass is uniform from 200 to the lower of 450 and m_H - 85.
    fraction = (charged - 200.0) / (np.minimum(450.0, heavy - 85.0) - 200.0)
    assert stats.kstest(fraction, "uniform").pvalue > SMALLEST_P
    assert stats.kstest((charged - 200.0) / 250.0, "uniform").pvalue < SMALLEST_P, "the negative control"


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"m_A": 300.0}, "no parameter 'm_A'; it has m_H, m_Hpm"),
        ({"m_H": 100.0}, r"m_H = 100.0 is outside \[235, 2000\]"),
        ({"m_H": float("nan")}, "m_H = nan is outside"),
        ({"m_H": (300.0, 3000.0)}, "is outside"),
        ({"m_H": (600.0, 350.0)}, "interval .* is empty"),
        ({"m_H": (400.0, 400.0)}, "interval .* is empty"),
        ({"m_H": 400.0}, "m_H must exceed m_Hpm by more than 85"),
        ({"m_H": (350.0, 400.0)}, "m_H must exceed m_Hpm by more than 85"),
    ],
)
def test_points_that_cannot_be_are_refused(choices, said):
    with pytest.raises(ConfigError, match=said):
        check_choices(HIGGS, choices)


def test_a_nearly_empty_region_is_refused_in_bounded_time():
    with pytest.raises(ConfigError, match="widen the intervals"):
        points({"m_H": (350.0, 285.0 + 85.0 + 1e-6), "m_Hpm": (285.0, 450.0)}, 1)
