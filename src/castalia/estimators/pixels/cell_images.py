"""Events as coarse images: how many hits a cell has and how much charge."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from castalia.estimators.base import Batch
from castalia.estimators.pixels.canvas import Canvas
from castalia.estimators.pixels.cell_contents import CellContents, contents_of
from castalia.estimators.pixels.hits import HITS, Hits, hits_of
from castalia.estimators.pixels.images import ImageCoding
from castalia.estimators.pixels.upsampler import Upsampler

__all__ = ["MOST_HITS", "CellImages"]

MOST_HITS = 64
"""Numbers of hits of a cell that are told apart: up to this, and more."""

_RAREST = 1e-6
_SCORE_OF_RAREST = 4.75
_SMEARING = 0.3  # of scores: wide enough that most cells feel a cut


@final
class CellImages(ImageCoding):
    """Two channels: how many hits a cell has, and how much charge given this number.

    A generator makes two standard normal scores of every cell. The first becomes a number of hits by its sensor's
    ``cuts``, which are normal quantiles of the true probabilities; what the sensor's rows and columns have more or less
    is added first. The second is the normal quantile of the charge's rank among cells with as many hits.

    An image shows, of the first, the mean score of all with as many hits, and the second where there is a hit at all.
    Truth is shown so too, and nothing of a score that no hit would tell: else a lower rate, which adds empty cells of
    no particular score, could not be matched by lower scores.

    Training may move the cuts for a generator whose scores are not quite normal: a monotone map of one sensor's own
    cells, the same for all events, which can make no sensor know of another.

    Args:
        canvas: The grid.
        library: Hits of training cells that the upsampler keeps.

    Attributes:
        exceed: Probability that a cell of a sensor has at least 1, 2, ... hits, shape ``(sensors, MOST_HITS)``.
        cuts: Scores from which on it has, same shape.
        profile: What the cells of a sensor have more of than their mean, by row and column, in scores, shape
            ``(sensors, rows, columns)``.
    """

    texture = True
    exceed: Tensor
    profile: Tensor

    def __init__(self, canvas: Canvas, library: int) -> None:
        super().__init__(canvas, 2)
        sensors = canvas.array.sensors
        self.upsampler = Upsampler(canvas, MOST_HITS, library)
        self.register_buffer("exceed", torch.full((sensors, MOST_HITS), 0.5))
        self.register_buffer("profile", torch.zeros(sensors, canvas.rows, canvas.columns))
        self.cuts = nn.Parameter(torch.zeros(sensors, MOST_HITS))

    @torch.no_grad()
    def fit(self, stream: Iterable[Batch]) -> None:
        """Measure the probabilities and keep contents of cells for the upsampler, see ``ImageCoding.fit``."""
        counts = torch.zeros(self.exceed.shape, dtype=torch.float64)
        filled = torch.zeros(self.profile.numel(), dtype=torch.float64)
        kept: list[CellContents] = []
        weights = 0.0
        for batch in stream:
            step = -(-int(batch.target.objects[HITS].mask.sum()) // self.upsampler.capacity)
            for event in batch.chunks(1):
                weight = float(event.weight)
                if weight > 0.0:
                    contents = contents_of(hits_of(event.target), self.canvas)
                    counts += weight * self._exceeding(contents)
                    filled[contents.place] += weight
                    weights += weight
                    kept.append(contents.every(step))
        weights = max(weights, _RAREST)
        self.exceed.copy_((counts / (weights * self.canvas.rows * self.canvas.columns)).clamp(_RAREST, 1.0 - _RAREST))
        self.cuts.copy_(_score(self.exceed).neg())
        filled = filled.view(self.profile.shape) / weights
        rows, columns, every = (_score(filled.mean(sides, keepdim=True)) for sides in ((2,), (1,), (1, 2)))
        self.profile.copy_(rows + columns - 2.0 * every)
        self.upsampler.fit(kept)

    def encode(self, hits: Hits, rng: np.random.Generator) -> Tensor:
        """Pool the hits; those of equal charge have a random rank, see ``ImageCoding.encode``."""
        canvas, device = self.canvas, self.exceed.device
        contents = contents_of(hits, canvas)
        place, size, total = (values.to(device) for values in (contents.place, contents.size, contents.total))
        cells = canvas.rows * canvas.columns
        sensor = place // cells % canvas.array.sensors
        heights = self._heights()
        images = torch.zeros(2, hits.events, canvas.array.sensors, cells, device=device)
        images[0] = heights[:, :1]
        noise = torch.from_numpy(rng.random(len(place), dtype=np.float32)).to(device)
        images[0].view(-1)[place] = heights[sensor, size.clamp(max=MOST_HITS)]
        images[1].view(-1)[place] = _score(self.upsampler.rank(size, total, noise))
        return images.permute(1, 2, 0, 3).reshape(*images.shape[1:3], 2, canvas.rows, canvas.columns)

    def shown(self, made: Tensor) -> Tensor:
        """Show scores as numbers of hits, with the gradient of their mean under a little noise of the scores.

        See ``ImageCoding.shown``.
        """
        score = made[:, :, 0] + self.profile
        size, heights, cuts = self._sizes(score), self._heights(), self._sorted_cuts()
        hard = _of_sensor(heights, size)
        steps = functional.pad(heights.diff(dim=1), (1, 1))
        edges = functional.pad(cuts, (1, 1))
        slope = torch.zeros_like(hard)
        with torch.no_grad():
            for one in (size, size + 1):  # the cuts on either side
                away = (score - _of_sensor(edges, one)) / _SMEARING
                slope += _of_sensor(steps, one) * (-0.5 * away**2).exp() / (_SMEARING * math.sqrt(2.0 * math.pi))
        number = hard + slope * (score - score.detach())
        return torch.stack([number, made[:, :, 1] * (size > 0)], dim=2)

    @torch.no_grad()
    def decode(self, made: Tensor) -> Hits:
        """Fill the cells by the upsampler, see ``ImageCoding.decode``."""
        size = self._sizes(made[:, :, 0] + self.profile).flatten()
        place = size.nonzero()[:, 0]
        rank = torch.special.ndtr(made[:, :, 1].flatten()[place])
        hits: Hits = self.upsampler(place, size[place], rank, len(made))
        return hits

    def calibration_loss(self, made: Tensor) -> Tensor:
        """Return the loss whose minimum are the cuts that give every sensor its true probabilities.

        Args:
            made: Scores that a generator made, shape ``(events, sensors, 2, rows, columns)``.

        Returns:
            Shape ``(events,)``.

        References:
            Koenker and Bassett, Regression quantiles (1978), the check function.
        """
        scores = (made[:, :, 0] + self.profile).flatten(2).detach().sort(dim=2).values
        cells, cuts = scores.shape[2], self.cuts.expand(len(made), -1, -1)
        below = torch.searchsorted(scores, cuts.detach().contiguous())
        sums = torch.cat([torch.zeros_like(scores[:, :, :1]), scores.cumsum(dim=2)], dim=2)
        # The mean of (score - cut) (1 - exceed) - min(score - cut, 0), without a table of scores by cuts.
        above = (sums[:, :, -1:] / cells - cuts) * (1.0 - self.exceed)
        return (above - (sums.gather(2, below) - below * cuts) / cells).sum(dim=(1, 2))

    def _sorted_cuts(self) -> Tensor:
        return self.cuts.detach().cummax(dim=1).values

    def _sizes(self, score: Tensor) -> Tensor:
        """Return numbers of hits of scores of shape ``(events, sensors, rows, columns)``."""
        cuts = self._sorted_cuts().expand(len(score), -1, -1).contiguous()
        return torch.searchsorted(cuts, score.detach().flatten(2).contiguous(), right=True).view(score.shape)

    def _heights(self) -> Tensor:
        """Return the mean score of cells with 0, 1, ... hits, shape ``(sensors, MOST_HITS + 1)``."""
        density = functional.pad((-0.5 * _score(self.exceed) ** 2).exp() / math.sqrt(2.0 * math.pi), (1, 1))
        edges = functional.pad(functional.pad(self.exceed, (1, 0), value=1.0), (0, 1))
        inside = -edges.diff(dim=1)
        # Where a number of hits is too rare for its probability, its lower edge stands for the mean.
        low = functional.pad(_score(self.exceed).neg(), (1, 0), value=-_SCORE_OF_RAREST)
        return torch.where(inside > _RAREST, -density.diff(dim=1) / inside.clamp(min=_RAREST), low)

    def _exceeding(self, contents: CellContents) -> Tensor:
        """Count the cells with at least 1, 2, ... hits by sensor."""
        sensor = contents.place // (self.canvas.rows * self.canvas.columns)
        kind = sensor * MOST_HITS + contents.size.clamp(max=MOST_HITS) - 1
        found = torch.bincount(kind, minlength=self.exceed.numel()).reshape(self.exceed.shape)
        return found.flip(1).cumsum(1).flip(1)


def _score(probability: Tensor) -> Tensor:
    result: Tensor = torch.special.ndtri(probability.clamp(_RAREST, 1.0 - _RAREST))
    return result


def _of_sensor(table: Tensor, number: Tensor) -> Tensor:
    """Look up numbers of shape ``(events, sensors, rows, columns)`` in a table of each sensor."""
    found: Tensor = table.expand(len(number), -1, -1).gather(2, number.flatten(2)).view(number.shape)
    return found
