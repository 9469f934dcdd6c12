"""The neutrino's pseudorapidity of single events: two solutions of the W boson's mass, and how a posterior weighs them.

The detector leaves the neutrino's momentum along the beam open; the mass of the W boson gives two values, and a
posterior should be two-fold. What it gives the first solution, that of the smaller momentum, is held against how often
the truth is nearer to it, and against a posterior without a model: the nearest events of the simulation in four
numbers, both solutions and the mass of the top quark that each leads to. The model sees more of the event than these
and may know better; of events alike in these, both say the same on average.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.nearest import nearest_events
from castalia.metrics.calibration import rank_deviation, truth_ranks
from castalia.metrics.proper_scores import crps, mean_score
from castalia.physics.four_vectors import from_cartesian
from castalia.physics.semileptonic import neutrino_pz
from castalia.rng import Stream
from unfold_stress import SeenDecay

__all__ = ["nearer_first", "neutrino_eta", "reliability", "solutions", "twofold"]

Array = NDArray[np.float64]

APART: Final = 0.5
"""Difference in pseudorapidity of the solutions of an event that counts as two-fold."""

GROUPS: Final = 5
"""Groups of events with similar shares."""


def neutrino_eta(names: list[str], numbers: Array) -> Array:
    """Return the neutrino's pseudorapidity for the paper's numbers ``names``, of shape ``(*shape, numbers)``."""
    px, py, pz = (numbers[..., names.index(f"neutrino_p{axis}")] for axis in "xyz")
    return np.asarray(np.arcsinh(pz / np.maximum(np.hypot(px, py), 1e-3)))


def solutions(seen: SeenDecay) -> Array:
    """Return both solutions of the neutrino's pseudorapidity, the first of the smaller pz, and the masses they lead to.

    Returns:
        Pseudorapidities, and masses of the leptonic top quark in GeV, shape ``(events, 4)``.
    """
    near, far = neutrino_pz(seen.lepton, seen.missing).T
    pt = np.hypot(*seen.missing.T)
    other = seen.t_lep.copy()  # that of the far solution
    other[:, 2] += far - near
    other[:, 3] += np.hypot(pt, far) - np.hypot(pt, near)
    return np.column_stack(
        [np.arcsinh(near / pt), np.arcsinh(far / pt), from_cartesian(seen.t_lep)[3], from_cartesian(other)[3]]
    )


def nearer_first(eta: Array, solved: Array) -> NDArray[np.bool_]:
    """Say whether a pseudorapidity is nearer to the first solution; ``eta`` of shape ``(events, ...)``."""
    first, second = (solved[:, place].reshape(-1, *[1] * (eta.ndim - 1)) for place in (0, 1))
    return np.asarray(np.abs(eta - first) < np.abs(eta - second))


def reliability(share: Array, happened: NDArray[np.bool_] | Array, by: Array | None = None) -> dict[str, Any]:
    """Compare predicted shares with what happened, in groups of events whose shares are similar.

    Args:
        share: Predicted probability of each event, shape ``(events,)``.
        happened: What happened, or another prediction of it, same shape.
        by: What events are grouped by; the share itself by default.

    Returns:
        Mean of both in each group, the largest difference, and its standard error.
    """
    order = np.argsort(share if by is None else by, kind="stable")
    groups = np.array_split(order, GROUPS)
    predicted, seen = (np.array([np.mean(one[rows]) for rows in groups]) for one in (share, happened))
    error = [np.std(happened[rows].astype(np.float64) - share[rows]) / np.sqrt(len(rows)) for rows in groups]
    worst = int(np.argmax(np.abs(predicted - seen)))
    return {
        "predicted": predicted.tolist(),
        "happened": seen.tolist(),
        "largest": float(np.abs(predicted - seen)[worst]),
        "error": float(error[worst]),
    }


def twofold(
    eta: tuple[Array, Array], solved: Array, simulated: tuple[Array, Array], neighbours: int, seed: int
) -> dict[str, Any]:
    """Judge the posterior of the neutrino's pseudorapidity beside the nearest simulated events.

    Args:
        eta: Truth, shape ``(events,)``, and the model's draws, shape ``(events, draws)``.
        solved: ``solutions`` of the events.
        simulated: Truth and ``solutions`` of simulated events that the model may have learned from.
        neighbours: How many of the nearest of these make a posterior.
        seed: Seed of what is random.
    """
    chosen = np.abs(solved[:, 0] - solved[:, 1]) > APART
    true, draws, solved = eta[0][chosen], eta[1][chosen], solved[chosen]
    found = nearest_events(simulated[1], solved, neighbours)
    stream = Stream(seed, "neutrino")
    near = found.draws(simulated[0][:, None], draws.shape[1], stream.at())[:, :, 0]
    happened = nearer_first(true, solved)
    share = nearer_first(draws, solved).mean(axis=1)
    # Two halves of the neighbours: one to group by, the other to compare, so that no fluctuation counts in both.
    first = nearer_first(simulated[0][found.rows], solved)
    halves = [
        np.average(first[:, part], axis=1, weights=np.maximum(found.weights[:, part], 1e-12))
        for part in (slice(0, None, 2), slice(1, None, 2))
    ]
    wrong = share[stream.at(1).permutation(len(share))]
    return {
        "events": len(true),
        "radius": float(np.median(found.radius)),
        "undecided": float(np.mean((share > 0.2) & (share < 0.8))),
        "undecided_nearest": float(np.mean(np.abs(np.mean(halves, axis=0) - 0.5) < 0.3)),
        "model": {"reliability": reliability(share, happened), **_scores(true, draws, stream)},
        "nearest": {"reliability": reliability(halves[0], happened, by=halves[1]), **_scores(true, near, stream)},
        "agreement": reliability(share, halves[0], by=halves[1]),
        "crps_gain": _difference(true, near, draws),
        "control": reliability(wrong, happened),
    }


def _scores(true: Array, draws: Array, stream: Stream) -> dict[str, Any]:
    ranks = rank_deviation(truth_ranks(true, draws, stream.at(2)), draws.shape[1])
    score = mean_score(crps(true, draws))
    return {"crps": score.value, "crps_error": score.error, "rank_deviation": float(ranks.value[0])}


def _difference(true: Array, worse: Array, better: Array) -> dict[str, float]:
    gain = mean_score(crps(true, worse) - crps(true, better))
    return {"value": gain.value, "error": gain.error}
