import pytest
from pydantic import ValidationError

from castalia.training.config import TrainingConfig


def test_unknown_key_lists_the_known_ones():
    with pytest.raises(ValidationError, match=r"unknown key 'epoch'; did you mean 'epochs'\? .*batch_size"):
        TrainingConfig(epoch=3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("ema", 1.0),
        ("clip", -1.0),
        ("patience", 0),
        ("schedule", "linear"),
        ("checkpoint_seconds", -1.0),
    ],
)
def test_impossible_values_are_refused(key, value):
    with pytest.raises(ValidationError, match=key):
        TrainingConfig(**{key: value})


def test_a_rising_schedule_is_refused():
    with pytest.raises(ValidationError, match="final_learning_rate"):
        TrainingConfig(learning_rate=1e-4, final_learning_rate=1e-3)
    assert TrainingConfig(schedule="constant", learning_rate=1e-9).learning_rate == 1e-9
