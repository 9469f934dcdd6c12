"""``castalia classify``: learn which process made an event, from labelled events and from data without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from castalia.cli.classify_judge import compare, evaluate
from castalia.cli.console import print_result, step_progress
from castalia.cli.options import (
    DryRun,
    Json,
    Overwrite,
    RenameOption,
    Resume,
    RunArgument,
    RunOutput,
    SkipBad,
    SkipBadFiles,
    TrainingSeed,
    Tree,
    Workers,
    parse_rename,
)

__all__ = ["app"]

app = typer.Typer(help="Events to processes: classifiers of typed objects, pre-trained on data.", no_args_is_help=True)
app.command()(evaluate)
app.command()(compare)

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="TOML file; docs/classify.md explains each key.")]


@app.command()
def pretrain(
    config: Config,
    output: RunOutput,
    seed: TrainingSeed = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    skip_bad: SkipBad = 0,
    skip_bad_files: SkipBadFiles = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Train a backbone on events without labels, measured ones if you have them.

    Example: castalia classify pretrain pretrain.toml -o pretrained
    """
    from castalia.apps.classify.pretrain import pretrain as pretrain_run
    from castalia.apps.classify.training_run import TrainRequest

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
    with step_progress("pre-training") as progress:
        summary = pretrain_run(request, progress)
    print_result(summary, json)


@app.command()
def train(
    config: Config,
    output: RunOutput,
    pretrained: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", help="Begin from the backbone of this run, written by `pretrain`."),
    ] = None,
    seed: TrainingSeed = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    skip_bad: SkipBad = 0,
    skip_bad_files: SkipBadFiles = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Train a classifier on the training split of your labelled events.

    Example: castalia classify train classify.toml -o run
    """
    from castalia.apps.classify.train import train as train_run
    from castalia.apps.classify.training_run import TrainRequest

    request = TrainRequest(
        config=config,
        output=output,
        pretrained=pretrained,
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
def predict(
    run: RunArgument,
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="ROOT or Parquet files.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="File to write, .root or .parquet.")],
    workers: Workers = 1,
    rename: RenameOption = None,
    tree: Tree = None,
    skip_bad: SkipBad = 0,
    skip_bad_files: SkipBadFiles = False,
    members: Annotated[
        bool, typer.Option("--members", help="Append the scores by every member of the ensemble, too.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at an event outside the training range.")] = False,
    resume: Resume = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Append the probability of each class to every event; the files need no labels.

    Example: castalia classify predict run data.parquet -o scores.parquet --workers 2
    """
    from castalia.apps.classify.predict import PredictRequest
    from castalia.apps.classify.predict import predict as predict_files

    request = PredictRequest(
        run=run,
        files=tuple(files),
        output=output,
        workers=workers,
        rename=parse_rename(rename),
        tree=tree,
        skip_bad=skip_bad,
        skip_bad_files=skip_bad_files,
        members=members,
        strict=strict,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
    )
    with step_progress("predicting") as progress:
        summary = predict_files(request, progress)
    print_result(summary, json)
