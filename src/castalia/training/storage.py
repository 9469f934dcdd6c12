"""What of a training goes into a checkpoint, and whether a checkpoint belongs to this training."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from castalia.errors import ConfigError, ModelError
from castalia.estimators.base import Batch, Estimator, Events
from castalia.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from castalia.training.config import TrainingConfig
from castalia.training.position import Position

__all__ = ["Restored", "StateStore", "data_hash", "load_weights"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Restored:
    """A checkpoint taken apart.

    Attributes:
        position: Where the training stood.
        parts: Tensors by part (``raw``, ``average``, ``best``, ``optimiser``) and name.
    """

    position: Position
    parts: Mapping[str, Mapping[str, Tensor]]


@final
class StateStore:
    """The checkpoint folder of one training, or nothing where the folder is ``None``.

    Args:
        folder: Where the checkpoint lies.
        config: Configuration, which a resumed training must share.
        train: Training events, likewise.
        validation: Validation events, likewise.
    """

    def __init__(self, folder: Path | None, config: TrainingConfig, train: Batch, validation: Batch | None) -> None:
        self.folder = folder
        self._config = config.model_dump(mode="json")
        self._data: dict[str, str | None] = {}
        if folder is not None:
            self._data = {"train": data_hash(train), "validation": data_hash(validation) if validation else None}

    def restore(self, resume: bool) -> Restored | None:
        """Return the checkpoint to go on from, or ``None`` to begin.

        Raises:
            ConfigError: If there is one though ``resume`` is not set, or it belongs to another training.
            ModelError: If it is damaged.
        """
        checkpoint = load_checkpoint(self.folder) if self.folder is not None else None
        if checkpoint is None:
            return None
        if not resume:
            raise ConfigError(
                f"{self.folder}: holds the checkpoint of another training; pass --resume to go on with it, "
                "or --overwrite to begin anew."
            )
        record = checkpoint.record
        self._compare(record["config"], record["data"])
        if record["threads"] != torch.get_num_threads():
            logger.warning(
                "the checkpoint was made with %d threads, not %d: results agree, but not to the last bit",
                record["threads"],
                torch.get_num_threads(),
            )
        return Restored(Position.from_record(record["position"]), _take_apart(checkpoint.tensors))

    def save(self, position: Position, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Write a checkpoint; nothing where there is no folder."""
        if self.folder is None:
            return
        tensors = {f"{part}/{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
        record = {
            "position": position.to_record(),
            "config": self._config,
            "data": self._data,
            "threads": torch.get_num_threads(),
        }
        save_checkpoint(self.folder, Checkpoint(tensors, record))

    def _compare(self, config: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        changed = [
            f"{key} ({config.get(key)} before, {self._config.get(key)} now)"
            for key in sorted({*config, *self._config})
            if config.get(key) != self._config.get(key)
        ]
        if changed:
            raise ConfigError(
                f"{self.folder}: cannot be resumed with another configuration: {', '.join(changed)}; "
                "take back the change, or train anew."
            )
        for sample, digest in self._data.items():
            if data.get(sample) != digest:
                raise ConfigError(
                    f"{self.folder}: cannot be resumed with other {sample} events than it began with; "
                    "take back the change of files or selection, or train anew."
                )


def data_hash(batch: Batch) -> str:
    """Return a hash of all values of a batch."""
    digest = hashlib.blake2b(digest_size=16)

    def take_in(values: Tensor) -> Tensor:
        digest.update(f"{values.dtype}{tuple(values.shape)}".encode())
        digest.update(values.detach().cpu().contiguous().numpy().data)
        return values

    for events in (batch.condition, batch.target):
        Events(events.flat, dict(sorted(events.objects.items()))).map(take_in)
    take_in(batch.weight)
    take_in(batch.index)
    return digest.hexdigest()


def load_weights(estimator: Estimator, weights: Mapping[str, Tensor]) -> None:
    """Load a state dictionary from a checkpoint.

    Raises:
        ModelError: If names or shapes are not those of the estimator.
    """
    try:
        estimator.load_state_dict(dict(weights))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(
            f"the checkpoint was made with another model; take back the change, or train anew ({reason[:200]})."
        ) from error


def _take_apart(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        part, _, name = key.partition("/")
        parts.setdefault(part, {})[name] = tensor
    return parts
