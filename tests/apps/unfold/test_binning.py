import numpy as np
import pytest

from castalia.apps.unfold.binning import binning
from castalia.errors import DataError


def test_bins_are_numbered_with_the_last_column_fastest():
    bins = binning([0.0, 1.0, 2.0], [0.0, 1.0, 2.0, 3.0])
    assert bins.bins == 6
    values = np.array([[0.5, 0.5], [0.5, 2.5], [2.0, 3.0], [-0.1, 0.5], [0.5, 3.1]])
    assert bins.place(values).tolist() == [0, 2, 5, -1, -1]
    assert bins.place(values, np.array([False, True, True, True, True])).tolist() == [-1, 2, 5, -1, -1]


def test_edges_must_fit():
    with pytest.raises(DataError, match="no bin edges"):
        binning()
    with pytest.raises(DataError, match="do not increase"):
        binning([1.0, 0.0])
    with pytest.raises(DataError, match="2 columns for bin edges of 1"):
        binning([0.0, 1.0]).place(np.zeros((3, 2)))
