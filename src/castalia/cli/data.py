"""``castalia data``: public collision data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from castalia.cli.console import print_result, step_progress
from castalia.cli.options import Json
from castalia.data.catalogue import PUBLIC_SETS

__all__ = ["app"]

app = typer.Typer(help="Get public collision data.", no_args_is_help=True)

_NAMES = ", ".join(one.name for one in PUBLIC_SETS)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"A public set: {_NAMES}.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the file.")] = Path(),
    json: Json = False,
) -> None:
    """Download a public set with its checksum, go on where that was cut off, or verify what is there.

    Example: castalia data fetch cms-record-212 -o data
    """
    from castalia.data.catalogue import find_public_set
    from castalia.data.download import fetch as fetch_set

    one = find_public_set(name)
    with step_progress(one.file) as progress:
        found = fetch_set(one, output, progress)
    summary = {"file": str(found.path), "state": found.state, "sha256": found.sha256}
    print_result({**summary, "layout": one.layout, "page": one.page}, json)
