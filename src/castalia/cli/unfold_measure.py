"""``castalia unfold measure``: from data to unfolded spectra, by any method."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from castalia.cli.console import print_result, step_progress
from castalia.cli.options import DryRun, Json, Overwrite, ReportOutput, SeedOption, SkipBad, SkipBadFiles

__all__ = ["measure"]


def measure(
    measurement: Annotated[
        Path, typer.Argument(metavar="MEASUREMENT", help="TOML file; docs/unfold.md explains each key.")
    ],
    output: ReportOutput,
    seed: SeedOption = 1,
    skip_bad: SkipBad = 0,
    skip_bad_files: SkipBadFiles = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at an event of data outside the training range.")
    ] = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Measure spectra from data by every method named, with all errors; exits 5 where refolding fails.

    Example: castalia unfold measure measurement.toml -o measurement
    """
    from castalia.apps.unfold.measurement.measure import MeasureRequest
    from castalia.apps.unfold.measurement.measure import measure as measure_files

    request = MeasureRequest(measurement, output, seed, skip_bad, skip_bad_files, strict, overwrite, dry_run)
    with step_progress("measuring") as progress:
        summary, failure = measure_files(request, progress)
    print_result(summary, json)
    if failure is not None:
        raise failure
