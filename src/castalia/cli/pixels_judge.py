"""``castalia pixels evaluate``: judge a model of background hits on events that it did not learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from castalia.cli.console import print_result, step_progress
from castalia.cli.options import (
    DryRun,
    Json,
    Overwrite,
    RenameOption,
    ReportOutput,
    RunArgument,
    SeedOption,
    SkipBad,
    SkipBadFiles,
    Tree,
    parse_rename,
)

__all__ = ["evaluate"]


def evaluate(
    run: RunArgument,
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Files with true hits and conditions.")],
    output: ReportOutput,
    sampled: Annotated[
        Path | None,
        typer.Option("--sampled", metavar="FILE", help="Judge this file, made by `pixels sample` from the same FILES."),
    ] = None,
    seed: SeedOption = 1,
    rename: RenameOption = None,
    tree: Tree = None,
    skip_bad: SkipBad = 0,
    skip_bad_files: SkipBadFiles = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Judge a model of background hits on events it did not learn from, drawing one for each.

    Of a file that the run was trained on only the test split is used.

    Example: castalia pixels evaluate run fresh.parquet -o report
    """
    from castalia.apps.pixels.evaluate import EvaluateRequest
    from castalia.apps.pixels.evaluate import evaluate as evaluate_run

    request = EvaluateRequest(
        run=run,
        files=tuple(files),
        output=output,
        sampled=sampled,
        seed=seed,
        rename=parse_rename(rename),
        tree=tree,
        skip_bad=skip_bad,
        skip_bad_files=skip_bad_files,
        overwrite=overwrite,
        dry_run=dry_run,
    )
    with step_progress("evaluating") as progress:
        summary = evaluate_run(request, progress)
    print_result(summary, json)
