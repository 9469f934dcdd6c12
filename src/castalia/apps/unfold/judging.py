"""What is measured of a posterior on events of known truth: distances, proper scores, calibration, consistency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.coordinates import TruthCoordinates
from castalia.apps.unfold.detector_level import detector_values
from castalia.apps.unfold.measured_directions import MeasuredDirections
from castalia.data.feature_arrays import FeatureArrays
from castalia.metrics.auc import AucEstimate
from castalia.metrics.calibration import CentralCoverage, RankDeviation, central_coverage, rank_deviation, truth_ranks
from castalia.metrics.consistency import DaughterSum, MassShell, daughter_sum, mass_shell
from castalia.metrics.joint import joint_auc, joint_test
from castalia.metrics.marginals import FlooredMarginals, floored_marginals
from castalia.metrics.proper_scores import MeanScore, crps, energy_score, mean_score
from castalia.metrics.two_sample import TwoSampleTest
from castalia.rng import Stream

__all__ = ["LEVELS", "Composite", "Draws", "JudgedEvents", "Judgement", "control_draws", "detector_table", "judge"]

Floats = NDArray[np.float64]

LEVELS: Final = (0.68, 0.95)
_JOINT_EVENTS = 30_000  # of the joint test: more would only make it slower


@dataclass(frozen=True)
class JudgedEvents:
    """Events with their truth.

    Attributes:
        coordinates: What is unfolded to.
        truth: The paper's numbers, shape ``(events, numbers)``.
        detector: What was measured, as a table, shape ``(events, columns)``.
        directions: Where the measured objects are.
        scored: How many of the first events get many draws.
        seed: Seed of all that is random in the judgement.
    """

    coordinates: TruthCoordinates
    truth: Floats
    detector: Floats
    directions: MeasuredDirections
    scored: int
    seed: int

    @property
    def continuous(self) -> list[int]:
        """Columns of ``truth`` that have a density."""
        names = list(self.coordinates.tree.numbers)
        return [names.index(name) for name in self.coordinates.continuous]

    def distances(self, numbers: Floats) -> Floats:
        """Return how far the leaves of each event are from the nearest measured object, shape ``(events, leaves)``."""
        return self.directions.distances(self.coordinates.tree, numbers)


@dataclass(frozen=True)
class Draws:
    """What a posterior, or what takes its place, drew for the judged events.

    Attributes:
        one: One draw of every event, shape ``(events, numbers)``.
        many: Several draws of the first events, shape ``(scored, draws, numbers)``.
    """

    one: Floats
    many: NDArray[np.floating]


@dataclass(frozen=True)
class Composite:
    """How consistent a composite is in the draws."""

    shell: MassShell
    daughters: DaughterSum


@dataclass(frozen=True)
class Judgement:
    """All that is measured of one posterior.

    Attributes:
        marginals: The paper's six distances of every number, with floors.
        crps: Continuous ranked probability score of the continuous numbers, in units of the truth's width.
        event_crps: The same event by event, averaged over the numbers, shape ``(scored,)``: what two posteriors of the
            same events are compared by.
        energy: Energy score of all of them together.
        joint: Area under the curve of a classifier that sees detector and truth.
        joint_distances: The same where it also sees how far every leaf is from the nearest measured object.
        test: The same with its power and control; ``None`` where that is not measured.
        ranks: Ranks of the truth among the draws.
        coverage: Coverage of central intervals of the levels ``LEVELS``.
        composites: Consistency by composite.
    """

    marginals: FlooredMarginals
    crps: MeanScore
    event_crps: Floats
    energy: MeanScore
    joint: AucEstimate
    joint_distances: AucEstimate
    test: TwoSampleTest | None
    ranks: RankDeviation
    coverage: tuple[CentralCoverage, ...]
    composites: dict[str, Composite]


def detector_table(arrays: FeatureArrays) -> Floats:
    """Write what was measured as one row an event, less the columns that are the same in all of them."""
    table = detector_values(arrays)
    # A column without spread, such as a third electron that nobody has, tells nothing.
    return np.asarray(table[:, np.ptp(table, axis=0) > 0.0], dtype=np.float64)


def control_draws(events: JudgedEvents, prior: Floats, draws: int) -> Draws:
    """Return the truth of random training events: right in every distance of distributions, and no posterior at all.

    Args:
        events: The events.
        prior: The paper's numbers of training events, shape ``(training events, numbers)``.
        draws: Draws for each event that is scored.
    """
    rng, number = Stream(events.seed, "control draws").at(), len(events.truth)
    # As few of them twice as possible: what comes twice adds to the distance.
    whole = np.concatenate([rng.permutation(len(prior)) for _ in range(-(-number // len(prior)))])
    return Draws(prior[whole[:number]], prior[rng.integers(len(prior), size=(events.scored, draws))])


def judge(events: JudgedEvents, draws: Draws, *, with_power: bool) -> Judgement:
    """Measure draws against the truth.

    Args:
        events: The events.
        draws: Draws for them.
        with_power: Test the joint classifier itself as well, on a planted defect and on truth.

    Raises:
        DataError: If there are too few events for one of the measures.
    """
    chosen = events.continuous
    few = events.truth[: events.scored][:, chosen]
    many = draws.many[:, :, chosen]
    ranks = truth_ranks(few, many, Stream(events.seed, "ranks").at())
    number, some = many.shape[1], slice(_JOINT_EVENTS)
    tables = (events.truth, draws.one)
    pair = (events.detector[some], *(table[some][:, chosen] for table in tables))
    nearer = (pair[0], *(np.column_stack([table[:, chosen], events.distances(table)])[some] for table in tables))
    test = joint_test(*pair, seed=events.seed) if with_power else None
    scores = crps(few, many)
    return Judgement(
        marginals=floored_marginals(events.truth, draws.one, seed=events.seed),
        crps=mean_score(scores),
        event_crps=scores.mean(axis=1),
        energy=mean_score(energy_score(few, many)),
        joint=joint_auc(*pair, seed=events.seed) if test is None else test.auc,
        joint_distances=joint_auc(*nearer, seed=events.seed),
        test=test,
        ranks=rank_deviation(ranks, number),
        coverage=tuple(central_coverage(ranks, number, level) for level in LEVELS),
        composites=_composites(events, draws.one),
    )


def _composites(events: JudgedEvents, drawn: Floats) -> dict[str, Composite]:
    tree = events.coordinates.tree
    names = list(tree.numbers)
    true, made = tree.stated_four_vectors(events.truth), tree.stated_four_vectors(drawn)
    found = {}
    for name, daughters in tree.composites.items():
        mass = names.index(f"{name}_mass")
        spread = float(np.square(events.truth[:, mass]).std())
        parts = np.stack([made[one] for one in daughters], axis=1)
        found[name] = Composite(
            mass_shell(made[name], drawn[:, mass], spread), daughter_sum(made[name], parts, true[name].std(axis=0))
        )
    return found
