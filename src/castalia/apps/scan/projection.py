"""The binned projection of a fit: on the observable that tells signal from background best, as a pyhf workspace."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from castalia.apps.scan.expected import ExpectedPart
from castalia.apps.scan.workspace import (
    BinnedTests,
    Template,
    binned_tests,
    build_workspace,
    projection_edges,
    template,
)
from castalia.errors import CastaliaError, DataError

__all__ = ["project", "tests_of"]

log = logging.getLogger(__name__)

Array = NDArray[np.float64]


def project(
    names: Sequence[str],
    observed: Array,
    weights: Array | None,
    parts: Sequence[ExpectedPart],
    background_yield: tuple[float, float | None] | None,
) -> dict[str, JsonValue]:
    """Write the workspace of the observable with the largest expected significance, ``sum s² / b`` over its bins.

    Args:
        names: Names of the observables.
        observed: Observed events, shape ``(events, observables)``.
        weights: Their weights, shape ``(events,)``; ``None`` for ones.
        parts: Background, where there is one, and signal at the fitted parameters.
        background_yield: Mean and standard deviation of the constraint of the background's yield; ``None``, or without
            the latter, where the events alone decide it. With a constraint the template has its mean: the fitted
            yield already knows the events, and they may not count twice.

    Raises:
        DataError: If every observable has one value only.
    """
    total = sum(part.expected for part in parts)
    shares = [part.expected / total for part in parts]
    yields: list[tuple[float, float | None]] = [(parts[-1].expected, 0.0)]
    if len(parts) > 1:
        yields.insert(0, _background(parts[0].expected, background_yield))
    best: tuple[float, str, Array, list[Template]] | None = None
    for column, name in enumerate(names):
        # As many of each part as it is expected to be, so that every bin has equally many expected events.
        most = min(len(part.events) / share for part, share in zip(parts, shares, strict=True) if share > 0.0)
        mixed = [
            part.events[: round(most * share), column] for part, share in zip(parts, shares, strict=True) if share > 0.0
        ]
        values = np.concatenate(mixed)
        if np.ptp(values) == 0.0:
            continue  # it tells nothing from nothing
        edges = projection_edges(values, total)
        templates = [
            template(part.events[:, column], edges, expected, error)
            for part, (expected, error) in zip(parts, yields, strict=True)
        ]
        power = _power(templates)
        if best is None or power > best[0]:
            counted = np.histogram(np.clip(observed[:, column], edges[0], edges[-1]), edges, weights=weights)[0]
            best = power, name, counted.astype(np.float64), templates
    if best is None:
        raise DataError("every observable is expected to have one value only; there is nothing to bin.")
    _, name, counted, templates = best
    return build_workspace(name, counted, templates[-1], templates[0] if len(templates) > 1 else None)


def tests_of(workspace: dict[str, JsonValue]) -> BinnedTests | None:
    """Return pyhf's test statistics of a workspace; ``None``, with a word in the log, where it has none to give."""
    try:
        return binned_tests(workspace)
    except CastaliaError as error:
        log.warning("no test statistics of the binned projection: %s", error)
        return None


def _background(fitted: float, constraint: tuple[float, float | None] | None) -> tuple[float, float | None]:
    """Return the expected background events of the template and their relative error; ``None`` where it is free."""
    if constraint is None or constraint[1] is None:
        return fitted, None
    return constraint[0], constraint[1] / constraint[0]


def _power(templates: Sequence[Template]) -> float:
    if len(templates) < 2:
        return 0.0
    background, signal = templates[0].content, templates[-1].content
    return float(np.sum(np.square(signal) / np.maximum(background, 1.0)))
