"""The hits of each sensor as one vector, whatever their order and number."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from castalia.estimators.pixels.hits import Hits, SensorArray
from castalia.nn.mlp import MLP

__all__ = ["SetEncoder"]


@final
class SetEncoder(nn.Module):
    """A network on each hit, their mean by sensor, and a network on that and on what else is known of the sensor.

    A sensor without hits has the mean zero.

    Args:
        array: The array of sensors.
        context: Number of things known of a sensor.
        width: Features of a sensor's vector.

    References:
        Zaheer et al., Deep sets (arXiv:1703.06114).
    """

    def __init__(self, array: SensorArray, context: int, width: int) -> None:
        super().__init__()
        self.array = array
        self.each = MLP(3, width, (width,), activation="silu")
        self.together = MLP(width + context, width, (width,), activation="silu")

    def forward(self, hits: Hits, context: Tensor) -> Tensor:
        """Encode every sensor.

        Args:
            hits: Hits of several events.
            context: Shape ``(events, sensors, context)``.

        Returns:
            Shape ``(events, sensors, width)``.
        """
        array = self.array
        scaled = (2.0 * hits.u / array.u - 1.0, 2.0 * hits.v / array.v - 1.0, torch.log(hits.charge / 16.0))
        each = self.each(torch.stack(scaled, dim=1).to(context))
        place = hits.event * array.sensors + hits.sensor
        sums = each.new_zeros(hits.events * array.sensors, each.shape[1]).index_add(0, place, each)
        counts = hits.counts(array.sensors).clamp(min=1)[..., None]
        pooled = sums.reshape(hits.events, array.sensors, -1) / counts
        result: Tensor = self.together(torch.cat([pooled, context], dim=2))
        return result
