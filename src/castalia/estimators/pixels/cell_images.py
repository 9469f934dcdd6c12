"""Events as coarse images: how many hits a cell has and how much charge, as numbers that are normal in truth."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

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
_PROFILE_EVENTS = 200


@final
class CellImages(ImageCoding):
    """Two channels: the normal score of a cell's number of hits, and that of its charge given this number.

    A score is the normal quantile of the cumulative probability, drawn evenly within the step of a whole number. The
    probabilities are each sensor's own over all training events; what its rows and columns then have more or less is
    taken off. So over the training events every sensor is about standard normal, and what an event has more than usual
    is an offset. Back, a cell has as many hits as its
    sensor's ``cuts`` lie below its score. Training may move the cuts for a generator whose scores are not quite normal:
    a monotone map of one sensor's own cells, the same for all events, which can make no sensor know of another.

    Args:
        canvas: The grid.
        library: Hits of training cells that the upsampler keeps.

    Attributes:
        exceed: Probability that a cell of a sensor has at least 1, 2, ... hits, shape ``(sensors, MOST_HITS)``.
        cuts: Scores from which on it has, same shape.
        profile: What the cells of a sensor have more of than its mean, by row and column, shape
            ``(sensors, 2, rows, columns)``.
    """

    texture = True
    exceed: Tensor
    profile: Tensor

    def __init__(self, canvas: Canvas, library: int) -> None:
        super().__init__(canvas, 2)
        self.upsampler = Upsampler(canvas, MOST_HITS, library)
        self.register_buffer("exceed", torch.full((canvas.array.sensors, MOST_HITS), 0.5))
        self.register_buffer("profile", torch.zeros(canvas.array.sensors, 2, canvas.rows, canvas.columns))
        self.cuts = nn.Parameter(torch.zeros(canvas.array.sensors, MOST_HITS))

    def fit(self, stream: Iterable[Batch]) -> None:
        """Measure the probabilities and keep contents of cells for the upsampler, see ``ImageCoding.fit``."""
        counts = torch.zeros(self.exceed.shape, dtype=torch.float64)
        kept: list[CellContents] = []
        weights = 0.0
        batches = list(stream)
        for batch in batches:
            step = -(-int(batch.target.objects[HITS].mask.sum()) // self.upsampler.capacity)
            for event in batch.chunks(1):
                weight = float(event.weight)
                if weight > 0.0:
                    contents = contents_of(hits_of(event.target), self.canvas)
                    counts += weight * self._exceeding(contents)
                    weights += weight
                    kept.append(contents.every(step))
        cells = max(weights, _RAREST) * self.canvas.rows * self.canvas.columns
        with torch.no_grad():
            self.exceed.copy_((counts / cells).clamp(_RAREST, 1.0 - _RAREST))
            self.cuts.copy_(-torch.special.ndtri(self.exceed))
        self.upsampler.fit(kept)
        self.profile.zero_()
        first = batches[0].map(lambda values: values[:_PROFILE_EVENTS])
        rng = np.random.default_rng(0)  # within a step of whole numbers: means hardly depend on it
        mean = torch.stack([self.encode(hits_of(one.target), rng)[0] for one in first.chunks(1)]).mean(dim=0)
        rows, columns, every = mean.mean(3, keepdim=True), mean.mean(2, keepdim=True), mean.mean((2, 3), keepdim=True)
        self.profile.copy_(rows + columns - 2.0 * every)

    @torch.no_grad()
    def encode(self, hits: Hits, rng: np.random.Generator) -> Tensor:
        """Pool the hits, see ``ImageCoding.encode``."""
        canvas, device = self.canvas, self.cuts.device
        contents = contents_of(hits, canvas)
        place, size, total = (values.to(device) for values in (contents.place, contents.size, contents.total))
        shape = (hits.events, canvas.array.sensors, 2, canvas.rows * canvas.columns)
        even = torch.from_numpy(rng.random(shape, dtype=np.float32)).to(device)
        sensor = place // shape[-1]
        event, own, cell = sensor // shape[1], sensor % shape[1], place % shape[-1]
        # The upper tail: from the probability of more hits to that of at least as many.
        edges = torch.cat([torch.ones_like(self.exceed[:, :1]), self.exceed, torch.zeros_like(self.exceed[:, :1])], 1)
        kind = size.clamp(max=MOST_HITS)
        upper = edges[:, 1][None, :, None] + even[:, :, 0] * (1.0 - edges[:, 1])[None, :, None]
        low, high = edges[own, kind + 1], edges[own, kind]
        upper[event, own, cell] = low + even[event, own, 0, cell] * (high - low)
        rank = even[:, :, 1].clone()
        rank[event, own, cell] = self.upsampler.rank(size, total, even[event, own, 1, cell]).to(rank)
        scores = torch.special.ndtri(torch.stack([1.0 - upper, rank], dim=2).clamp(_RAREST, 1.0 - _RAREST))
        return scores.unflatten(-1, (canvas.rows, canvas.columns)) - self.profile

    @torch.no_grad()
    def decode(self, images: Tensor, rng: np.random.Generator) -> Hits:
        """Fill the cells by the upsampler, see ``ImageCoding.decode``."""
        del rng
        scores = (images + self.profile).flatten(3)
        cuts = self.cuts.cummax(dim=1).values
        size = torch.searchsorted(
            cuts.expand(len(images), -1, -1).contiguous(), scores[:, :, 0].contiguous(), right=True
        )
        size = size.flatten()
        place = size.nonzero()[:, 0]
        rank = torch.special.ndtr(scores[:, :, 1].flatten()[place])
        hits: Hits = self.upsampler(place, size[place], rank, len(images))
        return hits

    def calibration_loss(self, images: Tensor) -> Tensor:
        """Return the loss whose minimum are the cuts that give every sensor its true probabilities.

        Args:
            images: Generated images, shape ``(events, sensors, 2, rows, columns)``.

        Returns:
            Shape ``(events,)``.

        References:
            Koenker and Bassett, Regression quantiles (1978), the check function.
        """
        scores = (images + self.profile)[:, :, 0].flatten(2).detach().sort(dim=2).values
        cells, cuts = scores.shape[2], self.cuts.expand(len(images), -1, -1)
        below = torch.searchsorted(scores, cuts.detach().contiguous())
        sums = torch.cat([torch.zeros_like(scores[:, :, :1]), scores.cumsum(dim=2)], dim=2)
        # The mean of (score - cut) (1 - exceed) - min(score - cut, 0), without a table of scores by cuts.
        above = (sums[:, :, -1:] / cells - cuts) * (1.0 - self.exceed)
        return (above - (sums.gather(2, below) - below * cuts) / cells).sum(dim=(1, 2))

    def _exceeding(self, contents: CellContents) -> Tensor:
        """Count the cells with at least 1, 2, ... hits by sensor."""
        sensor = contents.place // (self.canvas.rows * self.canvas.columns)
        kind = sensor * MOST_HITS + contents.size.clamp(max=MOST_HITS) - 1
        found = torch.bincount(kind, minlength=self.exceed.numel()).reshape(self.exceed.shape)
        return found.flip(1).cumsum(1).flip(1)
