"""``castalia generate``: events of a process, as an experiment would see them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from castalia.cli.console import print_result, step_progress
from castalia.cli.generate_collider import add_collider_commands
from castalia.cli.generate_pxd import pxd
from castalia.cli.options import (
    DryRun,
    Json,
    OutputFile,
    Overwrite,
    Resume,
    SeedOption,
    Workers,
)

__all__ = ["app"]

app = typer.Typer(help="Generate events of a process with a detector's response.", no_args_is_help=True)


class _Process(StrEnum):
    ttH = "ttH"
    ggH = "ggH"
    toy = "toy"


class _Scenario(StrEnum):
    baseline = "baseline"
    correlated = "correlated"
    asymmetric = "asymmetric"
    crystal_ball = "crystal-ball"


class _Parametrisation(StrEnum):
    repaired = "repaired"
    printed = "printed"
    smooth = "smooth"


class _Mixture(StrEnum):
    amplitude = "amplitude"
    area = "area"


@app.command()
def diphoton(
    events: Annotated[int, typer.Option("--events", min=1, help="Accepted events to write.")],
    output: OutputFile,
    process: Annotated[_Process, typer.Option(help="ttH or ggH by Pythia 8; toy needs no Pythia.")] = _Process.ttH,
    scenario: Annotated[_Scenario, typer.Option(help="Shape of the photon response.")] = _Scenario.baseline,
    rho: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Correlation of the photons' pulls; 0.5 in `correlated`.")
    ] = None,
    parametrisation: Annotated[
        _Parametrisation, typer.Option(help="Resolution functions: repaired, as printed, or smooth.")
    ] = _Parametrisation.repaired,
    mixture: Annotated[_Mixture, typer.Option(help="How the asymmetric 84/16 weights are read.")] = _Mixture.amplitude,
    seed: SeedOption = 1,
    workers: Workers = 1,
    resume: Resume = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """H → γγ events at 13 TeV with true and reconstructed photons.

    Example: castalia generate diphoton --process toy --events 20000 --seed 1 -o diphoton.root
    """
    from castalia.production.diphoton import DiphotonRequest, generate_diphoton

    request = DiphotonRequest(
        process=process.value,
        scenario=scenario.value,
        rho=rho,
        parametrisation=parametrisation.value,
        mixture=mixture.value,
        events=events,
        seed=seed,
        output=output,
        workers=workers,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
    )
    with step_progress(f"{process.value} events") as progress:
        summary = generate_diphoton(request, progress)
    print_result(summary, json)


add_collider_commands(app)
app.command()(pxd)
