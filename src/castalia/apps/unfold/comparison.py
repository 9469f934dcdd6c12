"""Several posteriors judged on the same events: which is ahead of which, and their numbers in ``metrics.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from castalia.apps.unfold.costs import Cost
from castalia.apps.unfold.judging import JudgedEvents, Judgement
from castalia.apps.unfold.results import gate_reasons, numbers_of
from castalia.metrics.proper_scores import MeanScore, mean_score
from castalia.metrics.two_sample import TwoSampleTest

__all__ = ["Comparison", "Contender", "comparison_metrics"]


@dataclass(frozen=True)
class Contender:
    """One of the posteriors.

    Attributes:
        judged: What was measured of it.
        cost: What it costs.
    """

    judged: Judgement
    cost: Cost


@dataclass(frozen=True)
class Comparison:
    """What was measured of several posteriors on the same events.

    Attributes:
        events: The events.
        models: The posteriors by name, in the order in which they were given.
        control: What was measured of the truth of random training events.
    """

    events: JudgedEvents
    models: Mapping[str, Contender]
    control: Judgement

    @property
    def ranking(self) -> tuple[str, ...]:
        """Names in the order of the CRPS, the best first."""
        return tuple(sorted(self.models, key=lambda name: self.models[name].judged.crps.value))

    @property
    def test(self) -> TwoSampleTest | None:
        """The joint test with its power and control, which depend on the events alone."""
        return next((one.judged.test for one in self.models.values() if one.judged.test is not None), None)

    def behind(self, judged: Judgement) -> MeanScore:
        """Return by how much a CRPS is above the best one, event by event: the error is that of the difference."""
        best = self.models[self.ranking[0]].judged
        return mean_score(judged.event_crps - best.event_crps)

    def reasons(self, name: str) -> tuple[str, ...]:
        """Return why the gate refuses a posterior; nothing where it passes."""
        return gate_reasons(self.models[name].judged, self.control)


def comparison_metrics(found: Comparison, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return everything that is measured, as JSON values."""

    def entry(judged: Judgement) -> dict[str, Any]:
        behind = found.behind(judged)
        ahead = {"value": behind.value, "error": behind.error}
        return {**numbers_of(found.events, judged), "behind_the_best": ahead}

    models = {
        name: {
            "rank": found.ranking.index(name) + 1,
            **entry(one.judged),
            "cost": asdict(one.cost),
            "gate": {"passed": not found.reasons(name), "reasons": list(found.reasons(name))},
        }
        for name, one in found.models.items()
    }
    test = found.test
    parts = {} if test is None else {"power": test.power, "control": test.control}
    return {
        "test_events": len(found.events.truth),
        "scored_events": found.events.scored,
        "numbers": len(found.events.coordinates.tree.numbers),
        "continuous": len(found.events.continuous),
        "ranking": list(found.ranking),
        "models": models,
        "control": entry(found.control),
        "joint_test": {name: {"value": one.value, "error": one.error} for name, one in parts.items()},
        "counts": dict(counts),
    }
