"""``castalia classify evaluate`` and ``compare``: judge classifiers on events that they did not learn from."""

from __future__ import annotations

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
    parse_values,
)

__all__ = ["compare", "evaluate"]

Expect = Annotated[
    list[str] | None,
    typer.Option(
        "--expect", metavar="CLASS=EVENTS", help="Events that a measurement expects of a class; for a significance."
    ),
]
Systematic = Annotated[float, typer.Option("--systematic", min=0.0, help="Relative error of the expected background.")]


def evaluate(
    run: RunArgument,
    output: ReportOutput,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CLASS=FILE...]", help="Labelled events; by default, those of the training."),
    ] = None,
    expect: Expect = None,
    systematic: Systematic = 0.0,
    goal: Annotated[
        float | None, typer.Option("--goal", min=0.5, max=1.0, help="Least AUC that the quality gate accepts.")
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
    """Judge a classifier on labelled events it did not learn from; exits 5 where the quality gate fails.

    Of a file that the run was trained on only the test split is used.

    Example: castalia classify evaluate run ttbar=fresh_ttbar.parquet heavy_higgs=fresh_heavy_higgs.parquet -o report
    """
    from castalia.apps.classify.evaluate import JudgeRequest
    from castalia.apps.classify.evaluate import evaluate as evaluate_run
    from castalia.apps.classify.judged_sample import files_by_class

    request = JudgeRequest(
        runs=(run,),
        files=files_by_class(files or ()),
        output=output,
        expected=parse_values(expect, "--expect"),
        systematic=systematic,
        goal=goal,
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


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="[RECIPE=]RUN...", help="Run folders; those of one recipe make a learning curve."),
    ],
    output: ReportOutput,
    files: Annotated[
        list[str] | None,
        typer.Option("--events-from", metavar="CLASS=FILE", help="Labelled events; by default, those of the training."),
    ] = None,
    expect: Expect = None,
    systematic: Systematic = 0.0,
    seed: SeedOption = 1,
    rename: RenameOption = None,
    tree: Tree = None,
    skip_bad: SkipBad = 0,
    skip_bad_files: SkipBadFiles = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Compare classifiers on labelled events that none of them learned from, ranked by their AUC.

    Example: castalia classify compare run run_tuned -o compared
    --events-from ttbar=fresh_ttbar.parquet --events-from heavy_higgs=fresh_heavy_higgs.parquet
    """
    from castalia.apps.classify.compare import compare as compare_runs
    from castalia.apps.classify.compare import recipes_of
    from castalia.apps.classify.judged_sample import JudgeRequest, files_by_class

    paths, recipes = recipes_of(runs)
    request = JudgeRequest(
        runs=paths,
        files=files_by_class(files or ()),
        output=output,
        expected=parse_values(expect, "--expect"),
        systematic=systematic,
        recipes=recipes,
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
