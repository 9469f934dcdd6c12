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
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="ONNX file to write.")],
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write a run of simulate or classify as ONNX, for ONNX Runtime in any language.

    FILE holds the classifier of `classify train`, or the sampler of `simulate train`, beside which its density and
    efficiency stand.

    Example: castalia export run -o model.onnx
    """
    from castalia.runs.folder import RunFolder

    if RunFolder.open(run).record.application.startswith("classify"):
        from castalia.apps.classify.export import export_run
    else:
        from castalia.apps.simulate.export import export_run

    print_result(export_run(run, output, overwrite), json)
