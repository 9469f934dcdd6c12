"""The look of every figure: one colour for one kind of sample, labelled axes, inward ticks, no global state.

Figures are made as ``matplotlib.figure.Figure``; nothing goes through pyplot, so no window system is touched and
nothing is kept alive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "BAND",
    "MARKERS",
    "MODELS",
    "STRIP",
    "TARGET",
    "add_legend",
    "axis_label",
    "drawing",
    "longest_name",
    "milli",
    "new_figure",
    "place",
    "plain",
]

TARGET = "#222222"
"""Colour of target events."""

MODELS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
"""Colours of generated samples, in order; told apart with every common kind of colour blindness (Okabe and Ito)."""

BAND = "#BBBBBB"
"""Colour of a statistical band."""

MARKERS = ("o", "s", "D", "P")
"""Markers of generated samples, in order, for those who print in grey."""

STRIP = 0.42
"""Height in inches of the strip at the top with name, words and legend."""

_MARKUP = re.compile(r"[\\${}^_]|mathrm|bar")
"""What takes no room of a name in mathematics; commands count by their letters, so that names come out rather long."""

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "mathtext.fontset": "dejavusans",
    "axes.labelsize": 10.5,
    "axes.linewidth": 0.9,
    "axes.unicode_minus": True,
    "axes.formatter.use_mathtext": True,
    "axes.formatter.limits": (-3, 4),
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "xtick.major.size": 5.5,
    "ytick.major.size": 5.5,
    "xtick.minor.size": 3.0,
    "ytick.minor.size": 3.0,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.linewidth": 1.4,
    "errorbar.capsize": 0.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Apply the house style to artists made, and files written, in this block."""
    with rc_context(_STYLE):
        yield


def new_figure(width: float, height: float, tag: str = "") -> Figure:
    """Make an empty figure of the house, with its name in the upper left corner.

    Args:
        width: Width in inches.
        height: Height in inches, the strip at the top included.
        tag: What follows the name, such as the scenario; plain text.
    """
    figure = Figure(figsize=(width, height))
    top = 1.0 - 0.10 / height
    figure.text(0.12 / width, top, "Castalia", ha="left", va="top", fontsize=12, fontweight="bold")
    if tag:
        figure.text(1.02 / width, top - 0.01 / height, plain(tag), ha="left", va="top", fontsize=10.5, style="italic")
    return figure


def place(figure: Figure, left: float, bottom: float, width: float, height: float, share: Axes | None = None) -> Axes:
    """Add axes at a place given in inches from the lower left corner.

    Places are set by hand because a layout engine draws every figure twice more, and lets columns of unequal tick
    labels drift apart.
    """
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up), sharex=share)


def add_legend(figure: Figure, axes: Axes) -> None:
    """Put the legend of ``axes`` into the strip at the figure's upper right corner."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper right", bbox_to_anchor=(1.0, 1.0), ncols=len(labels), borderaxespad=0.35,
        columnspacing=1.4, handlelength=1.6, handletextpad=0.5,
    )  # fmt: skip


def milli(largest: float, unit: str) -> tuple[float, str]:
    """Choose a factor and a unit for values up to ``largest``: small angles are shown in thousandths."""
    if 0.0 < largest < 0.05:
        return 1e3, "mrad" if unit == "rad" else rf"$10^{{-3}}$ {unit}".strip()
    return 1.0, unit


def axis_label(text: str, unit: str = "") -> str:
    """Return ``text [unit]``, or ``text`` alone for a pure number."""
    return f"{text} [{unit}]" if unit else text


def longest_name(names: Sequence[str]) -> int:
    """Return about how many letters the longest of some names takes, mathematics allowed; at least one name."""
    return max(len(_MARKUP.sub("", name)) for name in names)


def plain(text: str) -> str:
    """Protect a name that is not ours, such as a column's, from being read as mathematics."""
    return text.replace("$", r"\$")
