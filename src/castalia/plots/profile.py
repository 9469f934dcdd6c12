"""Profiles of the likelihood: twice its loss against one parameter, the others fitted again at each value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.grid import axes_grid
from castalia.plots.style import BAND, MODELS, TARGET, add_legend, axis_label, drawing

__all__ = ["ProfileCurve", "profile_grid"]

_STANDARD = (1.0, 4.0)  # one and two standard deviations of one parameter where the likelihood is Gaussian (Wilks)


@dataclass(frozen=True)
class ProfileCurve:
    """One parameter.

    Attributes:
        name: Name of the parameter, mathematics allowed.
        unit: Its unit, empty for a pure number.
        values: Increasing values of the parameter, shape ``(points,)``.
        rise: Twice the negative log-likelihood above its minimum, shape ``(points,)``.
        best: Value at the minimum.
        interval: Ends of the 68 % interval; NaN at an end that was not found.
        threshold: Rise that pseudo-experiments ask for at 68 %, instead of 1; None where it was not calibrated.
        truth: True value; None where it is not known.
    """

    name: str
    unit: str
    values: NDArray[np.float64]
    rise: NDArray[np.float64]
    best: float
    interval: tuple[float, float]
    threshold: float | None = None
    truth: float | None = None


def profile_grid(curves: Sequence[ProfileCurve], tag: str = "") -> Figure:
    """Draw one profile a parameter, three in a row.

    Args:
        curves: At least one.
        tag: Words after the program's name, such as the scenario.

    Raises:
        DataError: If there is no curve, or one does not have a rise for each value.
    """
    if not curves:
        raise DataError("a profile needs a parameter; there is none.")
    with drawing():
        figure, every = axes_grid(len(curves), 3.7, tag, (6.2, 3.7))
        for curve, axes in zip(curves, every, strict=True):
            _draw(curve, axes)
        add_legend(figure, figure.axes[0])
    return figure


def _draw(curve: ProfileCurve, axes: Axes) -> None:
    if len(curve.values) != len(curve.rise) or len(curve.values) < 2:
        raise DataError(
            f"the profile of {curve.name} has {len(curve.rise)} values of the likelihood for {len(curve.values)} of "
            "the parameter; give one for each of two or more."
        )
    low, high = curve.interval
    if np.isfinite(low) and np.isfinite(high):
        axes.axvspan(low, high, color=BAND, alpha=0.45, linewidth=0.0, label="68 % interval")
    for level in _STANDARD:
        axes.axhline(level, color=TARGET, linewidth=0.8, linestyle=":")
    if curve.threshold is not None:
        axes.axhline(curve.threshold, color=MODELS[1], linewidth=1.0, linestyle="--", label="Calibrated 68 %")
    axes.plot(curve.values, curve.rise, color=MODELS[0], label="Profile")
    axes.axvline(curve.best, color=TARGET, linewidth=1.0, label="Best fit")
    if curve.truth is not None:
        axes.axvline(curve.truth, color=MODELS[1], linewidth=1.2, linestyle="-.", label="True value")
    axes.set_xlim(float(curve.values[0]), float(curve.values[-1]))
    # Up to nine: what lies above three standard deviations says nothing about the interval.
    finite = curve.rise[np.isfinite(curve.rise)]
    axes.set_ylim(0.0, float(np.clip(finite.max(initial=0.0), 4.8, 9.0)))
    axes.set_xlabel(axis_label(curve.name, curve.unit))
    axes.set_ylabel(r"$2\,\Delta\,\mathrm{NLL}$")
