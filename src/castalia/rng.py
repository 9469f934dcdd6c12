"""Counter-based random streams: a stream is a function of (run seed, purpose, unit, counter), and of nothing else.

Two different (seed, purpose, unit) give unrelated keys of the Philox counter-based bit generator; two counters of one
stream start 2**192 draws apart. No global state is seeded, so results depend neither on the order of the work nor on
the number of workers.

References:
    Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC11).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

__all__ = ["Stream"]


@dataclass(frozen=True)
class Stream:
    """A family of random sequences, one per counter.

    Attributes:
        seed: The run's seed.
        purpose: What the numbers are for, such as ``"training order"``; different purposes are independent.
        unit: The unit of work or component they belong to; empty where there is one only.
    """

    seed: int
    purpose: str
    unit: str = ""

    def at(self, counter: int = 0) -> np.random.Generator:
        """Return the sequence of one ``counter`` (a step, an epoch, a batch), from its beginning."""
        key = np.frombuffer(self._digest(16), dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, 0, counter], dtype=np.uint64)))

    def integer(self, below: int, counter: int = 0) -> int:
        """Return one integer in ``[0, below)``, for libraries that take a seed of their own."""
        return int(self.at(counter).integers(below))

    def _digest(self, size: int) -> bytes:
        text = f"{self.seed}\x1f{self.purpose}\x1f{self.unit}"
        return hashlib.blake2b(text.encode(), digest_size=size).digest()
