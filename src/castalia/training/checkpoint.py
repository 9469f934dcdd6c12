"""Checkpoints of a training: a safetensors file and a JSON file that names it, switched in one rename.

``training.json`` is the checkpoint; it names its tensors file and that file's SHA-256. Saving writes a tensors file
of a new name, then replaces ``training.json`` atomically, then removes the old tensors. Killed at any moment, the
folder holds one complete checkpoint, and at most an orphan, which the next save or load sweeps away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from castalia.data.atomic import atomic_path, write_json
from castalia.errors import MachineError, ModelError

__all__ = ["FORMAT", "Checkpoint", "load_checkpoint", "save_checkpoint", "sweep"]

FORMAT = 1
RECORD = "training.json"


@dataclass(frozen=True)
class Checkpoint:
    """All that a training needs to go on as if it had never stopped.

    Attributes:
        tensors: Weights, averages, best weights and optimiser state by name.
        record: Position, sums, configuration and whatever else is JSON; floats survive exactly.
    """

    tensors: Mapping[str, Tensor]
    record: Mapping[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; until the last moment the previous one stays the valid one.

    Args:
        folder: Created where missing. Only one process may write to it.
        checkpoint: What to save.

    Raises:
        MachineError: If the disk refuses it; the previous checkpoint is then intact.
    """
    content = safetensors.torch.save({name: t.detach().contiguous().clone() for name, t in checkpoint.tensors.items()})
    name = f"training-{_last_number(folder) + 1:08d}.safetensors"
    with atomic_path(folder / name) as partial:
        partial.write_bytes(content)
    header = {"format": FORMAT, "tensors": name, "sha256": hashlib.sha256(content).hexdigest()}
    try:
        write_json(folder / RECORD, {**header, "training": dict(checkpoint.record)})
    except MachineError:
        (folder / name).unlink()
        raise
    sweep(folder, keep=name)


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the checkpoint of a folder and sweep what a killed save left behind.

    Returns:
        The checkpoint, or ``None`` where none was completed.

    Raises:
        ModelError: If it is damaged or of a later format.
    """
    path = folder / RECORD
    if not path.exists():
        sweep(folder, keep=None)
        return None
    header = _read_record(path)
    tensors = folder / str(header["tensors"])
    try:
        content = tensors.read_bytes()
    except OSError as error:
        raise ModelError(f"{tensors}: named by {path} but not readable ({error.strerror}); train anew.") from error
    if hashlib.sha256(content).hexdigest() != header["sha256"]:
        raise ModelError(f"{tensors}: its content differs from what was saved (SHA-256); train anew.")
    try:
        loaded = safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise ModelError(f"{tensors}: not a safetensors file ({error}); train anew.") from error
    sweep(folder, keep=tensors.name)
    return Checkpoint(loaded, header["training"])


def sweep(folder: Path, keep: str | None) -> None:
    """Remove orphaned tensors files and partial files, all but ``keep``."""
    for pattern in ("training-*.safetensors", ".training*partial*"):
        for path in folder.glob(pattern):
            if path.name != keep:
                path.unlink(missing_ok=True)


def _read_record(path: Path) -> dict[str, Any]:
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not readable as a checkpoint ({error}); train anew.") from error
    if not isinstance(header, dict) or not {"format", "tensors", "sha256", "training"} <= header.keys():
        raise ModelError(f"{path}: not a training checkpoint; train anew.")
    if header["format"] != FORMAT:
        raise ModelError(
            f"{path}: checkpoint format {header['format']} is not the format {FORMAT} this version reads; "
            "resume with the version that wrote it."
        )
    if Path(str(header["tensors"])).name != header["tensors"]:
        raise ModelError(f"{path}: names tensors outside its own folder; train anew.")
    return header


def _last_number(folder: Path) -> int:
    numbers = [path.stem.rpartition("-")[2] for path in folder.glob("training-*.safetensors")]
    return max((int(number) for number in numbers if number.isdigit()), default=0)
