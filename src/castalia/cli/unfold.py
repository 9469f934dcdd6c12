"""``castalia unfold``: learn the truth behind measured events, draw it, judge it, compare methods."""

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
from castalia.cli.unfold_measure import measure

__all__ = ["app"]

app = typer.Typer(help="Detector to truth: posteriors of the truth behind measured events.", no_args_is_help=True)
app.command()(measure)

Files = Annotated[list[Path], typer.Argument(metavar="FILES...", help="ROOT or Parquet files.")]
Draws = Annotated[int, typer.Option("--draws", min=39, metavar="K", help="Draws of each event that is scored.")]
Events = Annotated[int, typer.Option("--events", help="Most events to judge on.")]


@app.command()
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="TOML file; docs/unfold.md explains each key.")],
    output: RunOutput,
    seed: TrainingSeed = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    skip_bad: SkipBad = 0,
    skip_bad_files: SkipBadFiles = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Train a posterior of the truth on the training split of your simulated events.

    Example: castalia unfold train ttbar.toml -o run
    """
    from castalia.apps.unfold.train import train as train_run

    with step_progress("training") as progress:
        summary = train_run(
            config,
            output,
            seed=seed,
            resume=resume,
            overwrite=overwrite,
            skip_bad=skip_bad,
            skip_bad_files=skip_bad_files,
            dry_run=dry_run,
            progress=progress,
        )
    print_result(summary, json)


@app.command()
def sample(
    run: RunArgument,
    files: Files,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="File to write, .root or .parquet.")],
    draws: Annotated[int, typer.Option("--draws", min=1, metavar="K", help="Draws of the truth per event.")] = 10,
    seed: SeedOption = 1,
    workers: Workers = 1,
    rename: RenameOption = None,
    tree: Tree = None,
    skip_bad: SkipBad = 0,
    skip_bad_files: SkipBadFiles = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at an event outside the training range.")] = False,
    resume: Resume = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Draw the truth behind measured events; the file needs no columns of the truth.

    Example: castalia unfold sample run data.parquet -o unfolded.parquet --draws 20 --workers 2
    """
    from castalia.apps.unfold.sample import SampleRequest
    from castalia.apps.unfold.sample import sample as sample_files

    request = SampleRequest(
        run=run,
        files=tuple(files),
        output=output,
        draws=draws,
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
    with step_progress("unfolding") as progress:
        summary = sample_files(request, progress)
    print_result(summary, json)


@app.command()
def evaluate(
    run: RunArgument,
    files: Files,
    output: ReportOutput,
    draws: Draws = 100,
    events: Events = 50_000,
    seed: SeedOption = 1,
    rename: RenameOption = None,
    tree: Tree = None,
    skip_bad: SkipBad = 0,
    skip_bad_files: SkipBadFiles = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Judge a posterior on simulated events it was not trained on; exits 5 where the quality gate fails.

    Of a file that the run was trained on only the test split is used.

    Example: castalia unfold evaluate run fresh.parquet -o report
    """
    from castalia.apps.unfold.evaluate import JudgeRequest
    from castalia.apps.unfold.evaluate import evaluate as evaluate_run

    request = JudgeRequest(
        runs=(run,),
        files=tuple(files),
        output=output,
        draws=draws,
        events=events,
        seed=seed,
        rename=parse_rename(rename),
        tree=tree,
        skip_bad=skip_bad,
        skip_bad_files=skip_bad_files,
        overwrite=overwrite,
        dry_run=dry_run,
    )
    with step_progress("evaluating") as progress:
        summary, failure = evaluate_run(request, progress)
    print_result(summary, json)
    if failure is not None:
        raise failure


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders written by `train`.")],
    files: Annotated[
        list[Path],
        typer.Option("--events-from", metavar="FILE", help="ROOT or Parquet file to judge on; may be repeated."),
    ],
    output: ReportOutput,
    draws: Draws = 100,
    events: Events = 50_000,
    seed: SeedOption = 1,
    rename: RenameOption = None,
    tree: Tree = None,
    skip_bad: SkipBad = 0,
    skip_bad_files: SkipBadFiles = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Compare posteriors on simulated events that none of them was trained on, ranked by their score.

    The runs may have learned other coordinates, but from the same columns of the detector and for the same particles.

    Example: castalia unfold compare run run_vld --events-from fresh.parquet -o report
    """
    from castalia.apps.unfold.compare import JudgeRequest
    from castalia.apps.unfold.compare import compare as compare_runs

    request = JudgeRequest(
        runs=tuple(runs),
        files=tuple(files),
        output=output,
        draws=draws,
        events=events,
        seed=seed,
        rename=parse_rename(rename),
        tree=tree,
        skip_bad=skip_bad,
        skip_bad_files=skip_bad_files,
        overwrite=overwrite,
        dry_run=dry_run,
    )
    with step_progress("comparing") as progress:
        summary = compare_runs(request, progress)
    print_result(summary, json)
