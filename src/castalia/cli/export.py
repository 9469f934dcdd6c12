"""``castalia export``: a run's models as ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from castalia.cli.console import print_result
from castalia.cli.options import Json, Overwrite, RunArgument

__all__ = ["export"]


def export(
    run: RunArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="ONNX file of the sampler.")],
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write a run's sampler to FILE, its density and efficiency beside it, for ONNX Runtime in any language.

    Example: castalia export run -o model.onnx
    """
    from castalia.apps.simulate.export import export_run

    print_result(export_run(run, output, overwrite), json)
