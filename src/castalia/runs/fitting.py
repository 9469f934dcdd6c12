"""The models of a run, fitted and saved one after the other: each can be stopped and resumed to the same bits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from castalia.data.layout import Layout
from castalia.estimators.base import Batch, Estimator
from castalia.estimators.registry import build
from castalia.estimators.storage import save_model
from castalia.runs.configuration import ModelConfig
from castalia.runs.folder import RunFolder
from castalia.runs.members import bootstrap, member_name, member_training
from castalia.runs.seen import save_seen
from castalia.runs.validation import ValidationMetrics
from castalia.training.config import TrainingConfig
from castalia.training.fit import FitResult, fit
from castalia.training.progress import Progress

__all__ = ["ModelTask", "StepProgress", "fit_models", "member_tasks"]

log = logging.getLogger(__name__)

StepProgress: TypeAlias = Callable[[float, float, float | None, str], None]
"""Called with steps done, steps in all, seconds left and a short text."""


@dataclass(frozen=True)
class ModelTask:
    """One model that a run trains.

    Attributes:
        name: Its folder among the run's models.
        estimator: Untrained.
        layout: Its variables.
        training: Events to learn from.
        validation: Events that choose the best epoch, or ``None`` to choose it by the training loss.
        settings: How it is trained.
        extra: What is saved beside it.
        nominal: True for the model whose history and state are the run's own.
        metrics: True where ``settings.metric`` may be one of `ValidationMetrics`, measured on ``validation``.
        seen: Content keys of the events that it learns from, to be kept; ``None`` for none.
        finish: What is done with the model when it is fitted, before it is saved; a function of the model alone.
    """

    name: str
    estimator: Estimator
    layout: Layout
    training: Batch
    validation: Batch | None
    settings: TrainingConfig
    extra: Mapping[str, Any]
    nominal: bool = False
    metrics: bool = False
    seen: NDArray[np.uint64] | None = None
    finish: Callable[[Estimator], None] | None = None


def member_tasks(nominal: ModelTask, model: ModelConfig) -> Iterator[ModelTask]:
    """Yield the nominal model, then those trained on bootstrap samples with seeds of their own.

    Args:
        nominal: The nominal model.
        model: How it was built, and the number of members.
    """
    yield nominal
    for member in range(1, model.members):
        log.info("training member %d of %d", member, model.members - 1)
        settings = member_training(nominal.settings, member)
        yield ModelTask(
            name=member_name(member, nominal.name),
            estimator=build(*model.resolve(), nominal.layout, settings.seed),
            layout=nominal.layout,
            training=bootstrap(nominal.training, nominal.settings.seed, member),
            validation=nominal.validation,
            settings=settings,
            extra=nominal.extra,
            metrics=nominal.metrics,
            finish=nominal.finish,
        )


def fit_models(
    tasks: Iterable[ModelTask], models: int, folder: RunFolder, resume: bool, progress: StepProgress | None
) -> list[FitResult]:
    """Fit and save every model; what an earlier session has finished takes no time.

    Args:
        tasks: The models in order; each is asked for when those before it are done.
        models: How many there are.
        folder: The run folder.
        resume: Go on from the checkpoints in the folder.
        progress: Told of the work on all models together.
    """
    return [_fit_model(task, folder, resume, _reporter(progress, n, models)) for n, task in enumerate(tasks)]


def _fit_model(
    task: ModelTask, folder: RunFolder, resume: bool, report: Callable[[Progress], None] | None
) -> FitResult:
    state, history = (folder.state, folder.history) if task.nominal else _places(folder, task.name)
    measured = task.validation if task.metrics else None
    result = fit(
        task.estimator,
        task.training,
        task.validation,
        task.settings,
        state=state,
        history=history,
        resume=resume,
        metrics=None if measured is None else ValidationMetrics.of(task.layout, measured, task.settings.seed),
        progress=report,
        names=([v.name for v in task.layout.condition], [v.name for v in task.layout.target]),
    )
    if task.finish is not None:
        task.finish(task.estimator)
    if task.seen is not None:
        save_seen(folder.models / task.name, task.seen)
    save_model(folder.models / task.name, task.estimator, task.layout, task.extra)
    return result


def _places(folder: RunFolder, name: str) -> tuple[Path, Path]:
    """Return where state and history of a model beside the nominal one go."""
    state = folder.state / name
    state.mkdir(parents=True, exist_ok=True)
    return state, state / "history.jsonl"


def _reporter(progress: StepProgress | None, number: int, models: int) -> Callable[[Progress], None] | None:
    """Report the training of one of ``models`` models as part of all, as if each took as long."""
    if progress is None:
        return None

    def report(state: Progress) -> None:
        losses: Mapping[str, float] = state.losses
        text = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
        left = state.seconds_left
        if left is not None and state.step < state.steps:
            left *= 1 + (models - 1 - number) * state.steps / (state.steps - state.step)
        which = f"model {number + 1}/{models} " if models > 1 else ""
        done, steps = number * state.steps + state.step, models * state.steps
        progress(done, steps, left, f"{which}epoch {state.epoch}/{state.epochs} {text}")

    return report
