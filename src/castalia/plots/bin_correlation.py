"""Correlations between the bins of spectra, one matrix a panel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.style import STRIP, drawing, new_figure, place

__all__ = ["bin_correlation_figure"]

_ACROSS, _SIZE = 3, 3.0


def bin_correlation_figure(titles: Sequence[str], covariances: Sequence[NDArray[np.float64]], tag: str = "") -> Figure:
    """Draw the correlation matrix of each covariance; bins are numbered from 1.

    Args:
        titles: Names of the panels, mathematics allowed.
        covariances: Each of shape ``(bins, bins)``; bins without variance are left white.
        tag: Words after the program's name.

    Raises:
        DataError: If there is none, or a title is missing.
    """
    if not covariances or len(titles) != len(covariances):
        raise DataError(f"{len(titles)} titles for {len(covariances)} covariances; give one each, and one or more.")
    columns = min(_ACROSS, len(titles))
    rows = -(-len(titles) // columns)
    step, left, bottom = _SIZE + 0.75, 0.6, 0.55
    with drawing():
        figure = new_figure(left + columns * step + 0.7, rows * (step + 0.1) + STRIP, tag)
        for number, (title, covariance) in enumerate(zip(titles, covariances, strict=True)):
            row, column = divmod(number, columns)
            axes = place(figure, left + column * step, (rows - 1 - row) * (step + 0.1) + bottom, _SIZE, _SIZE)
            spread = np.sqrt(np.diag(covariance))
            outer = np.outer(spread, spread)
            shown = np.divide(covariance, outer, out=np.full_like(outer, np.nan), where=outer > 0.0)
            ends = (0.5, len(spread) + 0.5, 0.5, len(spread) + 0.5)
            image = axes.imshow(shown, vmin=-1.0, vmax=1.0, cmap="RdBu_r", origin="lower", extent=ends)
            axes.set_title(title, fontsize=10.5)
            axes.minorticks_off()
            axes.set_xlabel("Bin")
            axes.set_ylabel("Bin")
        bar = place(figure, left + columns * step - 0.55, bottom, 0.13, _SIZE)
        figure.colorbar(image, cax=bar).set_label("Correlation", labelpad=2.0)
    return figure
