"""What beam background is proportional to: products of the machine's conditions, found by their names.

Two-photon pairs and radiative Bhabha events follow the luminosity; the Touschek effect the square of a ring's current
(at constant size and number of bunches); beam gas its product with the pressure; synchrotron photons the current of the
electron ring.

References:
    Natochii et al., Measured and projected beam backgrounds in the Belle II experiment at the SuperKEKB collider
    (arXiv:2302.01566), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = ["RateComponents"]

_CURRENT = "current_"


@final
@dataclass(frozen=True)
class RateComponents:
    """Products of conditions, each the source of some part of the hits, and a constant.

    Attributes:
        names: Names of the components, the constant first.
        powers: Exponent of each condition in each component, shape ``(components, conditions)``.
    """

    names: tuple[str, ...]
    powers: NDArray[np.int64]

    @classmethod
    def of(cls, conditions: Sequence[str]) -> RateComponents:
        """Choose the components that the names of the conditions allow; an unknown condition enters linearly.

        Args:
            conditions: Names; may be empty.
        """
        rings = [name for name in conditions if name.startswith(_CURRENT)]
        factors: list[tuple[str, ...]] = [()]
        factors += [(ring, ring) for ring in rings]
        if "pressure" in conditions and rings:
            factors += [(ring, "pressure") for ring in rings]
        else:
            factors += [(ring,) for ring in rings]
        electrons = [f"{_CURRENT}her"] if f"{_CURRENT}her" in conditions else rings[:1]
        used = {*rings, "pressure"} if rings else set()
        for name in conditions:
            if name == "synchrotron":
                factors.append((name, *electrons))
            elif name not in used:
                factors.append((name,))
        powers = [[one.count(name) for name in conditions] for one in factors]
        names = tuple(" x ".join(one) or "constant" for one in factors)
        return cls(names, np.array(powers, dtype=np.int64).reshape(len(factors), len(conditions)))

    def __call__(self, condition: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate the components.

        Args:
            condition: Shape ``(events, conditions)``; what is negative counts as zero.

        Returns:
            Shape ``(events, components)``, not negative.
        """
        bounded = np.maximum(condition, 0.0)
        return np.asarray(np.prod(bounded[:, None, :] ** self.powers, axis=2), dtype=np.float64)
