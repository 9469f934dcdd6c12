"""Truth beside several draws of each event: what metrics of per-event posteriors demand, and how they go through them.

Draws of 50,000 events × 100 × 55 components are 2 GB: they are taken as they are, of any float type or mapped from a
file, and turned into doubles piece by piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_columns

__all__ = ["EventDraws", "as_event_draws"]

_PIECE = 4_000_000
"""Numbers in one piece: 32 MB as doubles."""


@final
@dataclass(frozen=True)
class EventDraws:
    """Truth and draws of the same events.

    Attributes:
        truth: Finite true values, shape ``(events, components)``.
        draws: Draws for each event, shape ``(events, draws, components)``, of any float type.
    """

    truth: NDArray[np.float64]
    draws: NDArray[np.floating]

    def pieces(self) -> Iterator[tuple[slice, NDArray[np.float64], NDArray[np.float64]]]:
        """Yield rows, their truth (rows, components) and their draws (rows, draws, components) as doubles.

        Raises:
            DataError: If a draw is NaN or infinite.
        """
        step = max(1, _PIECE // (self.draws.shape[1] * self.draws.shape[2]))
        for start in range(0, len(self.truth), step):
            rows = slice(start, min(start + step, len(self.truth)))
            piece = np.asarray(self.draws[rows], dtype=np.float64)
            bad = ~np.isfinite(piece)
            if bad.any():
                event, draw, component = (int(i) for i in np.argwhere(bad)[0])
                raise DataError(
                    f"the draws have values that are NaN or infinite (first in event {start + event}, draw {draw}, "
                    f"component {component}); leave that event out before measuring."
                )
            yield rows, self.truth[rows], piece


def as_event_draws(truth: ArrayLike, draws: ArrayLike, fewest: int = 2) -> EventDraws:
    """Return truth and draws with a component axis.

    Args:
        truth: True values, shape ``(events,)`` or ``(events, components)``.
        draws: Draws for each event, shape ``(events, draws)`` where ``truth`` has one axis, otherwise
            ``(events, draws, components)``.
        fewest: Fewest draws for each event.

    Raises:
        DataError: If the shapes do not fit, a true value is not finite, or there are fewer than ``fewest`` draws.
    """
    true, made = as_columns(truth, "the truth"), np.asarray(draws)
    made = made[:, :, None] if np.ndim(truth) == 1 and made.ndim == 2 else made
    if made.ndim != 3 or made.shape[::2] != true.shape or made.shape[1] < fewest:
        raise DataError(
            f"draws of shape {np.shape(draws)} do not fit a truth of shape {np.shape(truth)}; "
            f"give {fewest} or more draws for each event, as (events, draws, components)."
        )
    return EventDraws(true, made if np.issubdtype(made.dtype, np.floating) else made.astype(np.float64))
