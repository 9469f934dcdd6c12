"""``castalia pixels``: learn beam background in a pixel detector, and sample as much of it as is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from castalia.cli.console import print_result, step_progress
from castalia.cli.options import (
    DryRun,
    Json,
    OutputFile,
    Overwrite,
    RenameOption,
    Resume,
    RunArgument,
    RunOutput,
    SeedOption,
    SkipBad,
    SkipBadFiles,
    TrainingSeed,
    Tree,
    Workers,
    parse_rename,
)
from castalia.cli.pixels_judge import evaluate

__all__ = ["app"]

app = typer.Typer(help="Conditions to pixel hits: beam background of whole events.", no_args_is_help=True)
app.command()(evaluate)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="TOML file; docs/pixels.md explains each key.")],
    output: RunOutput,
    seed: TrainingSeed = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    skip_bad: SkipBad = 0,
    skip_bad_files: SkipBadFiles = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Train a model of background hits on the training split of your events.

    Example: castalia pixels train pixels.toml -o run
    """
    from castalia.apps.pixels.train import TrainRequest
    from castalia.apps.pixels.train import train as train_run

    request = TrainRequest(
        config=config,
        output=output,
        seed=seed,
        resume=resume,
        overwrite=overwrite,
        skip_bad=skip_bad,
        skip_bad_files=skip_bad_files,
        dry_run=dry_run,
    )
    with step_progress("training") as progress:
        summary = train_run(request, progress)
    print_result(summary, json)


@app.command()
def sample(
    run: RunArgument,
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Files with the conditions of events.")],
    output: OutputFile,
    seed: SeedOption = 1,
    workers: Workers = 1,
    rename: RenameOption = None,
    tree: Tree = None,
    skip_bad: SkipBad = 0,
    skip_bad_files: SkipBadFiles = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at an event whose conditions lie outside the training range.")
    ] = False,
    resume: Resume = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Sample the hits of one event for every event of the files; a .root file is in basf2's terms.

    Example: castalia pixels sample run conditions.parquet -o sampled.root --workers 2
    """
    from castalia.apps.pixels.sample import SampleRequest
    from castalia.apps.pixels.sample import sample as sample_files

    request = SampleRequest(
        run=run,
        files=tuple(files),
        output=output,
        seed=seed,
        workers=workers,
        rename=parse_rename(rename),
        tree=tree,
        skip_bad=skip_bad,
        skip_bad_files=skip_bad_files,
        strict=strict,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
    )
    with step_progress("sampling") as progress:
        summary = sample_files(request, progress)
    print_result(summary, json)
