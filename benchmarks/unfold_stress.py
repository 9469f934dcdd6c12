"""Samples that an unfolding is put under stress with: selected top-quark pairs whose truth, or shower, is another.

Three of them have another distribution of the truth than the simulation that was learned from: by smooth weights of
the truth, accepted or rejected so that they stay unweighted, in the transverse momentum of the top quark and in the
mass of the pair; and by a share of Z' bosons among them. Iterations should mend these. The fourth is another tune of
the shower, which changes what a truth looks like: no iteration mends that, and its bias is quoted as a systematic
uncertainty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.coordinates import leaves_of_columns
from castalia.apps.unfold.model import PosteriorModel
from castalia.data.feature_arrays import FeatureArrays
from castalia.data.layout import Layout, Variable
from castalia.data.loading import load_arrays
from castalia.data.sidecar import input_sha256
from castalia.errors import DataError
from castalia.physics.decay_tree import DecayTree
from castalia.physics.four_vectors import from_cartesian, to_cartesian
from castalia.physics.semileptonic import assign_jets, neutrino_momentum
from castalia.rng import Stream
from castalia.runs.kept import load_kept, save_kept
from unfold_run import SOURCES, draw_numbers, read_unlearned
from unfold_selected import selected_files

__all__ = [
    "LAYOUT",
    "PROCEDURES",
    "REWEIGHTED",
    "SPECTRA",
    "STRESSES",
    "PairEvents",
    "SeenDecay",
    "accepted",
    "learned_pairs",
    "mixed",
    "pairs_of_numbers",
    "pairs_of_tops",
    "seen_decay",
    "stress_samples",
    "unfolded_pairs",
]

Array = NDArray[np.float64]

_WHOLE: Final = "src/castalia/apps/unfold"
PROCEDURES: Final = [
    *(path for path in SOURCES if path != _WHOLE),
    *(
        f"{_WHOLE}/{name}.py"
        for name in (
            "background",
            "binning",
            "density_ratio",
            "events",
            "fakes",
            "iterative_bayes",
            "normal_scores",
            "omnifold",
            "prior",
            "settling",
            "truth_weights",
            "unfolded_sample",
        )
    ),
]
"""Sources of posteriors and of what makes a spectrum of their draws, without the commands and pages around them."""

PAIR: Final = {"m_tt": "GeV", "pt_t": "GeV", "y_tt": "", "pt_t_lep": "GeV", "y_t": "", "pt_tt": "GeV"}
"""What is unfolded: mass and rapidity of the pair, of the hadronic top quark transverse momentum and rapidity, and the
transverse momenta of the other one and of the pair; with an azimuth and both masses they fix the momenta of both."""

SPECTRA: Final = ("m_tt", "pt_t", "y_tt")
"""The first of them: the spectra that are judged."""

LAYOUT: Final = Layout(
    condition=(*(Variable(f"seen_{name}", unit) for name, unit in PAIR.items()), Variable("seen_m_t", "GeV")),
    target=tuple(Variable(name, unit) for name, unit in PAIR.items()),
)
"""The same at both levels, and at detector level the mass of the hadronic candidate, which tells good ones from bad."""

SHARE: Final = 0.1
"""Share of Z' bosons among the pairs of that sample."""


@dataclass(frozen=True)
class PairEvents:
    """Selected events at both levels.

    Attributes:
        truth: The quantities of ``PAIR``, shape ``(events, 6)``.
        detector: Those of the candidates, in the order of ``LAYOUT.condition``, shape ``(events, 7)``.
        draws: Draws of the truth, shape ``(events, draws, 6)``.
    """

    truth: Array
    detector: Array
    draws: Array

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> PairEvents:
        """Return some of the events."""
        return PairEvents(self.truth[rows], self.detector[rows], self.draws[rows])


@dataclass(frozen=True)
class SeenDecay:
    """Four-momenta (px, py, pz, E) in GeV of what was measured of a pair, each of shape ``(events, 4)``.

    Attributes:
        lepton: Electron or muon.
        missing: Missing transverse momentum (px, py), shape ``(events, 2)``.
        t_lep: Candidate of the leptonic top quark.
        t_had: Candidate of the hadronic one.
    """

    lepton: Array
    missing: Array
    t_lep: Array
    t_had: Array


def pairs_of_tops(t_lep: Array, t_had: Array) -> Array:
    """Return the quantities of ``PAIR`` for four-momenta in GeV, each of shape ``(events, 4)``."""
    both = t_lep + t_had
    return np.column_stack(
        [
            from_cartesian(both)[3],
            np.hypot(t_had[:, 0], t_had[:, 1]),
            _rapidity(both),
            np.hypot(t_lep[:, 0], t_lep[:, 1]),
            _rapidity(t_had),
            np.hypot(both[:, 0], both[:, 1]),
        ]
    )


def pairs_of_numbers(tree: DecayTree, numbers: Array) -> Array:
    """Return the quantities of ``PAIR`` for the paper's numbers, of shape ``(*shape, numbers)``."""
    four = tree.stated_four_vectors(numbers.reshape(-1, numbers.shape[-1]))
    return pairs_of_tops(four["t_lep"], four["t_had"]).reshape(*numbers.shape[:-1], -1)


def seen_decay(arrays: FeatureArrays) -> SeenDecay:
    """Find the decay in what was measured, with the columns of ``examples/unfold.toml``."""
    jet = arrays.objects["jet"]
    present = jet.mask[:, :, None]
    momenta = np.where(present, to_cartesian(*np.moveaxis(jet.values, 2, 0)[:4]), np.nan)
    # A selected event has one lepton: the other list is empty, and an absent one is zeros.
    lists = [arrays.objects[name] for name in ("electron", "muon")]
    both = np.sum([one.values[:, 0] * one.mask[:, :1] for one in lists if one.mask.shape[1]], axis=0)
    lepton = to_cartesian(*both.T[:3])
    size, angle = arrays.condition.T
    missing = size[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    tagged = jet.mask & (jet.values[:, :, 4] > 0)
    place = assign_jets(lepton, missing, momenta, tagged)
    b_lep, b_had, first, second = (momenta[np.arange(len(place)), one] for one in place.T)
    return SeenDecay(lepton, missing, lepton + neutrino_momentum(lepton, missing) + b_lep, b_had + first + second)


def learned_pairs(model: PosteriorModel, samples: Path) -> PairEvents:
    """Return the selected events of the files in a folder that models are trained on, without draws."""
    arrays = load_arrays(selected_files(samples), model.features).arrays.reconstructed
    return PairEvents(_true_pairs(model, arrays), _seen_pairs(arrays), np.empty((len(arrays.row), 0, len(PAIR))))


def unfolded_pairs(model: PosteriorModel, path: Path, draws: int, kept: Path) -> PairEvents:
    """Return the selected events of a file that the model has not learned from, with draws.

    Args:
        model: The model.
        path: The file.
        draws: Draws of each event.
        kept: Folder where draws are kept, by model, file and number.
    """
    arrays = read_unlearned(model, path)
    file = kept / f"pairs-{model.sha256[:12]}-{input_sha256(path)[:12]}-{draws}.safetensors"
    found = load_kept(file, ("draws",))
    if found is None:
        drawn = draw_numbers(model, arrays, draws, lambda numbers: pairs_of_numbers(model.coordinates.tree, numbers))
        found = (drawn.astype(np.float64),)
        save_kept(file, {"draws": found[0]})
    return PairEvents(_true_pairs(model, arrays), _seen_pairs(arrays), found[0])


def softer_top(truth: Array) -> Array:
    """Weigh by the hadronic top quark's transverse momentum, in (0, 1]: a fall by a factor e in 250 GeV."""
    return np.exp(-truth[:, 1] / 250.0)


def heavier_pair(truth: Array) -> Array:
    """Weigh by the mass of the pair, in (0, 1): from a quarter at the threshold to one above 700 GeV."""
    return 0.625 + 0.375 * np.tanh((truth[:, 0] - 500.0) / 100.0)


REWEIGHTED: Final[Mapping[str, Callable[[Array], Array]]] = {"softer top": softer_top, "heavier pair": heavier_pair}
"""Weights of the truth by the name of the sample."""

STRESSES: Final = (*REWEIGHTED, "Z' admixture")
"""Samples with another truth, which iterations should mend."""


def accepted(weights: Array, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Say which events stay if each does with the probability ``weights``, shape ``(events,)``, in [0, 1]."""
    return rng.random(len(weights)) < weights


def mixed(pairs: PairEvents, others: PairEvents, share: float, rng: np.random.Generator) -> PairEvents:
    """Mix in others until they are ``share`` of all events, the pairs that they take the place of left out at random.

    Raises:
        DataError: If there are too few others.
    """
    number = round(share * len(pairs.truth))
    if number > len(others.truth):
        raise DataError(f"{len(others.truth)} events are no share of {share:g} of {len(pairs.truth)}; make {number}.")
    kept = pairs.take(rng.permutation(len(pairs.truth))[number:])
    added = others.take(rng.permutation(len(others.truth))[:number])
    return PairEvents(
        np.concatenate([kept.truth, added.truth]),
        np.concatenate([kept.detector, added.detector]),
        np.concatenate([kept.draws, added.draws]),
    )


def stress_samples(data: PairEvents, zprime: PairEvents, tune: PairEvents, seed: int) -> dict[str, PairEvents]:
    """Make all samples, each of as many events as the smallest, so that their statistical errors are alike.

    Returns:
        ``"unshifted"``, those of ``STRESSES``, and ``"A14 tune"``.
    """
    stream = Stream(seed, "stress samples")
    samples = {"unshifted": data}
    for number, (name, weights) in enumerate(REWEIGHTED.items()):
        samples[name] = data.take(accepted(weights(data.truth), stream.at(number)))
    most = min(len(one.truth) for one in (*samples.values(), tune))
    samples["Z' admixture"] = mixed(data.take(np.arange(most)), zprime, SHARE, stream.at(len(REWEIGHTED)))
    samples["A14 tune"] = tune
    return {name: one.take(np.arange(most)) for name, one in samples.items()}


def _true_pairs(model: PosteriorModel, arrays: FeatureArrays) -> Array:
    if arrays.target is None:
        raise DataError("the events hold no columns of the truth to compare with; give simulated ones.")
    four = model.coordinates.tree.four_vectors(leaves_of_columns(arrays.target))
    return pairs_of_tops(four["t_lep"], four["t_had"])


def _seen_pairs(arrays: FeatureArrays) -> Array:
    """Return what OmniFold and histograms see of an event, in the order of ``LAYOUT.condition``."""
    seen = seen_decay(arrays)
    return np.column_stack([pairs_of_tops(seen.t_lep, seen.t_had), from_cartesian(seen.t_had)[3]])


def _rapidity(momentum: Array) -> Array:
    transverse = np.square(momentum[:, 3]) - np.square(momentum[:, 2])
    return np.asarray(np.arcsinh(momentum[:, 2] / np.sqrt(transverse)), dtype=np.float64)
