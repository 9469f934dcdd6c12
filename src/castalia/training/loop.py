"""The loop of a training: phases, epochs, steps, and what happens between them."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from torch import Tensor, nn

from castalia.errors import ConfigError, MachineError, StoppedError
from castalia.estimators.base import Batch, Estimator, Objective
from castalia.rng import Stream
from castalia.training.config import TrainingConfig
from castalia.training.diagnosis import VariableNames
from castalia.training.ema import MovingAverage
from castalia.training.history import History
from castalia.training.order import batch_bounds, batches_per_epoch, epoch_order
from castalia.training.position import Position
from castalia.training.progress import Progress, seconds_left
from castalia.training.schedule import learning_rate
from castalia.training.step import ObjectiveStep
from castalia.training.storage import Restored, StateStore, load_weights
from castalia.training.termination import Termination
from castalia.training.validation import validation_losses

__all__ = ["TrainingData", "TrainingLoop"]

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_REPORTS = 0.2


@dataclass(frozen=True)
class TrainingData:
    """Events of a training.

    Attributes:
        train: Those that change weights.
        validation: Those that select the best epoch, if any.
    """

    train: Batch
    validation: Batch | None

    def to(self, device: torch.device) -> TrainingData:
        """Return the same on another device."""

        def move(values: Tensor) -> Tensor:
            return values.to(device)

        return TrainingData(self.train.map(move), None if self.validation is None else self.validation.map(move))


@final
class TrainingLoop:
    """One training from its beginning or a checkpoint to its end.

    All that decides the next step is in the estimator, the optimisers, the moving average and the `Position`, and all
    four are in the checkpoint; the order of events and the random numbers are functions of the position.

    Args:
        estimator: What to train, prepared unless a checkpoint is given to `run`.
        data: The events.
        config: The ``[training]`` section.
        phases: Objectives of each phase.
        store: Where checkpoints go.
        history: Where the line of each epoch goes.
        termination: Tells of SIGTERM.
    """

    def __init__(
        self,
        estimator: Estimator,
        data: TrainingData,
        config: TrainingConfig,
        phases: Sequence[Sequence[Objective]],
        store: StateStore,
        history: History,
        termination: Termination,
    ) -> None:
        self._estimator, self._data, self._config = estimator, data, config
        self._phases, self._store, self._history, self._termination = phases, store, history, termination
        self._batches = batches_per_epoch(len(data.train), config.batch_size)
        self._position = Position()
        self._steps: list[ObjectiveStep] = []
        self._average: MovingAverage | None = None
        self._best: dict[str, Tensor] = {}
        self._metrics: Callable[[Estimator], Mapping[str, float]] | None = None
        self._progress: Callable[[Progress], None] | None = None
        self._names = VariableNames()
        self._saved = self._reported = 0.0
        self._began, self._began_step, self._before = 0.0, 0, 0.0

    def watch(
        self,
        metrics: Callable[[Estimator], Mapping[str, float]] | None,
        progress: Callable[[Progress], None] | None,
        names: VariableNames,
    ) -> None:
        """Set what is called during the training, see `castalia.training.fit.fit`."""
        self._metrics, self._progress, self._names = metrics, progress, names

    def run(self, checkpoint: Restored | None) -> Position:
        """Train to the end and return the last position; the estimator has the best weights."""
        self._restore(checkpoint)
        if checkpoint is not None and self._position.phase == len(self._phases):
            return self._position  # was finished already, and is left as it was
        self._began = self._saved = time.monotonic()
        self._began_step, self._before = self._position.step, self._position.seconds
        try:
            while self._position.phase < len(self._phases):
                self._run_phase()
        except StoppedError:
            self._save()
            raise
        self._save()
        if self._termination.requested:  # arrived with the last step: whoever sent it expects this process to end
            raise StoppedError("stopped by SIGTERM")
        return self._position

    def _restore(self, checkpoint: Restored | None) -> None:
        if checkpoint is None:
            self._begin_phase()
            return
        self._position = checkpoint.position
        load_weights(self._estimator, checkpoint.parts["raw"])
        self._begin_phase()
        self._best = dict(checkpoint.parts.get("best", {}))
        for step in self._steps:
            step.load_state(checkpoint.parts.get("optimiser", {}))
        if self._average is not None:
            averages = checkpoint.parts["average"]
            self._average.values = [averages[str(n)].to(value) for n, value in enumerate(self._average.values)]

    def _begin_phase(self) -> None:
        """Set up optimisers and average of the position's phase; those of the last one stay when all are done."""
        if self._position.phase == len(self._phases):
            return
        self._best, self._average = {}, None
        self._steps = [ObjectiveStep(o, self._config, self._names) for o in self._phases[self._position.phase]]
        if self._config.ema is not None:
            unique: dict[int, nn.Parameter] = {id(p): p for s in self._steps for p in s.objective.parameters}
            self._average = MovingAverage(list(unique.values()), self._config.ema)

    def _run_phase(self) -> None:
        position, patience = self._position, self._config.patience
        while position.phase_epoch < self._config.epochs and not (patience and position.stale >= patience):
            self._run_epoch()
        load_weights(self._estimator, self._best)
        position.end_phase(stopped_early=position.phase_epoch < self._config.epochs)
        if position.phase < len(self._phases):
            position.best_epoch = position.best_value = None
        self._begin_phase()

    def _run_epoch(self) -> None:
        position, train = self._position, self._data.train
        self._estimator.train()
        order = epoch_order(len(train), self._config.seed, position.epoch).to(train.weight.device)
        while position.batch < self._batches:
            first, last = batch_bounds(len(train), self._batches, position.batch)
            rows = order[first:last]
            # index_select gathers rows more than twice as fast as indexing does
            self._run_batch(train.map(partial(torch.index_select, dim=0, index=rows)))
            self._between_steps()
        self._end_epoch()
        self._between_steps()

    def _run_batch(self, batch: Batch) -> None:
        position = self._position
        place = f"training step {position.step + 1} (epoch {position.epoch + 1})"
        for step in self._steps:
            rng = Stream(self._config.seed, "loss", step.objective.name).at(position.step)
            result = step(batch, self._rate(position.phase_step), rng, place)
            position.add(step.objective.name, result.sums, result.weight)
        if self._average is not None:
            self._average.update(position.phase_step)
        position.batch += 1
        position.step += 1
        position.phase_step += 1

    def _rate(self, phase_step: int) -> float:
        return learning_rate(self._config, phase_step, self._config.epochs * self._batches)

    def _end_epoch(self) -> None:
        """Validate, remember the weights if they are the best, and write the line of the epoch."""
        position = self._position
        if self._average is None:
            row = self._judge()
        else:
            with self._average.applied():
                row = self._judge()
        self._history.append(row)
        position.history_size = self._history.size
        position.end_epoch()

    def _judge(self) -> dict[str, object]:
        position, place = self._position, f"epoch {self._position.epoch + 1}"
        objectives = [step.objective for step in self._steps]
        train, validation, values, excluded = position.means(), None, {}, 0
        self._estimator.eval()
        with self._termination.at_once():  # position and weights are those before validation, so that it can be redone
            if self._data.validation is not None:
                validation, excluded = validation_losses(
                    objectives, self._data.validation, self._config.seed, self._names, place
                )
            if self._metrics is not None and position.phase == len(self._phases) - 1:
                values = {name: float(value) for name, value in self._metrics(self._estimator).items()}
        losses = validation if validation is not None else train
        loss = sum(losses[objective.name] for objective in objectives)
        best = position.judge(self._selected(loss, values, place))
        if best:
            self._best = {name: value.detach().clone() for name, value in self._estimator.state_dict().items()}
        return {
            "epoch": position.epoch + 1,
            "phase": position.phase,
            "step": position.step,
            "seconds": round(self._seconds(), 3),
            "learning_rate": self._rate(position.phase_step - 1),
            "train": train,
            "validation": None if validation is None else {"loss": loss, **validation},
            "excluded": excluded,
            "metrics": {name: value if math.isfinite(value) else None for name, value in values.items()},
            "best": best,
        }

    def _selected(self, loss: float, values: Mapping[str, float], place: str) -> float:
        """Return the number that selects the best epoch, lower is better."""
        name = self._config.metric
        if name == "loss" or self._position.phase < len(self._phases) - 1:
            return loss
        if name not in values:
            raise ConfigError(f"metric = '{name}' is unknown; known are loss, {', '.join(sorted(values))}.")
        if not math.isfinite(values[name]):
            raise MachineError(f"{place}: the metric '{name}' is {values[name]}; select by metric = 'loss' instead.")
        return values[name]

    def _between_steps(self) -> None:
        now = time.monotonic()
        if self._termination.requested:
            raise StoppedError("stopped by SIGTERM")
        if now - self._saved >= self._config.checkpoint_seconds:
            self._save()
        if self._progress is not None and (
            now - self._reported >= SECONDS_BETWEEN_REPORTS or self._position.batch == 0
        ):
            self._reported = now
            self._progress(self._state_of_progress())

    def _state_of_progress(self) -> Progress:
        position = self._position
        phases_left = len(self._phases) - position.phase - 1
        left = self._config.epochs * self._batches * (1 + phases_left) - position.phase_step
        epochs = position.epoch - position.phase_epoch + self._config.epochs * (1 + phases_left)
        spent, done = time.monotonic() - self._began, position.step - self._began_step
        return Progress(
            position.epoch + (position.batch > 0),
            epochs,
            position.step,
            position.step + left,
            position.means(),
            self._rate(max(position.phase_step - 1, 0)),
            seconds_left(spent, done, left),
        )

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._began

    def _save(self) -> None:
        self._position.seconds = self._seconds()
        parts: dict[str, Mapping[str, Tensor]] = {"raw": self._estimator.state_dict(), "best": self._best}
        parts["optimiser"] = {name: tensor for step in self._steps for name, tensor in step.state().items()}
        if self._average is not None:
            parts["average"] = {str(number): value for number, value in enumerate(self._average.values)}
        self._store.save(self._position, parts)
        self._saved = time.monotonic()
