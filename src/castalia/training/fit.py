"""One ``fit`` for every estimator: objectives that alternate, phases that follow each other, or nothing to train."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from castalia.errors import ConfigError, StoppedError
from castalia.estimators.base import Batch, Estimator, Objective
from castalia.training.allocator import keep_freed_memory
from castalia.training.config import TrainingConfig
from castalia.training.diagnosis import VariableNames
from castalia.training.history import History
from castalia.training.loop import TrainingData, TrainingLoop
from castalia.training.progress import Progress
from castalia.training.reweighting import reweight_positive
from castalia.training.storage import StateStore
from castalia.training.termination import Termination
from castalia.training.weights import WeightSummary, check_weights

__all__ = ["FitResult", "fit"]

logger = logging.getLogger(__name__)

PREPARE_CHUNK = 65536
"""Events in one batch of the pass that measures scaling statistics."""


@dataclass(frozen=True)
class FitResult:
    """What a training came to.

    Attributes:
        best_epoch: Epoch whose weights were kept, from 1 over all phases; 0 where there was nothing to train.
        best_value: Its metric, ``None`` where there was nothing to train.
        epochs: Epochs run.
        steps: Optimisation steps done.
        seconds: Time spent, over all sessions.
        stopped_early: Whether a phase ended for lack of improvement.
        weights: Size of the training sample, effective sample size included.
    """

    best_epoch: int
    best_value: float | None
    epochs: int
    steps: int
    seconds: float
    stopped_early: bool
    weights: WeightSummary


def fit(
    estimator: Estimator,
    train: Batch,
    validation: Batch | None,
    config: TrainingConfig,
    *,
    state: Path | None = None,
    history: Path | None = None,
    resume: bool = False,
    metrics: Callable[[Estimator], Mapping[str, float]] | None = None,
    progress: Callable[[Progress], None] | None = None,
    names: tuple[Sequence[str], Sequence[str]] | None = None,
) -> FitResult:
    """Train an estimator and leave it with the weights of its best epoch.

    Objectives of one phase alternate batch by batch; phases follow each other, each from the best weights of the one
    before. Losses are averaged with the event weights, see `castalia.training.step.ObjectiveStep`. A training that
    was killed and resumed ends with the same bits as one that was not, on a CPU with equal thread count; the time
    spent is the only difference. From then on the process keeps memory that it frees, see ``keep_freed_memory``.

    Args:
        estimator: What to train; in training mode during steps, in evaluation mode for validation and at the end.
        train: Training events; the only ones that change weights.
        validation: Events that select the best epoch, or ``None`` to select it by training loss.
        config: The ``[training]`` section.
        state: Folder of the checkpoint, or ``None`` for none.
        history: JSON-lines file with one line an epoch, or ``None`` for none.
        resume: Go on from the checkpoint in ``state``; from the beginning where none was completed.
        metrics: Called after each epoch of the last phase; must depend on nothing but the estimator.
        progress: Called a few times a second.
        names: Names of the condition's and the target's columns, for messages.

    Raises:
        ConfigError: If weights are negative and ``positive_reweighting`` is not set, a checkpoint exists and
            ``resume`` is not set, configuration or data differ from those of the checkpoint, or the device is missing.
        DataError: If there are no events, or weights are not finite or all zero.
        MachineError: If a loss is not finite or the disk refuses a checkpoint.
        ModelError: If the checkpoint is damaged.
        StoppedError: If SIGTERM arrived; the state has then been saved.
    """
    if resume and state is None:
        raise ConfigError("a training without a state folder cannot be resumed; give one, or train anew.")
    if config.metric != "loss" and metrics is None:
        raise ConfigError(f"metric = '{config.metric}' is not computed in this training; use metric = 'loss'.")
    device = _device(config)
    with Termination() as termination:
        with termination.at_once():  # nothing is trained yet, so there is nothing to save
            store = StateStore(state, config, train, validation)
            checkpoint = store.restore(resume)
            past = History(history)
            past.start() if not resume else past.cut(checkpoint.position.history_size if checkpoint else 0)
            data, weights = _positive(train, validation, config)
            estimator.prepare(data.train.chunks(PREPARE_CHUNK))
            phases = _phases(estimator)
            estimator.to(device)
        keep_freed_memory()
        loop = TrainingLoop(estimator, data.to(device), config, phases, store, past, termination)
        loop.watch(_on_processor(metrics, device), progress, VariableNames(*(names or ((), ()))))
        try:
            position = loop.run(checkpoint)
        except StoppedError as stop:
            where = (
                f"saved in {state}; go on with --resume" if state is not None else "not saved: there is no state folder"
            )
            raise StoppedError(f"training stopped by SIGTERM, {where}.") from stop
        finally:
            estimator.cpu()
    estimator.eval()
    return FitResult(
        position.best_epoch or 0,
        position.best_value,
        position.epoch,
        position.step,
        position.seconds,
        position.stopped_early,
        weights,
    )


def _device(config: TrainingConfig) -> torch.device:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "device = 'cuda', but torch finds no such device here; leave it out to train on the processor."
        )
    return torch.device(config.device)


def _on_processor(
    metrics: Callable[[Estimator], Mapping[str, float]] | None, device: torch.device
) -> Callable[[Estimator], Mapping[str, float]] | None:
    """Return metrics whose events are on the processor, for an estimator that is elsewhere between the calls."""
    if metrics is None or device.type == "cpu":
        return metrics

    def measured(estimator: Estimator) -> Mapping[str, float]:
        values = metrics(estimator.cpu())
        estimator.to(device)
        return values

    return measured


def _positive(train: Batch, validation: Batch | None, config: TrainingConfig) -> tuple[TrainingData, WeightSummary]:
    """Check the weights of both samples, after replacing them where that was asked for."""
    if config.positive_reweighting:
        train, validation = reweight_positive(train, validation, config.seed)
    summary = check_weights(train, "training")
    if validation is not None:
        check_weights(validation, "validation")
    return TrainingData(train, validation), summary


def _phases(estimator: Estimator) -> tuple[tuple[Objective, ...], ...]:
    """Group the objectives by phase, in order.

    Raises:
        ConfigError: If two objectives share a name or a name has a slash, which separates names of terms.
    """
    objectives = estimator.objectives()
    known = [objective.name for objective in objectives]
    wrong = sorted({name for name in known if known.count(name) > 1 or "/" in name})
    if wrong:
        raise ConfigError(
            f"{type(estimator).__name__}: objective names must be unique and without '/', unlike {', '.join(wrong)}."
        )
    order = sorted({objective.phase for objective in objectives})
    return tuple(tuple(o for o in objectives if o.phase == phase) for phase in order)
