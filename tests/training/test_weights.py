import logging
import math

import pytest
import torch

from castalia.errors import ConfigError, DataError
from castalia.training.weights import check_weights, summarise_weights


def test_effective_size_by_hand():
    summary = summarise_weights(torch.tensor([1.0, 1.0, 2.0, 0.0]))
    assert (summary.events, summary.total, summary.zero) == (4, 4.0, 1)
    assert summary.effective == pytest.approx(16 / 6)


def test_equal_weights_are_all_effective():
    assert summarise_weights(torch.full((1000,), 0.3)).effective == pytest.approx(1000, rel=1e-12)


def test_negative_weights_are_refused_with_count_and_cure(toys):
    batch = toys.sample(10)
    weight = batch.weight.clone()
    weight[[2, 5]] = -1.0
    with pytest.raises(
        ConfigError, match=r"2 of 10 training events have negative weights.*positive_reweighting = true"
    ):
        check_weights(toys.with_weight(batch, weight), "training")


def test_useless_weights_are_refused(toys):
    batch = toys.sample(10)
    with pytest.raises(DataError, match="weight zero"):
        check_weights(toys.with_weight(batch, torch.zeros(10)), "training")
    weight = batch.weight.clone()
    weight[7] = math.nan
    with pytest.raises(DataError, match=r"1 values .*first in row 7"):
        check_weights(toys.with_weight(batch, weight), "training")
    with pytest.raises(DataError, match="no validation events"):
        check_weights(batch.take(torch.arange(0)), "validation")


def test_a_huge_weight_is_reported(toys, caplog):
    batch = toys.sample(1000)
    weight = batch.weight.clone()
    with caplog.at_level(logging.WARNING):
        check_weights(toys.with_weight(batch, weight), "training")
    assert not caplog.records
    weight[3] = 1e6
    with caplog.at_level(logging.WARNING):
        summary = check_weights(toys.with_weight(batch, weight), "training")
    assert summary.effective == pytest.approx(1.0, abs=0.01)
    assert "effective size 1.0" in caplog.text
