"""Integer variables in a continuous model: value ``k`` stands for the cell ``[k, k + 1)``.

Training adds uniform noise (dequantisation), sampling takes the lower edge of the cell, and the probability of a value
is the model's density integrated over its cell, so that the probabilities of all values sum to one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["unit_cells"]

_MOST_NODES = 256


def unit_cells(variables: int, integers: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the Gauss-Legendre nodes that integrate a density over the unit cells of its integer variables.

    Sixteen nodes for one integer variable, fewer a variable for more of them, never above 256 in all (and never below
    one a variable); without integers the one node is the point itself.

    Args:
        variables: Number of variables, ``T``.
        integers: Which of them are integers.

    Returns:
        Offsets from the lower edges, shape ``(nodes, T)``, zero for continuous variables; log-weights, ``(nodes,)``.
    """
    if not integers:
        return torch.zeros(1, variables), torch.zeros(1)
    per_variable = max(1, min(16, math.floor(_MOST_NODES ** (1 / len(integers)))))
    nodes, weights = np.polynomial.legendre.leggauss(per_variable)
    grid = np.array(list(itertools.product((nodes + 1) / 2, repeat=len(integers))))
    mass = np.array(list(itertools.product(weights / 2, repeat=len(integers)))).prod(axis=1)
    offsets = np.zeros((len(grid), variables))
    offsets[:, list(integers)] = grid
    dtype = torch.get_default_dtype()
    return torch.as_tensor(offsets, dtype=dtype), torch.as_tensor(np.log(mass), dtype=dtype)
