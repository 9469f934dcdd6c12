"""What a posterior costs: its parameters, its training, and a draw from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from castalia.apps.unfold.model import PosteriorModel
from castalia.errors import ModelError

__all__ = ["Cost", "cost_of"]


@dataclass(frozen=True)
class Cost:
    """What a posterior costs.

    Attributes:
        parameters: Trained numbers.
        training_seconds: Wall-clock time of the training, over all sessions; ``None`` where nothing was recorded.
        evaluations: Evaluations of the network that carries noise to the truth, for one draw; 1 where it is carried in
            one pass.
        draws_per_second: Draws in a second of one core's time.
    """

    parameters: int
    training_seconds: float | None
    evaluations: int
    draws_per_second: float


def cost_of(model: PosteriorModel, draws: int, core_seconds: float) -> Cost:
    """Put together what a posterior costs.

    Args:
        model: The posterior.
        draws: Draws that were made.
        core_seconds: Processor time that they took, over all threads.

    Raises:
        ModelError: If the history of the training is damaged.
    """
    parameters = sum(one.numel() for one in model.estimator.parameters() if one.requires_grad)
    return Cost(parameters, _training_seconds(model), _evaluations(model), draws / core_seconds)


def _evaluations(model: PosteriorModel) -> int:
    """Read the number of evaluations from the estimator's configuration, wherever it has one."""
    config: Any = getattr(model.estimator, "config", None)
    options: Mapping[str, Any] = config.model_dump() if hasattr(config, "model_dump") else {}
    for part in (options, options.get("diffusion") or {}):
        if "evaluations" in part:
            return int(part["evaluations"])
    return 1


def _training_seconds(model: PosteriorModel) -> float | None:
    path = model.folder.history
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    if not lines:
        return None
    try:
        return float(json.loads(lines[-1])["seconds"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: is damaged in its last line ({error}); restore it from a copy.") from error
