"""``castalia generate`` for colliders: ``ttbar``, ``heavy-higgs`` and so on, ``detector``, and ``card``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

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
from castalia.errors import ConfigError
from castalia.processes.hard import COLLIDER_PROCESSES, HardProcess

__all__ = ["add_collider_commands", "parse_parameters"]

CardOption = Annotated[
    str, typer.Option("--card", metavar="CARD", help="Detector: a shipped card (cms-like, ideal) or a TOML file.")
]

_EXAMPLES: Final = {"heavy-higgs": " --parameter m_H=350:600 --parameter m_Hpm=200:450"}


class _Tune(StrEnum):
    monash = "monash"
    a14 = "a14"


def add_collider_commands(app: typer.Typer) -> None:
    """Add one command a process, and those for events and cards of other programs."""
    for process in COLLIDER_PROCESSES:
        app.command(process.name)(_command(process))
    app.command()(detector)
    app.command()(card)


def parse_parameters(words: Sequence[str] | None) -> dict[str, float | tuple[float, float]]:
    """Turn words ``NAME=VALUE`` or ``NAME=LOW:HIGH`` into a value or an interval by name.

    Raises:
        ConfigError: If a word is neither, or a parameter is named twice.
    """
    found: dict[str, float | tuple[float, float]] = {}
    for word in words or ():
        name, _, text = word.partition("=")
        if name in found:
            raise ConfigError(f"--parameter names {name!r} twice; keep one.")
        refusal = f"--parameter {word!r}: write NAME=VALUE or NAME=LOW:HIGH, such as m_H=350:600."
        found[name] = parse_choice(text, refusal)
    return found


def _command(process: HardProcess) -> Callable[..., None]:
    def generate(
        events: Annotated[int, typer.Option("--events", min=1, help="Events to make; all are written.")],
        output: OutputFile,
        card: CardOption = "cms-like",
        parameter: Annotated[
            list[str] | None,
            typer.Option(
                "--parameter", metavar="NAME=VALUE", help="A parameter of the process, or LOW:HIGH to have it drawn."
            ),
        ] = None,
        point_events: Annotated[
            int, typer.Option("--point-events", min=1, help="Events at each point that is drawn.")
        ] = 500,
        mpi: Annotated[bool, typer.Option("--mpi", help="Add multiparton interactions: five times slower.")] = False,
        tune: Annotated[_Tune, typer.Option(help="Tune of shower and hadronisation.")] = _Tune.monash,
        seed: SeedOption = 1,
        workers: Workers = 1,
        resume: Resume = False,
        overwrite: Overwrite = False,
        dry_run: DryRun = False,
        json: Json = False,
    ) -> None:
        from castalia.production.collider import ColliderRequest, generate_collider

        request = ColliderRequest(
            process=process,
            events=events,
            output=output,
            parameters=parse_parameters(parameter),
            card=card,
            mpi=mpi,
            tune=tune.value,
            point_events=point_events,
            seed=seed,
            workers=workers,
            resume=resume,
            overwrite=overwrite,
            dry_run=dry_run,
        )
        with step_progress(f"{process.name} events") as progress:
            summary = generate_collider(request, progress)
        print_result(summary, json)

    generate.__doc__ = _help(process)
    return generate


def _help(process: HardProcess) -> str:
    parameters = "".join(
        f" Parameter {one.name} in [{one.low:g}, {one.high:g}] GeV, {one.default:g} by default."
        for one in process.parameters
    )
    example = f"castalia generate {process.name} --events 20000{_EXAMPLES.get(process.name, '')} -o {process.name}.root"
    return f"Events as a detector sees them: {process.description}.{parameters}\n\nExample: {example}\n"


def detector(
    inputs: Annotated[
        list[Path],
        typer.Option("--input", metavar="FILE", help="A .hepmc or .lhe file, or its .gz; may be repeated."),
    ],
    output: OutputFile,
    card: CardOption = "cms-like",
    seed: SeedOption = 1,
    workers: Workers = 1,
    resume: Resume = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Events of another program, in HepMC3 or LHE files, as a detector would see them; each worker takes a file.

    Example: castalia generate detector --input events.hepmc --card cms-like -o events.root
    """
    from castalia.production.detector import DetectorRequest, detect

    request = DetectorRequest(
        inputs=tuple(inputs),
        output=output,
        card=card,
        seed=seed,
        workers=workers,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
    )
    with step_progress("files") as progress:
        summary = detect(request, progress)
    print_result(summary, json)


def card(
    delphes: Annotated[Path, typer.Option("--delphes", metavar="FILE", help="A Delphes card, .tcl.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Detector card to write, .toml.")],
    base: Annotated[
        str,
        typer.Option("--base", metavar="CARD", help="Card that all else comes from: acceptance, isolation, jets."),
    ] = "cms-like",
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """A detector card with the formulas of a Delphes card: lepton efficiencies and resolutions, jet scale, b-tags.

    Example: castalia generate card --delphes delphes_card.tcl -o card.toml
    """
    from castalia.data.atomic import write_text
    from castalia.detectors.parametric.card import load_card
    from castalia.detectors.parametric.delphes import card_from_delphes

    if output.exists() and not overwrite:
        raise ConfigError(f"{output}: exists already; choose another name or pass --overwrite to replace it.")
    made = card_from_delphes(delphes, load_card(base)).model_copy(update={"name": delphes.stem})
    write_text(output, made.to_toml())
    print_result({"output": str(output), "name": made.name, "base": base}, json)
