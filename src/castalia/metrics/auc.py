"""Area under the ROC curve of two samples of scores, with an error that knows which rows belong to one event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from castalia.errors import DataError

__all__ = ["AucEstimate", "auc", "cross_validated_auc", "placements"]

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class AucEstimate:
    """How often a generated event scores above a true one; 0.5 where they cannot be told apart.

    Attributes:
        value: Area under the curve, in [0, 1].
        error: Its standard error.
        events: Number of true events behind it.
    """

    value: float
    error: float
    events: int

    @property
    def significance(self) -> float:
        """Distance from 0.5 in standard errors, signed; 0 where both are zero."""
        distance = self.value - 0.5
        return (
            float(distance / self.error) if self.error > 0.0 else float(np.sign(distance) * np.inf if distance else 0.0)
        )


def auc(true_scores: ArrayLike, generated_scores: ArrayLike, *, paired: bool = False) -> AucEstimate:
    """Measure the area under the ROC curve and its standard error.

    Args:
        true_scores: Scores of true events, shape ``(true,)``; infinite ones are ranked, NaN is refused.
        generated_scores: Scores of generated events, shape ``(generated,)``; higher means more like generated.
        paired: Whether row i of both belongs to the same event, as when both have the same conditions.

    Raises:
        DataError: If a sample has fewer than two scores, one is NaN, or paired samples differ in length.

    References:
        DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); for paired rows Obuchowski, Biometrics 53 (1997).
    """
    true, generated = np.asarray(true_scores, dtype=np.float64), np.asarray(generated_scores, dtype=np.float64)
    if true.ndim != 1 or generated.ndim != 1 or min(len(true), len(generated)) < 2:
        raise DataError(
            f"scores of shapes {true.shape} and {generated.shape} give no AUC; pass two or more in each column."
        )
    if paired and len(true) != len(generated):
        raise DataError(f"paired scores differ in number: {len(true)} and {len(generated)}.")
    if np.isnan(true).any() or np.isnan(generated).any():
        raise DataError("a score is NaN; leave that event out of both samples.")
    above, below = placements(true, generated)
    if paired:
        variance = float(np.var(above + below, ddof=1)) / len(true)
    else:
        variance = float(np.var(above, ddof=1)) / len(generated) + float(np.var(below, ddof=1)) / len(true)
    return AucEstimate(value=float(above.mean()), error=float(np.sqrt(variance)), events=len(true))


def placements(
    true: NDArray[np.float64], generated: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return, per generated event, the fraction of true ones below it; per true event, of generated ones above it.

    Ties count one half. The mean of either is the area under the curve.
    """
    ranks = rankdata(np.concatenate([generated, true]))
    size = len(generated)
    above = (ranks[:size] - rankdata(generated)) / len(true)
    below = 1.0 - (ranks[size:] - rankdata(true)) / size
    return above, below


def cross_validated_auc(
    fold: NDArray[np.int64], score: Callable[[Rows, Rows], NDArray[np.float64]], overlap: float
) -> AucEstimate:
    """Average the areas of classifiers, each tested on the fold that it was not trained on.

    Args:
        fold: Number of the fold of each event, from 0, shape ``(events,)``. The rows are the true events and then the
            generated ones; row i of both is in one fold, so that no classifier has seen the conditions it is tested on.
        score: Function of the training rows and the test rows, each a mask of shape ``(2 * events,)``, that returns the
            test rows' scores in order; higher means more like generated.
        overlap: Factor on the error for what the folds' classifiers share, their training rows: above one.
    """
    events, count = len(fold), int(fold.max()) + 1
    rows, generated = np.tile(fold, 2), np.repeat([False, True], events)
    areas, variances = [], []
    for held in range(count):
        test = rows == held
        # Trees grow in steps of a millisecond, after which all threads wait for the slowest: on a machine that others
        # use as well that takes many times as long as one thread.
        with threadpool_limits(1, user_api="openmp"):
            scores, kind = score(~test, test), generated[test]
        above, below = placements(scores[~kind], scores[kind])
        areas.append(float(above.mean()))
        variances.append(float(np.var(above + below, ddof=1)) / len(above))
    # Scores of different folds come from different classifiers and are not comparable: average areas, not scores.
    return AucEstimate(float(np.mean(areas)), overlap * float(np.sqrt(np.sum(variances))) / count, events)
