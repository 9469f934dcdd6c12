"""Learning curves of the classification benchmarks for docs/classify.md: ``python benchmarks/classify_curves.py``.

Reads the committed results and writes ``docs/figures/classify_*.png``. Of each benchmark the arms are drawn that its
goals are about, with the mean over seeds and the 68 % interval of that mean.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from castalia.plots.export import save
from castalia.plots.learning_curve import LearningLine, learning_figure
from classify_combined import SIGNAL
from classify_plan import OBSERVABLES
from record import ROOT, result_path

__all__ = ["draw", "lines_of"]

DRAWN: Final[Mapping[str, Mapping[str, str]]] = {
    "pretraining": {
        "scratch": "From scratch",
        "type": "Pre-trained: types",
        "both": "Pre-trained: types and kinematics",
        "shuffled": "Control: shuffled objects",
    },
    "decay": {
        "w0": "Classes alone",
        "w1": "Classes and decays",
        "random": "Control: random decays",
        OBSERVABLES.name: "Boosted trees, high-level variables",
    },
    "combined": {
        "pairwise": "Pairs",
        "pretrained": "Pre-trained",
        "decay": "Decays",
        "all": "All three",
        OBSERVABLES.name: "Boosted trees, high-level variables",
    },
}
"""Names in the legend, by arm and benchmark."""


def lines_of(name: str, values: Mapping[str, Any]) -> list[LearningLine]:
    """Return the learning curves of a benchmark that are drawn, of those that were measured.

    Args:
        name: Name in ``DRAWN``.
        values: ``values`` of its result.
    """
    curves = values["auc_curves"]
    curves = curves.get(SIGNAL, curves)  # a benchmark of several signals has those of each
    return [
        LearningLine(label, *(np.array(curves[arm][key], dtype=np.float64) for key in ("sizes", "value", "error")))
        for arm, label in DRAWN[name].items()
        if arm in curves
    ]


def draw(name: str, result: Path, folder: Path) -> Path:
    """Draw a benchmark's learning curves into ``folder/classify_NAME.png``, and return where that is."""
    values = json.loads(result.read_text(encoding="utf-8"))["values"]
    png, pdf = save(learning_figure(lines_of(name, values), "AUC"), folder, f"classify_{name}")
    pdf.unlink()  # a page needs none
    return png


def main() -> None:
    """Draw those that were measured."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for name in DRAWN:
        result = result_path(f"classify_{name}")
        if result.exists():
            draw(name, result, ROOT / "docs" / "figures")


if __name__ == "__main__":
    main()
