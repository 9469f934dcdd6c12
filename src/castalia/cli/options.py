"""Options that several commands share, so that they are spelt and explained alike everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from castalia.errors import ConfigError

__all__ = [
    "DryRun",
    "Json",
    "OutputFile",
    "Overwrite",
    "RenameOption",
    "ReportOutput",
    "Resume",
    "RunArgument",
    "RunOutput",
    "SeedOption",
    "SkipBad",
    "SkipBadFiles",
    "TrainingSeed",
    "Tree",
    "Workers",
    "parse_choice",
    "parse_rename",
    "parse_values",
]

Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an interrupted command stopped.")]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Open the inputs, check them, run one batch, estimate time and disk; write nothing."
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of every random number of this command.")]
SkipBad = Annotated[
    int,
    typer.Option(
        "--skip-bad", min=0, metavar="N", help="Leave out and count up to N unusable rows (NaN, out of range)."
    ),
]
SkipBadFiles = Annotated[
    bool,
    typer.Option(
        "--skip-bad-files",
        help="Leave out and record whole files that cannot be used (damaged, cut short, without a column); "
        "every file is read through once to find out.",
    ),
]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes; the result does not depend on it.")]
RenameOption = Annotated[
    list[str] | None,
    typer.Option("--rename", metavar="COLUMN=BRANCH", help="Read COLUMN from the file's BRANCH; may be repeated."),
]
Tree = Annotated[
    str | None, typer.Option("--tree", help="TTree to read, where it is not the one of the configuration.")
]
TrainingSeed = Annotated[int | None, typer.Option("--seed", min=0, help="Instead of the configuration's seed.")]
OutputFile = Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="File to write, .root or .parquet.")]
RunOutput = Annotated[Path, typer.Option("-o", "--output", metavar="RUN", help="Run folder to create.")]
ReportOutput = Annotated[Path, typer.Option("-o", "--output", metavar="REPORT", help="Report folder to create.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder written by `train`.")]


def parse_choice(text: str, refusal: str) -> float | tuple[float, float]:
    """Turn ``VALUE`` or ``LOW:HIGH`` of an option into a number or an interval.

    Raises:
        ConfigError: If it is neither, with ``refusal`` as its sentence.
    """
    low, colon, high = text.partition(":")
    try:
        return (float(low), float(high)) if colon else float(low)
    except ValueError:
        raise ConfigError(refusal) from None


def parse_rename(pairs: Sequence[str] | None) -> dict[str, str]:
    """Turn ``COLUMN=BRANCH`` words into a mapping.

    Raises:
        ConfigError: If a word has no ``=`` or a column is renamed twice.
    """
    renamed: dict[str, str] = {}
    for pair in pairs or ():
        column, equals, branch = pair.partition("=")
        if not (equals and column and branch):
            raise ConfigError(f"--rename {pair!r}: write COLUMN=BRANCH, such as photon_et=ph_et.")
        if column in renamed:
            raise ConfigError(f"--rename names column {column!r} twice ({renamed[column]} and {branch}); keep one.")
        renamed[column] = branch
    return renamed


def parse_values(pairs: Sequence[str] | None, option: str) -> dict[str, float]:
    """Turn ``NAME=NUMBER`` words of an option into a mapping.

    Raises:
        ConfigError: If a word is something else, or a name is given twice.
    """
    values: dict[str, float] = {}
    for pair in pairs or ():
        name, _, text = pair.partition("=")
        if not name:
            raise ConfigError(f"{option} {pair!r}: has no name; write NAME=VALUE, such as m_H=475.")
        if name in values:
            raise ConfigError(f"{option} names {name!r} twice; keep one.")
        try:
            values[name] = float(text)
        except ValueError:
            raise ConfigError(f"{option} {pair!r}: write NAME=NUMBER, such as m_H=475.") from None
    return values
