"""A model on disk: ``model.safetensors`` holds its numbers, ``model.json`` what they are. No pickle is ever read."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from castalia.data.atomic import atomic_path, write_json
from castalia.data.layout import Decays, Layout, Variable
from castalia.errors import ConfigError, ModelError
from castalia.estimators.base import Estimator
from castalia.estimators.registry import build, name_of

__all__ = ["LoadedModel", "load_model", "model_hash", "save_model"]

_NUMBERS = "model.safetensors"
_RECORD = "model.json"
_LARGEST_HEADER = 16 * 1024 * 1024


@dataclass(frozen=True)
class LoadedModel:
    """A model read from its folder.

    Attributes:
        estimator: Ready to sample and score, in evaluation mode.
        layout: The variables it was trained for.
        extra: What was saved beside it.
    """

    estimator: Estimator
    layout: Layout
    extra: dict[str, Any]


class _StoredVariable(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    unit: str
    transform: Literal["none", "log", "angle"]
    bounds: tuple[float | None, float | None] | None
    integer: bool
    peaks: bool = False
    scale: float | None
    group: str
    object_index: int | None

    def variable(self) -> Variable:
        fields = self.model_dump()
        if self.bounds is not None:
            low, high = self.bounds
            fields["bounds"] = (-math.inf if low is None else low, math.inf if high is None else high)
        return Variable(**fields)


class _StoredDecays(BaseModel):
    model_config = ConfigDict(extra="forbid")

    composites: dict[str, tuple[str, str]]
    masses: dict[str, float]
    leading: dict[str, tuple[str, ...]]

    def decays(self) -> Decays:
        return Decays(self.composites, self.masses, self.leading)


class _StoredLayout(BaseModel):
    model_config = ConfigDict(extra="forbid")

    condition: list[_StoredVariable]
    target: list[_StoredVariable]
    condition_objects: dict[str, list[_StoredVariable]] | None = None
    places: dict[str, str] | None = None
    decays: _StoredDecays | None = None

    def layout(self) -> Layout:
        objects = (self.condition_objects or {}).items()
        return Layout(
            tuple(v.variable() for v in self.condition),
            tuple(v.variable() for v in self.target),
            {name: tuple(v.variable() for v in variables) for name, variables in objects},
            self.places or {},
            None if self.decays is None else self.decays.decays(),
        )


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: Literal[1]
    estimator: str
    config: dict[str, Any]
    layout: _StoredLayout
    dtype: Literal["float32", "float64"]
    sha256: str
    extra: dict[str, Any]


def save_model(folder: Path, estimator: Estimator, layout: Layout, extra: Mapping[str, Any] | None = None) -> None:
    """Save a model; the folder is made where it does not exist, an earlier model in it is replaced.

    Args:
        folder: Where ``model.safetensors`` and ``model.json`` go, each written beside and renamed.
        estimator: A built-in or registered estimator.
        layout: The variables it is for.
        extra: Further JSON values to keep.

    Raises:
        ConfigError: If the estimator's class has no registered name.
        MachineError: If the disk refuses.
    """
    config: Any = getattr(estimator, "config", None)
    if not isinstance(config, BaseModel):
        raise ConfigError(f"{type(estimator).__name__} does not keep its configuration; set self.config in __init__.")
    state = {name: values.detach().cpu().contiguous() for name, values in estimator.state_dict().items()}
    double = any(values.dtype == torch.float64 for values in state.values())
    content = save_tensors(state)
    record = {
        "format": 1,
        "estimator": name_of(estimator),
        "config": config.model_dump(mode="json"),
        "layout": _stored_layout(layout),
        "dtype": "float64" if double else "float32",
        "sha256": hashlib.sha256(content).hexdigest(),
        "extra": dict(extra or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / _NUMBERS) as path:
        path.write_bytes(content)
    write_json(folder / _RECORD, record)


def load_model(folder: Path) -> LoadedModel:
    """Load a model saved by ``save_model``, checking its content hash first.

    Raises:
        ModelError: If a file is missing, damaged, of an unknown format or does not fit its configuration.
    """
    record, content = _read(folder)
    layout = record.layout.layout()
    try:
        estimator = build(record.estimator, record.config, layout)
    except ConfigError as error:
        raise ModelError(f"{folder / _RECORD}: cannot rebuild the model: {error}") from error
    estimator = estimator.to(torch.float64 if record.dtype == "float64" else torch.float32)
    try:
        estimator.load_state_dict(load_tensors(content))
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(
            f"{folder / _NUMBERS}: the stored numbers do not fit the model that {_RECORD} describes "
            f"({' '.join(str(error).split())[:200]}); train it again or restore both files from one copy."
        ) from error
    return LoadedModel(estimator.eval(), layout, record.extra)


def model_hash(folder: Path) -> str:
    """Return the hash of a saved model: of its numbers, name, configuration and layout, not of ``extra``.

    Raises:
        ModelError: As ``load_model``.
    """
    record, _ = _read(folder)
    content = record.model_dump(mode="json", exclude={"extra"})
    for key in ("condition_objects", "places"):  # which the first records did not have
        if content["layout"][key] is None:
            del content["layout"][key]
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(folder: Path) -> tuple[_Record, bytes]:
    record = _read_record(folder / _RECORD)
    path = folder / _NUMBERS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); restore it or train again.") from error
    header = int.from_bytes(content[:8], "little")
    if len(content) < 8 or header > min(_LARGEST_HEADER, len(content) - 8):
        raise ModelError(f"{path}: is no complete safetensors file (its header says {header} bytes); restore it.")
    if hashlib.sha256(content).hexdigest() != record.sha256:
        raise ModelError(f"{path}: its content does not match the hash in {_RECORD}: damaged, or from another model.")
    return record, content


def _read_record(path: Path) -> _Record:
    try:
        text = path.read_text(encoding="utf-8")
        version = json.loads(text).get("format")
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); give the folder of a saved model.") from error
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{path}: is not the record of a model (no valid JSON object); restore it.") from error
    if version != 1:
        raise ModelError(f"{path}: has format {version!r}, this version reads format 1; use a matching castalia.")
    try:
        return _Record.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelError(f"{path}: '{where}' is wrong ({first['msg']}); restore it or train again.") from error


def _stored_layout(layout: Layout) -> dict[str, Any]:
    """Write the variables down; lists of the condition, places in them, and decays only where there are any."""
    stored: dict[str, Any] = {side: [_stored(v) for v in getattr(layout, side)] for side in ("condition", "target")}
    if layout.condition_objects:
        stored["condition_objects"] = {
            name: [_stored(v) for v in variables] for name, variables in layout.condition_objects.items()
        }
    if layout.places:
        stored["places"] = dict(layout.places)
    if layout.decays is not None:
        stored["decays"] = asdict(layout.decays)
    return stored


def _stored(variable: Variable) -> dict[str, Any]:
    fields = asdict(variable)
    if not variable.peaks:  # as in records of before
        del fields["peaks"]
    if variable.bounds is not None:
        fields["bounds"] = [bound if math.isfinite(bound) else None for bound in variable.bounds]
    return fields
