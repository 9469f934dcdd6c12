"""The files of a run: found, loaded split by split, and what their sidecars say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from castalia.data.features import FeatureArrays, Features
from castalia.data.loading import LoadedArrays, SplitSource, load_arrays, split_sources
from castalia.data.schema import Schema
from castalia.data.sidecar import Truth, read_sidecar
from castalia.data.usable import FoundColumns, usable_files
from castalia.errors import ConfigError, DataError

__all__ = ["Inputs", "check_rename", "common_truth", "condition_ranges", "open_inputs", "schema_with_ranges"]


@dataclass(frozen=True)
class Inputs:
    """The input files of a training, each checked against its sidecar where it has one.

    Attributes:
        features: How their tables become arrays.
        sources: Files and selection by split.
        checksums: SHA-256 by file name.
        entries: Events in the training files.
        skipped: Why files were left out, by their names.
    """

    features: Features
    sources: Mapping[str, SplitSource]
    checksums: Mapping[str, str]
    entries: int
    skipped: Mapping[str, str]

    @property
    def splits(self) -> dict[str, str]:
        """How each file is used, by its name: ``"split"`` where a share of its events is kept for the test."""
        own = {split: self.sources[split].paths != self.sources["train"].paths for split in ("validation", "test")}
        roles = {str(path): "train" if own["test"] else "split" for path in self.sources["train"].paths}
        for split, has_files in own.items():
            if has_files:
                roles.update({str(path): split for path in self.sources[split].paths})
        return roles

    def load(self, split: str, skip_bad: int) -> LoadedArrays:
        """Load the events of one split.

        Args:
            split: ``"train"`` or ``"validation"``.
            skip_bad: Number of unusable rows to leave out and count.

        Raises:
            DataError: If a row cannot be used or no event is left.
        """
        source = self.sources[split]
        return load_arrays(source.paths, self.features, source.select, skip_bad=skip_bad)


def open_inputs(features: Features, skip_bad_files: bool = False, found: FoundColumns | None = None) -> Inputs:
    """Find and check the files that a section names.

    Args:
        features: The meaning of the files' columns; its ``data`` names the files, with absolute patterns.
        skip_bad_files: Leave out files that cannot be used, and say why.
        found: Finds further columns that are wanted, file by file.

    Raises:
        DataError: If a pattern matches nothing, a column is absent, or a file cannot be opened or is not what
            its sidecar describes.
    """
    sources = split_sources(features.data, Path())
    paths = tuple(dict.fromkeys(path for source in sources.values() for path in source.paths))
    usable = usable_files(
        paths, features, features.columns, tree=features.data.tree, skip_bad=skip_bad_files, found=found
    )
    if usable.skipped:
        sources = {
            split: SplitSource(tuple(path for path in source.paths if path in usable.files), source.select)
            for split, source in sources.items()
        }
        empty = next((split for split in ("train", "validation") if not sources[split].paths), None)
        if empty is not None:
            reason = next(iter(usable.skipped.values()))
            raise DataError(f"None of the {empty} files can be used; mend one of them. The first is left out: {reason}")
    entries = sum(usable.files[path].entries for path in sources["train"].paths)
    return Inputs(features, sources, usable.checksums, entries, usable.skipped)


def check_rename(rename: Mapping[str, str], columns: Sequence[str]) -> None:
    """Refuse to rename a column that is not used: a typing error would silently read the old branch.

    Raises:
        ConfigError: If a renamed column is not among ``columns``.
    """
    unknown = sorted(set(rename) - set(columns))
    if unknown:
        raise ConfigError(f"--rename {unknown[0]}=…: the run uses no such column; it uses {', '.join(columns)}.")


def schema_with_ranges(features: Features, arrays: FeatureArrays) -> Schema:
    """Return the declared columns with the ranges that conditions and reconstructed targets span."""
    seen: dict[str, list[float]] = {}

    def take(column: str, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
        low, high = seen.get(column, [np.inf, -np.inf])
        seen[column] = [min(low, float(values.min())), max(high, float(values.max()))]

    for i, variable in enumerate(features.layout.condition):
        take(features.condition[variable.group].column, arrays.condition[:, i])
    learned = arrays.reconstructed
    if learned.target is not None:
        reconstructed = features.reconstructed(learned.reference, learned.target)
        for i, variable in enumerate(features.layout.target):
            take(features.target[variable.group].column, reconstructed[:, i])
    columns = features.input_schema.columns
    ranged = [
        spec.model_copy(update={"range": tuple(seen[spec.name])}) if spec.name in seen else spec for spec in columns
    ]
    return Schema(columns=tuple(ranged))


def condition_ranges(features: Features, arrays: FeatureArrays) -> dict[str, list[float]]:
    """Return lowest and highest training value of every condition, by its name."""
    low, high = arrays.condition.min(axis=0), arrays.condition.max(axis=0)
    return {v.name: [float(low[i]), float(high[i])] for i, v in enumerate(features.layout.condition)}


def common_truth(paths: Sequence[Path]) -> Truth | None:
    """Return how the response of all ``paths`` was generated, or ``None`` where one has no or another truth."""
    truths = [sidecar.truth if sidecar is not None else None for sidecar in map(read_sidecar, paths)]
    first = truths[0] if truths else None
    if first is None:
        return None

    def response(truth: Truth | None) -> object:
        return truth and (truth.scenario, truth.rho, truth.parametrisation, truth.mixture)

    return first if all(response(truth) == response(first) for truth in truths) else None
