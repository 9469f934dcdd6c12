"""The ``[training]`` section of a configuration."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from castalia.data.strict import StrictModel

__all__ = ["TrainingConfig"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TrainingConfig(StrictModel):
    """How an estimator is trained.

    Attributes:
        epochs: Passes over the training events, for each phase of the estimator.
        seed: Seed of the order of events, of the losses' noise and of the reweighting.
        batch_size: Largest number of events in a step; an epoch is cut into steps of equal size.
        learning_rate: Initial rate (``constant``, ``power``, ``cosine``) or highest rate (``one_cycle``).
        final_learning_rate: Rate of the last step; not used by ``constant``.
        schedule: How the rate goes from one to the other, see `castalia.training.schedule.learning_rate`.
        power: Exponent of the ``power`` schedule.
        optimiser: AdamW; Muon for weight matrices, which makes all directions of a step equally long, with AdamW for
            the rest; or stochastic gradient descent with a momentum of 0.9.
        weight_decay: Decoupled weight decay of AdamW and Muon; of stochastic gradient descent it is half the factor of
            an added squared norm.
        ema: Decay per step of the exponential moving average of the weights, or ``None`` for none. Where there is one,
            validation, best weights and result are those of the average.
        clip: Largest Euclidean norm of an objective's gradient, or ``None``.
        metric: What selects the best epoch, lower is better: ``"loss"`` (validation loss, or training loss where there
            are no validation events) or a name returned by the ``metrics`` callback. Phases before the last one
            are always judged by their loss.
        patience: Epochs without improvement after which a phase ends, or ``None``.
        checkpoint_seconds: Time between two checkpoints.
        device: Where steps are computed. What is prepared, measured by ``metrics`` and saved is on the processor.
        positive_reweighting: Replace weights of both signs by positive ones of the same local average,
            see `castalia.training.reweighting`.
    """

    epochs: int = Field(default=20, ge=1)
    seed: int = Field(default=1, ge=0)
    batch_size: int = Field(default=2048, ge=1)
    learning_rate: Positive = 2e-3
    final_learning_rate: Positive = 1e-5
    schedule: Literal["constant", "power", "one_cycle", "cosine"] = "one_cycle"
    power: Positive = 0.5
    optimiser: Literal["adamw", "muon", "sgd"] = "adamw"
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    ema: float | None = Field(default=None, gt=0, lt=1)
    clip: Positive | None = None
    metric: str = "loss"
    patience: int | None = Field(default=None, ge=1)
    checkpoint_seconds: float = Field(default=30.0, ge=0, allow_inf_nan=False)
    device: Literal["cpu", "cuda"] = "cpu"
    positive_reweighting: bool = False

    @model_validator(mode="after")
    def _rates_decrease(self) -> Self:
        if self.schedule != "constant" and self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate ({self.final_learning_rate:g}) is above learning_rate ({self.learning_rate:g}); "
                "lower it"
            )
        return self
