"""Events to judge posteriors on: what a command was asked for, events that no run learned from, and draws for them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.coordinates import leaves_of_columns
from castalia.apps.unfold.judging import Draws, JudgedEvents, detector_table
from castalia.apps.unfold.measured_directions import measured_directions
from castalia.apps.unfold.model import PosteriorModel
from castalia.apps.unfold.train import POSTERIOR
from castalia.data.feature_arrays import FeatureArrays
from castalia.data.loading import content_keys
from castalia.data.usable import UsableFiles
from castalia.errors import ConfigError, DataError
from castalia.rng import Stream
from castalia.runs.kept import rows_by_weight
from castalia.runs.seen import unseen
from castalia.runs.unlearned import files_to_judge_on, load_unlearned

__all__ = ["FEWEST_EVENTS", "JudgeRequest", "TestSample", "draw_for", "read_test_sample"]

log = logging.getLogger(__name__)

FEWEST_EVENTS = 2_000
"""Events that the joint test with its power and control needs."""

SCORED = 5_000
"""Most events that get many draws."""


@dataclass(frozen=True)
class JudgeRequest:
    """What ``castalia unfold evaluate`` (of one run) or ``compare`` (of several) was asked for; see ``--help``."""

    runs: tuple[Path, ...]
    files: tuple[Path, ...]
    output: Path
    draws: int = 100
    events: int = 50_000
    seed: int = 1
    rename: Mapping[str, str] = field(default_factory=dict)
    tree: str | None = None
    skip_bad: int = 0
    skip_bad_files: bool = False
    overwrite: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class TestSample:
    """Events to judge on.

    Attributes:
        arrays: Detector level and columns of the truth.
        events: The same as the metrics take them.
        counts: Events read, selected and left out, by name.
        usable: The files.
    """

    arrays: FeatureArrays
    events: JudgedEvents
    counts: dict[str, int]
    usable: UsableFiles


def read_test_sample(
    models: Sequence[PosteriorModel], request: JudgeRequest, *, fewest: int = FEWEST_EVENTS
) -> TestSample:
    """Read the events that runs are judged on: selected ones with a truth, of which none of the runs learned.

    Of events with weights some are left out, with a probability that makes the others count alike: every measure then
    means the same, ranks and classifiers as well as distances.

    Args:
        models: The runs, which read the same columns.
        request: Which files, and how many events of them.
        fewest: Events that are needed.

    Raises:
        ConfigError: If fewer events are asked for than are needed, or a column is renamed that is not used.
        DataError: If a file, column or row cannot be used, or there are too few events.
    """
    if request.events < fewest:
        raise ConfigError(f"--events {request.events}: at least {fewest} events are needed to judge on; allow as many.")
    tree, rename, features = request.tree, request.rename, models[0].features
    usable = files_to_judge_on(request.files, features, tree=tree, rename=rename, skip_bad_files=request.skip_bad_files)
    new: list[NDArray[np.int64]] = []
    for model in reversed(models):  # the arrays of the first are kept
        loaded = load_unlearned(model.folder, features, usable, tree=tree, rename=rename, skip_bad=request.skip_bad)
        arrays = loaded.arrays.reconstructed  # those that have a truth
        new.append(arrays.row[unseen(model.folder.models / POSTERIOR, content_keys(arrays))])
    mask = np.logical_and.reduce([np.isin(arrays.row, rows) for rows in new])
    new_rows = np.flatnonzero(mask)
    alike = new_rows[_rows_alike(arrays.weight[new_rows], usable.paths[0], request.seed)]
    kept = alike[: request.events]
    counts = {
        **loaded.counts,
        "without_truth": len(loaded.arrays.row) - len(mask),
        "learned_from": int((~mask).sum()),
        "left_out_for_weight": len(new_rows) - len(alike),
        "beyond_the_limit": len(alike) - len(kept),
    }
    if len(kept) < fewest:
        of_runs = "the run was" if len(models) == 1 else "the runs were"
        raise DataError(
            f"{usable.paths[0]}: only {len(kept)} events are left to judge on (of files that {of_runs} trained on, "
            f"the test split); at least {fewest} are needed, so give more events."
        )
    mask[:] = False
    mask[kept] = True
    arrays = arrays.take(mask)
    if arrays.target is None:
        raise DataError(f"{usable.paths[0]}: has no columns of the truth to compare with; give simulated events.")
    outside = np.logical_or.reduce([model.outside(arrays) for model in models])
    counts["outside_training_range"] = int(outside.sum())
    if outside.any():
        log.warning("%d of %d events lie outside the training range", outside.sum(), len(outside))
    events = JudgedEvents(
        coordinates=models[0].coordinates,
        truth=models[0].coordinates.tree.cartesian(leaves_of_columns(arrays.target)),
        detector=detector_table(arrays),
        directions=measured_directions(features.layout, arrays),
        scored=min(SCORED, len(kept)),
        seed=request.seed,
    )
    return TestSample(arrays, events, counts, usable)


def _rows_alike(weight: NDArray[np.float64], path: Path, seed: int) -> NDArray[np.int64]:
    """Choose events by their weights; see ``read_test_sample``."""
    if (weight < 0.0).any():
        raise DataError(
            f"{path}: {int((weight < 0.0).sum())} of {len(weight)} events have a negative weight, by which none can be "
            "chosen to judge on; give a sample of positive weights."
        )
    return rows_by_weight(weight, Stream(seed, "judged events").at())


def draw_for(model: PosteriorModel, sample: TestSample, draws: int) -> Draws:
    """Draw once for every event, and ``draws`` times for those that are scored."""
    stream, some = Stream(sample.events.seed, "evaluation draws"), np.zeros(len(sample.arrays.row), dtype=np.bool_)
    some[: sample.events.scored] = True
    one = model.numbers(model.draw(sample.arrays, 1, stream.at())[:, 0])
    many = model.draw(sample.arrays.take(some), draws, stream.at(1))
    # In single precision, as the model draws: a hundred draws of five thousand events are 220 MB in double.
    pieces = [model.numbers(piece).astype(np.float32) for piece in np.array_split(many, max(1, len(many) // 500))]
    return Draws(one, np.concatenate(pieces))
