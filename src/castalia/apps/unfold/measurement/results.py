"""The numbers of a measurement as ``metrics.json`` holds them, and what the gate says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from castalia.apps.unfold.measurement.repeated import MethodResult
from castalia.apps.unfold.measurement.verdicts import PARTS, SMALLEST_P, Measured, Refolded
from castalia.apps.unfold.refolding import RefoldingTest
from castalia.metrics.chi_squared import ChiSquared

__all__ = ["gate_reasons", "metrics_of"]


def metrics_of(
    found: Sequence[Measured], folded: Sequence[Refolded], counts: Mapping[str, Any], reasons: Sequence[str]
) -> dict[str, Any]:
    """Return everything that is measured, as JSON values.

    Args:
        found: Spectra of all observables by all methods.
        folded: Refolded results.
        counts: Events by sample.
        reasons: What the gate says.
    """
    observables: dict[str, dict[str, Any]] = {}
    for one in found:
        observables.setdefault(one.observable, {})[one.result.method] = _spectrum(one)
    return {
        "observables": observables,
        "passes": {one.result.name: _passes(one.result) for one in folded},
        "refolding": {
            one.result.name: {
                "observables": _refolding(one.result.observables, one.own),
                "further": None if one.further is None else _refolding(one.names, one.further),
            }
            for one in folded
        },
        "counts": dict(counts),
        "gate": {"passed": not reasons, "reasons": list(reasons)},
    }


def gate_reasons(folded: Sequence[Refolded]) -> tuple[str, ...]:
    """Return why results are refused, one sentence each: what was unfolded must look like the data again."""
    return tuple(
        f"{one.result.name}: refolded, it does not look like the data (p = {one.own.p_value:.2g} over "
        f"{', '.join(one.result.observables)})."
        for one in folded
        if one.own.p_value < SMALLEST_P
    )


def _spectrum(one: Measured) -> dict[str, Any]:
    return {
        "edges": one.spectrum.edges.tolist(),
        "contents": one.spectrum.contents.tolist(),
        "errors": {part: one.errors(part).tolist() for part in PARTS},
        "covariance": {part: one.covariances[part].tolist() for part in PARTS},
        "covariance_by_source": {source: matrix.tolist() for source, matrix in one.spectrum.covariances.items()},
        "simulation": one.simulated.tolist(),
        "truth": None if one.truth is None else one.truth.tolist(),
        "against_truth": _chi_squared(one.against_truth),
        "bottom_line": None
        if one.line is None
        else {
            "detector": _chi_squared(one.line.smeared),
            "unfolded": _chi_squared(one.line.unfolded),
            "passed": one.line.passed,
        },
    }


def _chi_squared(one: ChiSquared | None) -> dict[str, float] | None:
    return None if one is None else {"value": one.value, "degrees": one.degrees, "p_value": one.p_value}


def _passes(result: MethodResult) -> dict[str, Any]:
    return {
        "changes": {name: result.changes[:, i].tolist() for i, name in enumerate(result.observables)},
        "stopped_after": result.stopped,
        "settled": result.settled,
    }


def _refolding(names: Sequence[str], test: RefoldingTest) -> dict[str, Any]:
    return {
        "p_value": test.p_value,
        "p_values": dict(zip(names, test.p_values.tolist(), strict=True)),
        "rate": test.rate,
    }
