"""The result that all unfolding methods share: events with draws of their truth, weights, and what their errors are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import JsonValue

from castalia.errors import DataError
from castalia.metrics.spectrum import Spectrum, binned, checked_edges, spread_covariance, variation_covariance

__all__ = ["BinCovariance", "Quantity", "Replica", "ReplicaKind", "TruthColumn", "UnfoldedSample"]

Array = NDArray[np.float64]
Quantity: TypeAlias = str | Callable[[Mapping[str, Array]], Array]
"""A truth column's name, or a function of all columns, each of shape ``(events, draws)``, to one of that shape."""
ReplicaKind: TypeAlias = Literal["bootstrap", "ensemble", "systematic"]


@dataclass(frozen=True)
class TruthColumn:
    """A truth-level quantity: its name, and its unit or nothing for a pure number."""

    name: str
    unit: str = ""


@final
@dataclass(frozen=True, eq=False)
class Replica:
    """The result once more, under changed circumstances; what is ``None`` is as in the nominal result.

    Attributes:
        source: What was changed, such as ``"data"`` or ``"jet energy scale"``; replicas of one source are taken
            together.
        kind: ``"bootstrap"`` repeats the measurement and so contains the statistics of the events, ``"ensemble"``
            repeats the training on the same events, ``"systematic"`` shifts something by one standard deviation.
        weights: Event weights, shape ``(events,)``.
        draw_weights: Weights of the draws, shape ``(events, draws)``.
        values: Draws, shape ``(events, draws, columns)``.
    """

    source: str
    kind: ReplicaKind
    weights: Array | None = None
    draw_weights: Array | None = None
    values: Array | None = None


@final
@dataclass(frozen=True, eq=False)
class BinCovariance:
    """A covariance that the method itself gives for certain bins of one column.

    Attributes:
        column: The column.
        edges: Its bin edges, shape ``(bins + 1,)``.
        covariance: Shape ``(bins, bins)``.
    """

    column: str
    edges: Array
    covariance: Array


@final
@dataclass(frozen=True, eq=False)
class UnfoldedSample:
    """Unfolded events, whatever the method.

    Of a generative model: measured events, each with draws from its posterior. Of a reweighting (OmniFold, iterative
    Bayesian unfolding): simulated events, each with its truth as the only draw.

    Attributes:
        columns: The truth-level quantities.
        values: Draws of them, shape ``(events, draws, columns)``, in the columns' units.
        weights: Event weights of either sign, shape ``(events,)``.
        draw_weights: Relative weights of an event's draws, not negative, shape ``(events, draws)``; ``None`` where all
            are equal.
        replicas: The result under changed circumstances.
        bin_covariances: What the method says of certain bins; it stands there for the statistics of the events.
        inputs: SHA-256 by input file.
        model: Hash of the model, empty where there is none.
        provenance: JSON values by name: method, seed, configuration, and so on.
    """

    columns: tuple[TruthColumn, ...]
    values: Array
    weights: Array
    draw_weights: Array | None = None
    replicas: tuple[Replica, ...] = ()
    bin_covariances: tuple[BinCovariance, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    provenance: Mapping[str, JsonValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together.

        Raises:
            DataError: If a shape is wrong, a number is not finite, or weights of draws or bin edges make no sense.
        """
        events, draws = np.shape(self.values)[:2] if np.ndim(self.values) == 3 else (0, 0)
        if events * draws * len(self.columns) == 0:
            raise DataError(
                f"an unfolded sample has values of shape {np.shape(self.values)} for {len(self.columns)} columns; "
                "give (events, draws, columns), at least one of each."
            )
        shapes = {"values": (events, draws, len(self.columns)), "weights": (events,), "draw_weights": (events, draws)}
        for owner, where in ((self, ""), *((r, f" of replica '{r.source}'") for r in self.replicas)):
            for name, shape in shapes.items():
                _check(getattr(owner, name), shape, f"{name}{where}")
        for one in self.bin_covariances:
            bins = len(checked_edges(one.edges)) - 1
            _check(one.covariance, (bins, bins), f"covariance of column '{one.column}'")
        kinds = {(replica.source, replica.kind) for replica in self.replicas}
        if len({source for source, _ in kinds}) < len(kinds):
            raise DataError("the replicas of one source are of different kinds; give each source one kind.")

    def histogram(self, quantity: Quantity, edges: ArrayLike) -> Spectrum:
        """Fill a histogram of a column or of a function of the columns, with all errors that the sample knows.

        Args:
            quantity: What to fill.
            edges: Increasing bin edges, shape ``(bins + 1,)``.

        Returns:
            The histogram. Its covariance has the part ``"statistics"``, unless the method gives one for these bins or
            there are bootstrap replicas, which contain it, and one part for each source of replicas.

        Raises:
            DataError: If there is no such column, or a source of random replicas has only one.
        """
        limits = checked_edges(edges)
        contents, statistics = self._filled(Replica("nominal", "bootstrap"), quantity, limits)
        sources: dict[tuple[str, ReplicaKind], list[Array]] = {}
        for replica in self.replicas:
            filled = self._filled(replica, quantity, limits)[0]
            sources.setdefault((replica.source, replica.kind), []).append(filled)
        covariances = {
            source: variation_covariance(filled, contents) if kind == "systematic" else spread_covariance(filled)
            for (source, kind), filled in sources.items()
        }
        given = [
            one.covariance
            for one in self.bin_covariances
            if one.column == quantity and np.array_equal(one.edges, limits)
        ]
        if given:
            bootstraps = {source for source, kind in sources if kind == "bootstrap"}
            covariances = {source: c for source, c in covariances.items() if source not in bootstraps}
            covariances["method"] = given[0]
        elif "bootstrap" not in {kind for _, kind in sources}:
            covariances["statistics"] = statistics
        return Spectrum(limits, contents, covariances)

    def replicated(self, source: str, quantity: Quantity, edges: ArrayLike) -> Array:
        """Fill the histogram once for each replica of a source; return the contents, shape ``(replicas, bins)``."""
        limits = checked_edges(edges)
        found = [self._filled(one, quantity, limits)[0] for one in self.replicas if one.source == source]
        return np.reshape(found, (len(found), len(limits) - 1))

    def _filled(self, replica: Replica, quantity: Quantity, edges: Array) -> tuple[Array, Array]:
        """Return contents and statistical covariance of a replica."""
        values = self.values if replica.values is None else replica.values
        weights = self.weights if replica.weights is None else replica.weights
        shares = self.draw_weights if replica.draw_weights is None else replica.draw_weights
        if shares is None:
            shares = np.ones(values.shape[:2])
        shares = weights[:, None] * shares / shares.sum(axis=1, keepdims=True)
        return binned(self._of(quantity, values), shares, edges)

    def _of(self, quantity: Quantity, values: Array) -> Array:
        named = {column.name: values[:, :, i] for i, column in enumerate(self.columns)}
        if not isinstance(quantity, str):
            return quantity(named)
        if quantity not in named:
            raise DataError(f"the unfolded sample has no column '{quantity}'; it has {', '.join(named)}.")
        return named[quantity]


def _check(array: Any, shape: tuple[int, ...], name: str) -> None:
    if array is None:
        return
    if np.shape(array) != shape:
        raise DataError(f"{name}: has shape {np.shape(array)} instead of {shape}; give one number for each.")
    if not np.isfinite(array).all():
        raise DataError(f"{name}: has {int((~np.isfinite(array)).sum())} values that are NaN or infinite; mend them.")
    if name.startswith("draw_weights") and ((array < 0.0).any() or (array.sum(axis=1) <= 0.0).any()):
        raise DataError(f"{name}: some are negative, or all of an event are zero; give each event a draw that counts.")
