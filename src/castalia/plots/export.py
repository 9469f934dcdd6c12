"""Write a figure as PNG for the page and as PDF for the paper; equal figures give equal bytes."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from castalia.data.atomic import atomic_path
from castalia.plots.style import drawing

__all__ = ["Figure", "save"]


def save(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write ``folder/name.png`` (160 dots per inch) and ``folder/name.pdf``.

    Dates and program versions are left out of both files, so that their content hashes can be compared.

    Args:
        figure: What to write.
        folder: Where; it is made if missing.
        name: File name without ending.

    Returns:
        The two paths, PNG first.

    Raises:
        MachineError: If the disk is full or the folder cannot be written.
    """
    png, pdf = folder / f"{name}.png", folder / f"{name}.pdf"
    with drawing():
        with atomic_path(png) as partial:
            figure.savefig(partial, format="png", dpi=160, metadata={"Software": None})
        figure.set_layout_engine("none")  # found once; finding it again for the PDF would take as long
        with atomic_path(pdf) as partial:
            nothing = {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None}
            figure.savefig(partial, format="pdf", metadata=nothing)
    return png, pdf
