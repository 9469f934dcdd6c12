"""``castalia scan``: learn how events depend on a theory's parameters, and fit these to observed events."""

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
    parse_values,
)

__all__ = ["app"]

app = typer.Typer(help="Events to theory: fit parameters by a learned likelihood.", no_args_is_help=True)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="TOML file; docs/scan.md explains each key.")],
    output: RunOutput,
    seed: TrainingSeed = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    skip_bad: SkipBad = 0,
    skip_bad_files: SkipBadFiles = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Learn the density of events as a function of the parameters, from events simulated at many parameter points.

    Example: castalia scan train scan.toml -o run
    """
    from castalia.apps.scan.train import train as train_run

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
def fit(
    run: RunArgument,
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="ROOT or Parquet files of observed events.")],
    output: ReportOutput,
    fix: Annotated[
        list[str] | None,
        typer.Option("--fix", metavar="NAME=VALUE", help="Do not fit a parameter but hold it; may be repeated."),
    ] = None,
    truth: Annotated[
        list[str] | None,
        typer.Option("--truth", metavar="NAME=VALUE", help="True value to show beside the result; may be repeated."),
    ] = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(
            "--thresholds",
            metavar="COVERAGE",
            help="Report of `castalia scan coverage`, whose calibrated thresholds end the intervals.",
        ),
    ] = None,
    seed: SeedOption = 1,
    rename: RenameOption = None,
    tree: Tree = None,
    skip_bad: SkipBad = 0,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Fit the parameters to observed events, with errors, contours, goodness of fit; exits 5 without convergence.

    Example: castalia scan fit run observed.parquet -o report
    """
    from castalia.apps.scan.run import FitRequest, fit_files

    request = FitRequest(
        run=run,
        files=tuple(files),
        output=output,
        fixed=parse_values(fix, "--fix"),
        truth=parse_values(truth, "--truth"),
        thresholds=thresholds,
        seed=seed,
        rename=parse_rename(rename),
        tree=tree,
        skip_bad=skip_bad,
        overwrite=overwrite,
        dry_run=dry_run,
    )
    with step_progress("fit") as progress:
        summary, failure = fit_files(request, progress)
    print_result(summary, json)
    if failure is not None:
        raise failure


@app.command()
def coverage(
    run: RunArgument,
    pool: Annotated[
        list[Path],
        typer.Option("--pool", metavar="FILE", help="Fresh signal events of one true point; may be repeated."),
    ],
    output: ReportOutput,
    signal_events: Annotated[float, typer.Option("--signal-events", min=1, help="Expected in each experiment.")],
    experiments: Annotated[int, typer.Option("--experiments", min=2, help="Pseudo-experiments.")] = 500,
    background_pool: Annotated[
        list[Path] | None,
        typer.Option("--background-pool", metavar="FILE", help="Fresh background events; may be repeated."),
    ] = None,
    background_events: Annotated[
        float, typer.Option("--background-events", min=0, help="Expected in each experiment.")
    ] = 0.0,
    seed: SeedOption = 1,
    workers: Workers = 1,
    resume: Resume = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Fit pseudo-experiments drawn from fresh events: bias, pulls, coverage, thresholds; exits 5 if many fail.

    Example: castalia scan coverage run --pool signal_475.parquet --signal-events 400 --background-pool
    ttbar_fresh.parquet --background-events 4000 -o coverage
    """
    from castalia.apps.scan.coverage_run import CoverageRequest, coverage_of_pool

    request = CoverageRequest(
        run=run,
        pool=tuple(pool),
        output=output,
        experiments=experiments,
        signal_events=signal_events,
        background_pool=tuple(background_pool or ()),
        background_events=background_events,
        seed=seed,
        workers=workers,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
    )
    with step_progress("pseudo-experiments") as progress:
        summary, failure = coverage_of_pool(request, progress)
    print_result(summary, json)
    if failure is not None:
        raise failure
