"""Changes of images that a discriminator may be shown, of true and generated ones alike."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["translated"]


def translated(images: Tensor, most: int, rng: np.random.Generator) -> Tensor:
    """Shift every event by a few cells along both sides; what leaves on one side enters on the other.

    The sensors of an event are shifted together, so that what they have in common stays. Flips are left out: a sensor
    has no mirror image. Along u, Lorentz drift and the windmill give hits a sense; along v, one end is the outer one
    and the pitch changes. Shown each way half of the time, a generator would learn both.

    Args:
        images: Shape ``(events, sensors, channels, rows, columns)``.
        most: Largest shift in cells.
        rng: Random numbers.

    References:
        Zhao et al., Differentiable augmentation for data-efficient GAN training (arXiv:2006.10738); Karras et al.,
        Training generative adversarial networks with limited data (arXiv:2006.06676), section 2.2, on what leaks.
    """
    if most == 0:
        return images
    shifts = rng.integers(-most, most + 1, size=(len(images), 2)).tolist()
    return torch.stack([one.roll(shift, dims=(-2, -1)) for one, shift in zip(images, shifts, strict=True)])
