"""The course of training: mean Wasserstein distance per epoch with its minimum so far and floor, and the loss."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.style import BAND, MODELS, STRIP, TARGET, drawing, new_figure, place

__all__ = ["history_figure"]


def history_figure(
    epochs: NDArray[np.int64],
    train_loss: NDArray[np.float64],
    validation_loss: NDArray[np.float64] | None = None,
    mean_wasserstein: NDArray[np.float64] | None = None,
    *,
    floor: tuple[float, float] | None = None,
    best_epoch: int | None = None,
    tag: str = "",
) -> Figure:
    """Draw the course of training.

    Args:
        epochs: Numbers of the epochs, increasing, shape ``(epochs,)``.
        train_loss: Mean loss per event of training events, same shape.
        validation_loss: The same of validation events; NaN where not evaluated.
        mean_wasserstein: Scaled mean Wasserstein distance on validation events; NaN where not evaluated.
        floor: The distance of truth to truth at the same size, and the standard deviation of a single one.
        best_epoch: The epoch whose weights were kept.
        tag: Words after the program's name, such as the scenario.

    Raises:
        DataError: If there is no epoch or a column's length differs.
    """
    columns = [column for column in (train_loss, validation_loss, mean_wasserstein) if column is not None]
    if len(epochs) == 0 or any(len(column) != len(epochs) for column in columns):
        raise DataError(f"the history has {len(epochs)} epochs but columns of {[len(c) for c in columns]} entries.")
    distances = mean_wasserstein if mean_wasserstein is not None and np.isfinite(mean_wasserstein).any() else None
    with drawing():
        figure = new_figure(6.6, (6.0 if distances is not None else 3.6) + STRIP, tag)
        lower = place(figure, 0.95, 0.58, 5.45, 2.0 if distances is not None else 2.9)
        if distances is not None:
            upper = place(figure, 0.95, 2.70, 5.45, 3.2, lower)
            upper.tick_params(labelbottom=False)
            _distance(upper, epochs, distances, floor, best_epoch)
        _loss(lower, epochs, train_loss, validation_loss, best_epoch)
    return figure


def _distance(
    axes: Axes,
    epochs: NDArray[np.int64],
    distances: NDArray[np.float64],
    floor: tuple[float, float] | None,
    best_epoch: int | None,
) -> None:
    known = np.isfinite(distances)
    axes.plot(epochs[known], distances[known], color=MODELS[1], marker=".", markersize=4, label="Each epoch")
    lowest = np.minimum.accumulate(distances[known])
    axes.plot(epochs[known], lowest, color=MODELS[0], drawstyle="steps-post", label="Minimum so far")
    if floor is not None:
        axes.axhspan(floor[0] - floor[1], floor[0] + floor[1], color=BAND, alpha=0.6, linewidth=0.0)
        axes.axhline(floor[0], color=TARGET, linestyle="--", linewidth=1.0, label="Target against target")
    _mark(axes, best_epoch)
    axes.set_yscale("log")
    # In thousandths, or every tick of a range within one decade would carry its own power of ten.
    thousandths = FuncFormatter(lambda value, _: f"{1e3 * value:.4g}")
    axes.yaxis.set_major_formatter(thousandths)
    low, high = axes.get_ylim()
    axes.yaxis.set_minor_formatter(thousandths if high < 10 * low else NullFormatter())
    axes.yaxis.set_label_coords(-0.13, 0.5)
    axes.yaxis.label.set_verticalalignment("center")
    axes.set_ylabel(r"Mean Wasserstein distance (scaled) [$10^{-3}$]")
    axes.legend(loc="upper right", frameon=True, framealpha=0.92, edgecolor="none")


def _loss(
    axes: Axes,
    epochs: NDArray[np.int64],
    train: NDArray[np.float64],
    validation: NDArray[np.float64] | None,
    best_epoch: int | None,
) -> None:
    axes.plot(epochs, train, color=TARGET, marker=".", markersize=4, label="Training")
    if validation is not None and np.isfinite(validation).any():
        known = np.isfinite(validation)
        axes.plot(epochs[known], validation[known], color=MODELS[0], marker=".", markersize=4, label="Validation")
    _mark(axes, best_epoch)
    axes.set_xlim(float(epochs[0]) - 0.5, float(epochs[-1]) + 0.5)
    axes.set_xlabel("Epoch")
    axes.yaxis.set_label_coords(-0.13, 0.5)
    axes.yaxis.label.set_verticalalignment("center")
    axes.set_ylabel("Loss per event")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(axis="x", which="minor", bottom=False, top=False)
    axes.legend(loc="upper right", frameon=True, framealpha=0.92, edgecolor="none")


def _mark(axes: Axes, best_epoch: int | None) -> None:
    if best_epoch is not None:
        axes.axvline(best_epoch, color=MODELS[2], linestyle=":", linewidth=1.3, label=f"Kept: epoch {best_epoch}")
