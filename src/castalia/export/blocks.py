"""The blocks of a flow as graphs, in both directions."""

from __future__ import annotations

from torch import nn

from castalia.errors import ConfigError
from castalia.estimators.flow_matching.continuous import ContinuousBlock
from castalia.estimators.flows.autoregressive import AutoregressiveBlock
from castalia.estimators.flows.chain import Chain
from castalia.estimators.flows.conditional_affine import ConditionalAffine
from castalia.estimators.flows.coupling import CouplingBlock
from castalia.estimators.flows.permutation import Permutation
from castalia.estimators.flows.triangular import TriangularLinear
from castalia.export.continuous import continuous_forward, continuous_inverse
from castalia.export.graph import Value
from castalia.export.networks import evaluate, evaluate_masked, linear, solve_masked
from castalia.export.univariate import map_forward, map_inverse

__all__ = ["block_forward", "block_inverse"]


def block_forward(block: nn.Module, x: Value, context: Value) -> tuple[Value, Value | None]:
    """Map towards the base distribution; see ``Block.forward``.

    Args:
        block: A block, or a chain of them.
        x: Scaled targets, shape ``(T, events)``.
        context: Encoded condition, shape ``(width, events)``.

    Returns:
        Mapped values, shape ``(T, events)``, and the log-determinant, shape ``(1, events)``; ``None`` for zero.

    Raises:
        ConfigError: If there is no graph for a block.
    """
    match block:
        case Chain():
            total: Value | None = None
            for one in block.blocks:
                x, log_determinant = block_forward(one, x, context)
                if log_determinant is not None:
                    total = log_determinant if total is None else total + log_determinant
            return x, total
        case Permutation():
            return x.rows(*block.order.tolist()), None
        case TriangularLinear():
            x = linear(block.matrix(), x)
            return x, x.rows(0) * 0.0 + block.log_determinant()
        case ContinuousBlock():
            return continuous_forward(block, x, context)
        case ConditionalAffine():
            raw = evaluate(block.network, context, block.univariate.parameters)
            x, log_slope = map_forward(block.univariate, x, raw, block.variables)
        case AutoregressiveBlock():
            raw = evaluate_masked(block.network, x, context)
            x, log_slope = map_forward(block.univariate, x, raw, block.network.variables)
        case CouplingBlock():
            kept, mapped, raw = _coupling(block, x, context)
            mapped, log_slope = map_forward(block.univariate, mapped, raw, block.mapped)
            x = x.graph.join([*kept, mapped])
        case _:
            raise _unknown(block)
    return x, log_slope.total()


def block_inverse(block: nn.Module, z: Value, context: Value) -> Value:
    """Map from the base distribution; see ``Block.inverse``. Arguments and errors as in ``block_forward``."""
    match block:
        case Chain():
            for one in reversed(list(block.blocks)):
                z = block_inverse(one, z, context)
            return z
        case Permutation():
            return z.rows(*block.back.tolist())
        case TriangularLinear():
            return linear(block.inverse_matrix(), z)
        case ContinuousBlock():
            return continuous_inverse(block, z, context)
        case ConditionalAffine():
            raw = evaluate(block.network, context, block.univariate.parameters)
            return map_inverse(block.univariate, z, raw, block.variables)
        case AutoregressiveBlock():
            network, univariate = block.network, block.univariate
            given = z.split([1] * network.variables)
            return solve_masked(network, context, lambda i, raw: map_inverse(univariate, given[i], raw, 1))
        case CouplingBlock():
            kept, mapped, raw = _coupling(block, z, context)
            return z.graph.join([*kept, map_inverse(block.univariate, mapped, raw, block.mapped)])
    raise _unknown(block)


def _coupling(block: CouplingBlock, values: Value, context: Value) -> tuple[list[Value], Value, Value]:
    """Return the kept targets (none of a single one), the mapped ones and the parameters of their maps."""
    *kept, mapped = values.split([block.kept, block.mapped])
    raw = evaluate(block.network, values.graph.join([*kept, context]), block.univariate.parameters)
    return kept, mapped, raw


def _unknown(block: nn.Module) -> ConfigError:
    return ConfigError(f"A model with a {type(block).__name__} cannot be exported; train one of the preset flows.")
