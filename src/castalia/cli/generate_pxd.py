"""``castalia generate pxd``: beam background in Belle II's pixel detector."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from castalia.cli.console import print_result, step_progress
from castalia.cli.options import (
    DryRun,
    Json,
    OutputFile,
    Overwrite,
    Resume,
    SeedOption,
    Workers,
    parse_choice,
)

__all__ = ["pxd"]

_METAVAR = "VALUE|LOW:HIGH"


def _knob(what: str) -> Any:
    return typer.Option(metavar=_METAVAR, help=f"{what}, over that of the reference; LOW:HIGH draws it for each event.")


def _parsed(name: str, text: str) -> float | tuple[float, float]:
    option = f"--{name.replace('_', '-')}"
    return parse_choice(text, f"{option} {text!r}: write a number, or LOW:HIGH such as 0.5:1.")


def pxd(
    events: Annotated[int, typer.Option("--events", min=1, help="Events to make.")],
    output: OutputFile,
    luminosity: Annotated[str | None, _knob("Luminosity")] = None,
    current_her: Annotated[str | None, _knob("Electron current")] = None,
    current_ler: Annotated[str | None, _knob("Positron current")] = None,
    pressure: Annotated[str | None, _knob("Pressure of the rest gas")] = None,
    synchrotron: Annotated[str | None, _knob("Synchrotron photons an electron")] = None,
    common_mode: Annotated[
        str | None, typer.Option(metavar=_METAVAR, help="Relative spread of what all rates of an event share.")
    ] = None,
    seed: SeedOption = 1,
    workers: Workers = 1,
    resume: Resume = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Beam background in Belle II's pixel detector, by our own simulation; a .root file is in basf2's terms.

    Example: castalia generate pxd --events 1000 --luminosity 0.5:1 --seed 1 -o background.parquet
    """
    from castalia.production.pxd import PxdRequest, generate_pxd

    given = {
        "luminosity": luminosity,
        "current_her": current_her,
        "current_ler": current_ler,
        "pressure": pressure,
        "synchrotron": synchrotron,
        "common_mode": common_mode,
    }
    request = PxdRequest(
        events=events,
        output=output,
        knobs={name: _parsed(name, text) for name, text in given.items() if text is not None},
        seed=seed,
        workers=workers,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
    )
    with step_progress("background events") as progress:
        summary = generate_pxd(request, progress)
    print_result(summary, json)
