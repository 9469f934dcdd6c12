"""A trained model of background hits, opened from its run folder with all that is needed to use and to judge it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.pixels.config import HIT_NAMES, PixelsConfig, parse_config
from castalia.apps.pixels.events import PixelSample, from_events, joined, with_hits
from castalia.apps.pixels.reading import hit_columns
from castalia.apps.pixels.train import APPLICATION, BACKGROUND
from castalia.data.layout import Layout
from castalia.detectors.pxd.digitiser import PixelHits
from castalia.errors import DataError, ModelError
from castalia.estimators.arrays import events_from_array
from castalia.estimators.base import Estimator, Sampler
from castalia.estimators.storage import load_model, model_hash
from castalia.metrics.support import ConditionRanges, outside
from castalia.runs.folder import RunFolder
from castalia.runs.seen import unseen
from castalia.runs.unlearned import files_to_judge_on, load_unlearned

__all__ = ["DRAWN_AT_ONCE", "PixelModel", "UnlearnedEvents", "open_model"]

DRAWN_AT_ONCE: Final = 4
"""Events that a model draws at a time, each of some 70,000 hits."""


@final
@dataclass(frozen=True)
class UnlearnedEvents:
    """Events that a run did not learn from.

    Attributes:
        sample: The events.
        counts: Events read, left out and kept, by what happened to them; ``outside_training_range`` are kept.
        checksums: SHA-256 by file.
        skipped: Why files were left out, by their names.
    """

    sample: PixelSample
    counts: Mapping[str, int]
    checksums: Mapping[str, str]
    skipped: Mapping[str, str]


@final
@dataclass(frozen=True)
class PixelModel:
    """A finished run of ``castalia pixels train``; use ``open_model``.

    Attributes:
        folder: Its run folder.
        config: The configuration it was trained with.
        layout: Its variables.
        estimator: The trained model.
        sampler: The same, as what it is used for.
        ranges: Lowest and highest training value of each condition.
        sha256: Hash of the saved model.
    """

    folder: RunFolder
    config: PixelsConfig
    layout: Layout
    estimator: Estimator
    sampler: Sampler
    ranges: ConditionRanges
    sha256: str

    def outside(self, condition: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Flag conditions outside the range of the training events, shape ``(events,)``."""
        return outside(condition, self.ranges)

    def draw(self, condition: NDArray[np.float64], rng: np.random.Generator, draws: int = 1) -> PixelHits:
        """Draw the hits of events, a few events at a time.

        Args:
            condition: Shape ``(events, conditions)``, physical units.
            rng: Random numbers.
            draws: Draws of each event.

        Returns:
            ``events * draws`` events: all draws of the first, then those of the second, and so on.

        Raises:
            MachineError: If the model draws what no detector reports.
        """
        pieces = []
        with torch.inference_mode():
            for start in range(0, len(condition), DRAWN_AT_ONCE):
                given = events_from_array(condition[start : start + DRAWN_AT_ONCE])
                pieces.append(from_events(self.sampler.sample(given, draws, rng)))
        return joined(pieces)

    def events(
        self,
        files: Sequence[Path] = (),
        *,
        tree: str | None = None,
        rename: Mapping[str, str] | None = None,
        skip_bad: int = 0,
        skip_bad_files: bool = False,
        most: int | None = None,
    ) -> UnlearnedEvents:
        """Read events with their hits to judge the run on; of files that it was trained on, only the test split.

        Args:
            files: The files; none for those of the training.
            tree: Name of the tree, where it is not the one of the configuration.
            rename: Branch in the files by column name.
            skip_bad: How many bad rows may be left out.
            skip_bad_files: Leave out files that cannot be used.
            most: Largest number of events to read, the first ones; ``None`` for all.

        Raises:
            ConfigError: If a column is renamed that is not used.
            DataError: If a file, column or row cannot be used, or all events were learned from.
        """
        features, renamed = self.config.features(), rename or {}
        data = features.data.model_copy(update={"tree": tree or features.data.tree})
        features = replace(features, data=data)
        paths = files or data.paths(Path(), "test_files") or data.paths(Path())
        usable = files_to_judge_on(
            paths, features, tree=tree, rename=renamed, skip_bad_files=skip_bad_files, found=hit_columns,
            findable=HIT_NAMES,
        )  # fmt: skip
        loaded = load_unlearned(self.folder, features, usable, tree=tree, rename=renamed, skip_bad=skip_bad)
        sample = with_hits(loaded, features, most=most, skip_bad=skip_bad, rename=renamed)
        new = unseen(self.folder.models / BACKGROUND, sample.contents())
        if not new.any():
            raise DataError(f"{', '.join(loaded.hashes)}: the run learned from every event; give others.")
        kept = sample.take(new)
        counts = {
            **sample.counts,
            "learned_from": int((~new).sum()),
            "outside_training_range": int(self.outside(kept.condition).sum()),
        }
        return UnlearnedEvents(kept, counts, loaded.hashes, usable.skipped)


def open_model(run: Path) -> PixelModel:
    """Open a finished run folder.

    Raises:
        ModelError: If the folder is no run of ``pixels``, is not finished, or its model is damaged.
    """
    folder = RunFolder.open(run)
    made = folder.record.application
    if made != APPLICATION:
        raise ModelError(f"{run}: is a run of {made!r}; give one written by `castalia pixels train`.")
    if not (folder.models / BACKGROUND).is_dir():
        raise ModelError(f"{run}: has no trained model yet; finish it with `castalia pixels train … --resume`.")
    config = parse_config(folder.config_text(), run / "config.toml", run)
    loaded, layout = load_model(folder.models / BACKGROUND), config.layout
    ranges = loaded.extra.get("condition_ranges")
    names = tuple(variable.name for variable in layout.condition)
    if loaded.layout != layout or not isinstance(ranges, dict) or set(ranges) != set(names):
        raise ModelError(f"{run}: the model's variables are not those of its config.toml; the run folder was changed.")
    estimator = loaded.estimator.eval()
    if not isinstance(estimator, Sampler):
        raise ModelError(f"{run}: its estimator {type(estimator).__name__} cannot sample; train one that can.")
    return PixelModel(
        folder,
        config,
        layout,
        estimator,
        estimator,
        ConditionRanges(*np.array([ranges[name] for name in names], dtype=np.float64).T),
        model_hash(folder.models / BACKGROUND),
    )
