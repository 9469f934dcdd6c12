"""A trained posterior of the truth, opened from its run folder with all that is needed to use it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.config import UnfoldConfig, parse_config
from castalia.apps.unfold.coordinates import TruthCoordinates
from castalia.apps.unfold.frame import Frame
from castalia.apps.unfold.matching import Matching
from castalia.apps.unfold.placed import Placed, energy_and_mass
from castalia.apps.unfold.train import POSTERIOR, PRIOR
from castalia.data.feature_arrays import FeatureArrays
from castalia.data.features import Features
from castalia.errors import ModelError
from castalia.estimators.base import Estimator, Sampler
from castalia.estimators.storage import load_model, model_hash
from castalia.metrics.support import ConditionRanges, outside
from castalia.runs.folder import RunFolder
from castalia.runs.kept import load_kept
from castalia.runs.ranges import described, summary_names, summary_of_events

__all__ = ["PosteriorModel", "open_model"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PosteriorModel:
    """A finished run of ``castalia unfold train``.

    Attributes:
        folder: The run folder.
        config: Its configuration.
        features: How its files become arrays.
        coordinates: What the model's targets mean.
        frame: What the model's azimuths are relative to.
        estimator: The model.
        sampler: The same, as a sampler.
        matching: Which objects its particles are.
        prior: Leaves of training events of equal weight, shape ``(events, leaves, 4)``.
        largest: Largest energy and invariant mass of all particles of a training event in GeV, shape ``(2,)``.
        ranges: Lowest and highest training value of what ``summary_of_events`` makes of an event.
        without_frame: Training events without an object that azimuths are relative to.
        sha256: Hash of the saved model.
    """

    folder: RunFolder
    config: UnfoldConfig
    features: Features
    coordinates: TruthCoordinates
    frame: Frame
    estimator: Estimator
    sampler: Sampler
    matching: Matching
    prior: Floats
    largest: Floats
    ranges: ConditionRanges
    without_frame: int
    sha256: str

    def outside(self, arrays: FeatureArrays) -> NDArray[np.bool_]:
        """Flag events unlike any in training: in a variable, an object, a number of objects, or for lack of a frame."""
        flagged = outside(summary_of_events(arrays, self.ranges.low), self.ranges)
        return flagged if self.without_frame else flagged | ~self.frame.found(arrays)

    def outlier(self, arrays: FeatureArrays) -> str:
        """Say what of the first of some flagged events lies outside."""
        first = summary_of_events(arrays, self.ranges.low)[0]
        if not outside(first[None], self.ranges)[0]:
            return f"a missing {' or '.join(self.frame.lists)}"
        return described(first, self.ranges, self.frame.layout)

    def draw(self, arrays: FeatureArrays, draws: int, rng: np.random.Generator) -> Floats:
        """Draw the truth of events.

        Returns:
            Coordinates as ``numbers`` takes them, shape ``(events, draws, targets)``.

        Raises:
            MachineError: If the model draws what is not finite.
        """
        reference = self.frame.reference(arrays)
        turned = self.frame.turned(arrays, reference)
        still = replace(reference, phi=np.zeros_like(reference.phi))
        placed = Placed(self.sampler, self.coordinates, self.matching, self.largest)
        drawn = placed.draw(turned, still, draws, rng)[:, : len(self.coordinates.variables)]
        return self.coordinates.absolute(drawn.reshape(len(arrays.row), draws, -1), reference)

    def numbers(self, targets: Floats) -> Floats:
        """Return the paper's numbers of draws of any leading shape ``(*shape, targets)``, in the same shape."""
        flat = self.coordinates.numbers(targets.reshape(-1, targets.shape[-1]))
        return flat.reshape(*targets.shape[:-1], -1)


def open_model(path: Path) -> PosteriorModel:
    """Open a finished run folder.

    Raises:
        ModelError: If the folder is no run of ``unfold``, is not finished, cannot sample, or its model is damaged.
    """
    folder = RunFolder.open(path)
    if folder.record.application != "unfold":
        raise ModelError(f"{path}: is a run of {folder.record.application!r}; give one written by `unfold train`.")
    if not (folder.models / POSTERIOR).is_dir():
        raise ModelError(f"{path}: has no trained model yet; finish it with `castalia unfold train … --resume`.")
    config = parse_config(folder.config_text(), path / "config.toml", path)
    features, loaded = config.features(), load_model(folder.models / POSTERIOR)
    ranges, masses, largest = (loaded.extra.get(name) for name in ("ranges", "masses", "largest"))
    layout = replace(features.layout, target=loaded.layout.target)
    if not (isinstance(masses, dict) and isinstance(ranges, dict)) or tuple(ranges) != summary_names(layout):
        raise ModelError(f"{path}: the model's variables are not those of its config.toml; the run folder was changed.")
    kept = {leaf: tuple(float(value) for value in values) for leaf, values in masses.items()}
    coordinates = TruthCoordinates(config.truth.tree(), config.truth.coordinates, kept)
    matching = Matching(features.layout, coordinates.tree.leaves, config.truth.measured_as)
    if loaded.layout != matching.with_places(coordinates.variables, coordinates.decays(config.truth.frame)):
        raise ModelError(f"{path}: the model's variables are not those of its config.toml; the run folder was changed.")
    estimator = loaded.estimator.eval()
    if not isinstance(estimator, Sampler):
        raise ModelError(f"{path}: its estimator {type(estimator).__name__} cannot sample; train one that can.")
    prior = load_kept(folder.models / POSTERIOR / PRIOR, ("leaves",))
    if prior is None:
        raise ModelError(f"{path}: has no {PRIOR} beside its model; finish it with `castalia unfold train … --resume`.")
    return PosteriorModel(
        folder,
        config,
        features,
        coordinates,
        Frame(layout, config.truth.frame),
        estimator,
        estimator,
        matching,
        prior[0],
        # The first runs have not kept it: then it is that of the kept events.
        energy_and_mass(prior[0]).max(axis=0) if largest is None else np.array(largest, dtype=np.float64),
        ConditionRanges(*np.array(list(ranges.values()), dtype=np.float64).T),
        int(loaded.extra.get("without_frame", 0)),
        model_hash(folder.models / POSTERIOR),
    )
