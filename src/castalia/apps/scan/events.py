"""Observed events from files: the observables of a model, checked as training events are, without their parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.scan.config import SECTIONS, ScanConfig
from castalia.data.feature_arrays import FeatureArrays
from castalia.data.feature_config import ConditionVariable, DataConfig
from castalia.data.features import Features
from castalia.data.loading import content_keys, load_arrays
from castalia.data.readers import open_reader
from castalia.errors import DataError
from castalia.runs.inputs import check_rename

__all__ = ["ObservedEvents", "observable_keys", "read_observed", "read_pool"]


@final
@dataclass(frozen=True)
class ObservedEvents:
    """Events to fit.

    Attributes:
        x: Observables, shape ``(events, observables)``, in the order of the model's targets.
        weights: Event weights, shape ``(events,)``; ``None`` where the files have no weight column.
        counts: Events read, selected and left out, by name.
        checksums: SHA-256 by file name.
        keys: See ``observable_keys``.
        warnings: What a reader has to know of them, one sentence each.
    """

    x: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    counts: dict[str, int]
    checksums: dict[str, str]
    keys: NDArray[np.uint64]
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)


def observable_keys(arrays: FeatureArrays) -> NDArray[np.uint64]:
    """Return a key of the observables of each row, the same in every file format; observed events have no parameters.

    Args:
        arrays: Rows of a sample, with or without its parameters.

    Returns:
        Keys, shape ``(rows,)``.
    """
    return content_keys(replace(arrays, condition=arrays.condition[:, :0]))


def read_observed(
    config: ScanConfig,
    files: Sequence[Path],
    *,
    rename: Mapping[str, str] | None = None,
    tree: str | None = None,
    skip_bad: int = 0,
) -> ObservedEvents:
    """Read the observables of every event in files.

    The columns of the selection and of the weight are used where the files have them: observed events are often
    selected before they are written, and seldom weighted.

    Args:
        config: The configuration of the training; observed events need none of its parameters.
        files: ROOT or Parquet files.
        rename: Branch in the files by column name.
        tree: Name of the TTree, where it is not that of the training files.
        skip_bad: How many unusable rows may be left out.

    Raises:
        DataError: If a file, column or row cannot be used, only some files have a selection or weight, or no event is
            left.
        ConfigError: If a renamed column is not used.
    """
    events, _ = _read(config, files, {}, dict(rename or {}), tree or config.data.tree, skip_bad)
    return events


def read_pool(config: ScanConfig, files: Sequence[Path]) -> tuple[ObservedEvents, NDArray[np.float64]]:
    """Read signal events that were simulated at one point of the parameters.

    Args:
        config: The configuration of the training.
        files: ROOT or Parquet files with the columns of its parameters.

    Returns:
        The events, and the parameters, shape ``(parameters,)``.

    Raises:
        DataError: If a file, column or row cannot be used, or the events are of several points.
    """
    events, theta = _read(config, files, config.features().condition, {}, config.data.tree, 0)
    varies = np.flatnonzero(np.ptp(theta, axis=0) > 0.0)
    if len(varies):
        name, values = tuple(config.parameters)[varies[0]], theta[:, varies[0]]
        raise DataError(
            f"{files[0]}: '{name}' ranges from {values.min():g} to {values.max():g}, but pseudo-experiments are of one "
            "true point; simulate the pool at one value of each parameter."
        )
    return events, theta[0]


def _read(
    config: ScanConfig,
    files: Sequence[Path],
    condition: Mapping[str, ConditionVariable],
    rename: Mapping[str, str],
    tree: str | None,
    skip_bad: int,
) -> tuple[ObservedEvents, NDArray[np.float64]]:
    data = config.data.model_copy(update={"tree": tree})
    declared = {"weight": data.weight, "selection": data.selection}
    there = {
        name: column if column is not None and _in_all(files, column, data, rename) else None
        for name, column in declared.items()
    }
    features = Features(data.model_copy(update=there), None, condition, config.observables, sections=SECTIONS)
    check_rename(rename, features.columns)
    loaded = load_arrays(files, features, skip_bad=skip_bad, rename=rename)
    arrays = loaded.arrays
    if arrays.target is None:
        raise DataError(f"{files[0]}: has no observables; give events after reconstruction.")
    weights = None if there["weight"] is None else arrays.weight
    events = ObservedEvents(arrays.target, weights, loaded.counts, loaded.hashes, observable_keys(arrays))
    return events, arrays.condition


def _in_all(files: Sequence[Path], column: str, data: DataConfig, rename: Mapping[str, str]) -> bool:
    """Tell whether every file has a column.

    Raises:
        DataError: If some files have it and others do not.
    """
    found = {path: column in _columns(path, data, {k: v for k, v in rename.items() if k == column}) for path in files}
    lacking = next((path for path, has in found.items() if not has), None)
    if lacking is not None and any(found.values()):
        raise DataError(
            f"{lacking}: has no column '{column}', which the other files have; fit files that are alike, or name its "
            f"branch by --rename {column}=BRANCH."
        )
    return lacking is None


def _columns(path: Path, data: DataConfig, rename: Mapping[str, str]) -> set[str]:
    with open_reader(path, data.tree, layout=data.layout) as reader:
        stored = set(reader.columns())
    return {*stored, *(name for name, branch in rename.items() if branch in stored)}
