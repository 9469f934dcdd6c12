import torch

from castalia.estimators.base import Losses
from castalia.training.diagnosis import VariableNames, diverged

NAMES = VariableNames(["mu"], ["et"])


def message(toys, change, losses=None):
    batch = toys.sample(64).map(lambda values: values.clone())
    batch.index.add_(100)
    total = torch.zeros(64)
    change(batch, total)
    return str(diverged("loss 'flow' is nan", "training step 8 (epoch 1)", batch, Losses(total), NAMES))


def test_names_step_row_and_column_of_a_nan(toys):
    def change(batch, total):
        batch.condition.flat[7, 0] = float("nan")
        total[7] = float("nan")

    text = message(toys, change)
    assert "training step 8 (epoch 1): loss 'flow' is nan for 1 of 64 events (row 107)" in text
    assert "condition column 'mu' is nan in row 107" in text
    assert "'et'" not in text


def test_names_an_extreme_value(toys):
    def change(batch, total):
        batch.target.flat[9, 0] = 1e30
        total[9] = float("inf")

    assert "target column 'et' is 1e+30 in row 109" in message(toys, change)


def test_ordinary_columns_are_not_accused(toys):
    def change(batch, total):
        total[[1, 2, 3, 4, 5, 6, 7]] = float("nan")

    text = message(toys, change)
    assert "7 of 64 events (rows 101, 102, 103, 104, 105, …)" in text
    assert "columns look ordinary" in text


def test_finite_losses_name_the_largest(toys):
    def change(batch, total):
        total[11] = 3e38

    text = message(toys, change)
    assert "though every event's is finite; the largest are in rows 111" in text
