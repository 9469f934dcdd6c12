import numpy as np
import pytest
from unfolding_toys import toy

from castalia.apps.unfold.omnifold import OmniFoldConfig, omnifold
from castalia.errors import DataError


def test_other_columns_are_refused():
    one = toy(2, 3_000)
    weights = omnifold(one.simulation, one.data, one.layout, OmniFoldConfig(iterations=1), seed=1).weights
    with pytest.raises(DataError, match="needs 2 columns: z0, z1"):
        weights(np.zeros((5, 3)))
