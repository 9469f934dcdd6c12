"""``castalia report``: several report folders on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from castalia.cli.console import print_result
from castalia.cli.options import Json, Overwrite

__all__ = ["report"]


def report(
    reports: Annotated[list[Path], typer.Argument(metavar="REPORT...", help="Report folders to compare.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="HTML page to write.")],
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Compare reports side by side: sortable metrics, figures, provenance.

    Example: castalia report report_paper report_spline -o index.html
    """
    from castalia.errors import ConfigError
    from castalia.reports.comparison import write_comparison

    if output.exists() and not overwrite:
        raise ConfigError(f"{output} exists; choose another name or pass --overwrite.")
    write_comparison(reports, output)
    print_result({"reports": len(reports), "output": str(output)}, json)
