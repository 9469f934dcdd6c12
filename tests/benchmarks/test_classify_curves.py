"""The learning curves of the documentation are those of the results."""

import json

import numpy as np
import pytest

from classify_combined import SIGNAL
from classify_curves import DRAWN, draw, lines_of

SIZES = [1_000.0, 4_000.0, 16_000.0]


def curves(name):
    """Make a curve of each arm that is drawn, and of one that is not."""
    return {
        arm: {"sizes": SIZES, "value": [0.7 + 0.01 * n, 0.8, 0.85], "error": [0.01, 0.004, None], "seeds": [5, 5, 1]}
        for n, arm in enumerate((*DRAWN[name], "w5"))
    }


@pytest.mark.parametrize("name", DRAWN)
def test_arms_are_drawn_in_order_under_their_names(name, tmp_path):
    measured = curves(name)
    found = lines_of(name, {"auc_curves": measured})
    assert [line.name for line in found] == list(DRAWN[name].values())
    for arm, line in zip(DRAWN[name], found, strict=True):
        np.testing.assert_array_equal(line.value, measured[arm]["value"])
        np.testing.assert_array_equal(line.error, [0.01, 0.004, np.nan])
    assert len(lines_of(name, {"auc_curves": {SIGNAL: measured, "zprime": {}}})) == len(found)  # of several signals
    first = next(iter(DRAWN[name]))
    assert len(lines_of(name, {"auc_curves": {first: measured[first]}})) == 1  # what is not measured is left out
    result = tmp_path / "result.json"
    result.write_text(json.dumps({"values": {"auc_curves": measured}}))
    png = draw(name, result, tmp_path / "figures")
    assert png.name == f"classify_{name}.png"
    assert [one.name for one in png.parent.iterdir()] == [png.name]
