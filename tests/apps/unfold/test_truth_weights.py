import numpy as np
import pytest
from unfolding_toys import toy

from castalia.apps.unfold.omnifold import OmniFoldConfig, omnifold
from castalia.apps.unfold.truth_weights import load_truth_weights
from castalia.errors import ConfigError, DataError, ModelError


@pytest.fixture(scope="module")
def weights():
    one = toy(2, 3_000)
    return omnifold(one.simulation, one.data, one.layout, OmniFoldConfig(iterations=1, members=2), seed=1).weights


def test_saving_changes_no_number_and_writes_no_pickle(weights, tmp_path):
    own = toy(2, 1_000, seed=5).simulation.truth
    weights.save(tmp_path / "unfolded")
    loaded = load_truth_weights(tmp_path / "unfolded")
    assert np.array_equal(loaded(own), weights(own))
    assert loaded.by_member(own).shape == (2, 1_000)
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"model.safetensors", "model.json"}
    with pytest.raises(ConfigError, match="holds a reweighting already"):
        weights.save(tmp_path / "unfolded")


def test_other_columns_are_refused(weights):
    with pytest.raises(DataError, match="needs 2 columns: z0, z1"):
        weights(np.zeros((5, 3)))


def test_missing_and_damaged_members_are_refused(weights, tmp_path):
    with pytest.raises(ModelError, match="has no members"):
        load_truth_weights(tmp_path)
    weights.save(tmp_path)
    numbers = tmp_path / "member-01" / "model.safetensors"
    numbers.write_bytes(numbers.read_bytes()[:-1])
    with pytest.raises(ModelError, match="member-01"):
        load_truth_weights(tmp_path)
