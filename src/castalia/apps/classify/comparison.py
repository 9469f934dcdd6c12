"""Several classifiers judged on the same events: which is ahead of which, and what data a recipe saves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from castalia.apps.classify.judging import JudgedClasses, Judgement
from castalia.apps.classify.relations import Relations
from castalia.apps.classify.results import gate_reasons, numbers_of
from castalia.metrics.auc import AucEstimate
from castalia.metrics.learning_curve import DataSaved, LearningCurve, data_saved, learning_curve
from castalia.rng import Stream

__all__ = ["Comparison", "Contender", "comparison_metrics"]

_DRAWS = 1000  # curves that the interval of the data saved is read from


@dataclass(frozen=True)
class Contender:
    """One of the classifiers.

    Attributes:
        judged: What was measured of it.
        relations: How it recognises relations of objects, if it does.
        recipe: Name of the learning curve that it belongs to; empty for none.
        training_events: Events a class that it learned from.
        parameters: Trained numbers.
    """

    judged: Judgement
    relations: Relations | None
    recipe: str
    training_events: float
    parameters: int


@dataclass(frozen=True)
class Comparison:
    """What was measured of several classifiers on the same events.

    Attributes:
        events: The events.
        models: The classifiers by name, in the order in which they were given.
    """

    events: JudgedClasses
    models: Mapping[str, Contender]

    @property
    def ranking(self) -> tuple[str, ...]:
        """Names in the order of the AUC, the best first."""
        return tuple(sorted(self.models, key=lambda name: -self.models[name].judged.mean_auc.value))

    def ahead(self, name: str, other: str) -> AucEstimate:
        """Return by how much the AUC of one is above another's; the error is that of the paired difference."""
        one, two = (self.models[which].judged.mean_auc for which in (name, other))
        error = float(np.sqrt(np.square(one.influence - two.influence).sum()))
        return AucEstimate(one.value - two.value, error, int((self.events.label == 0).sum()))

    @property
    def curves(self) -> dict[str, LearningCurve]:
        """Learning curves of the AUC by recipe, of those with runs of two sizes or more."""
        recipes = dict.fromkeys(one.recipe for one in self.models.values() if one.recipe)
        found = {}
        for recipe in recipes:
            own = [one for one in self.models.values() if one.recipe == recipe]
            curve = learning_curve(
                [one.training_events for one in own], [one.judged.mean_auc.value for one in own]
            )  # fmt: skip
            if len(curve.sizes) > 1:
                found[recipe] = curve
        return found

    @property
    def saved(self) -> dict[str, tuple[DataSaved, ...]]:
        """Data that each further recipe saves over the first, at each of its sizes."""
        curves = self.curves
        rng = Stream(self.events.seed, "data saved")
        (first, *others) = curves or [""]
        return {name: data_saved(curves[name], curves[first], _DRAWS, rng.at(i)) for i, name in enumerate(others)}


def comparison_metrics(found: Comparison, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return everything that is measured, as JSON values."""
    best = found.ranking[0]
    models = {}
    for name, one in found.models.items():
        behind, reasons = found.ahead(best, name), gate_reasons(one.judged, None)
        models[name] = {
            "rank": found.ranking.index(name) + 1,
            **numbers_of(one.judged, one.relations),
            "behind_the_best": {"value": behind.value, "error": behind.error},
            "recipe": one.recipe,
            "training_events_a_class": one.training_events,
            "parameters": one.parameters,
            "gate": {"passed": not reasons, "reasons": list(reasons)},
        }
    curves = {
        name: {
            "sizes": curve.sizes.tolist(),
            "auc": curve.value.tolist(),
            "error": curve.error.tolist(),
            "seeds": curve.seeds.tolist(),
        }
        for name, curve in found.curves.items()
    }
    return {
        "test_events": len(found.events.label),
        "classes": list(found.events.classes),
        "ranking": list(found.ranking),
        "models": models,
        "learning_curves": curves,
        "data_saved": {name: [asdict(one) for one in rows] for name, rows in found.saved.items()},
        "counts": dict(counts),
    }
