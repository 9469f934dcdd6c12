"""Where networks are evaluated for sampling: buffers of shape (features, events), and the conditions loaded into them.

Feature-major, every function and product runs along contiguous memory. The buffers are made once for a number of events
that fits the processor's cache, and serve all networks of a chain in turn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias, final

from torch import Tensor
from torch.nn import functional

from castalia.nn.embeddings import PiecewiseLinear
from castalia.nn.knots import Knots

__all__ = ["Context", "PlainContext", "Start", "TabulatedContext", "Workspace"]

Start: TypeAlias = Callable[["Workspace", Tensor], object]
"""Writes what a first layer starts from, with the conditions that are loaded, to a tensor of shape ``(units, B)``."""


@final
class Workspace:
    """Buffers of one thread for a fixed number of events, ``B``.

    Args:
        context: How networks read their context.
        variables: Number of variables, ``T``.
        events: Number of events.
        like: A tensor of the wanted precision on the wanted device.

    Attributes:
        state: What the networks' first layers see, shape ``(context.rows + T, B)``: the context's rows and
        values: below them the variables, shape ``(T, B)``.
        scaled: The loaded conditions, shape ``(B, features)``.
        places: Of a tabulated context, the rows of the table to look up,
        parts: and their weights.
    """

    def __init__(self, context: Context, variables: int, events: int, like: Tensor) -> None:
        self._context, self._like, self._events = context, like, events
        self._buffers: dict[str, Tensor] = {}
        self.state = self.buffer("state", context.rows + variables)
        self.values = self.state[context.rows :]
        self.scaled = self.places = self.parts = like.new_empty((0, 0))

    def buffer(self, name: str, rows: int) -> Tensor:
        """Return the first rows of the buffer of that name, shape ``(rows, B)``."""
        if name not in self._buffers or len(self._buffers[name]) < rows:
            self._buffers[name] = self._like.new_empty((rows, self._events))
        return self._buffers[name][:rows]

    @property
    def rows(self) -> int:
        """Rows of all buffers together."""
        return sum(len(buffer) for buffer in self._buffers.values())

    def load(self, scaled: Tensor) -> None:
        """Take the scaled conditions of the next events, shape ``(B, features)``."""
        self.scaled = scaled
        self._context.load(self)

    def encoded(self) -> Tensor:
        """Return the loaded conditions encoded, shape ``(B, C)``, for a network that is not evaluated here."""
        return self._context.encode(self.scaled)


class Context(ABC):
    """How first layers read the conditions, which all their units see.

    A first layer is linear. Its part in the conditions is what it starts from, or stands in ``rows`` rows of
    ``Workspace.state`` above the variables, to be summed up together with these.

    Attributes:
        rows: Number of rows of ``Workspace.state`` above the variables.
    """

    rows: int

    @abstractmethod
    def load(self, workspace: Workspace) -> None:
        """Read ``workspace.scaled``."""

    @abstractmethod
    def encode(self, scaled: Tensor) -> Tensor:
        """Encode scaled conditions, shape ``(B, features)`` to ``(B, C)``."""

    @abstractmethod
    def start(self, weight: Tensor, bias: Tensor) -> Start:
        """Return what a first layer starts from.

        Args:
            weight: Its weights on the encoded conditions, shape ``(units, C)``.
            bias: Its bias, shape ``(units,)``.
        """


@final
class PlainContext(Context):
    """The conditions as they are.

    Args:
        features: Number of conditions, ``C``.
    """

    def __init__(self, features: int) -> None:
        self.rows = features

    def load(self, workspace: Workspace) -> None:
        """Copy the conditions into the state."""
        workspace.state[: self.rows] = workspace.scaled.t()

    def encode(self, scaled: Tensor) -> Tensor:
        """Return the conditions."""
        return scaled

    def start(self, weight: Tensor, bias: Tensor) -> Start:
        """Start from the bias."""
        column = bias[:, None]
        return lambda workspace, out: out.copy_(column)


@final
class TabulatedContext(Context):
    """Conditions under a piecewise-linear embedding, looked up in a table of the first layer; see ``Knots``.

    Args:
        embedding: The embedding.
    """

    def __init__(self, embedding: PiecewiseLinear) -> None:
        self.rows = 0
        self._embedding, self._knots = embedding, Knots(embedding)

    def load(self, workspace: Workspace) -> None:
        """Find the knots around each condition."""
        workspace.places, workspace.parts = self._knots.locate(workspace.scaled)

    def encode(self, scaled: Tensor) -> Tensor:
        """Apply the embedding."""
        encoded: Tensor = self._embedding(scaled)
        return encoded

    def start(self, weight: Tensor, bias: Tensor) -> Start:
        """Start from the layer in the conditions alone, tabulated at the knots and interpolated."""
        table = self._knots.tabulate(weight, bias)

        def interpolate(workspace: Workspace, out: Tensor) -> None:
            parts = workspace.parts
            out.copy_(functional.embedding_bag(workspace.places, table, per_sample_weights=parts, mode="sum").t())

        return interpolate
