"""``castalia inspect``: what is in a file or a run folder, and whether it is what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from castalia.cli.console import print_result
from castalia.cli.options import Json

__all__ = ["inspect"]


def inspect(
    path: Annotated[Path, typer.Argument(metavar="FILE|RUN", help="ROOT, Parquet, HDF5 or CSV file, or a run folder.")],
    tree: Annotated[str | None, typer.Option("--tree", help="TTree to read, where a file has several.")] = None,
    json: Json = False,
) -> None:
    """Show columns, counts and provenance, and verify every content hash; exits 3 or 4 where one differs.

    Example: castalia inspect diphoton.root
    """
    from castalia.cli.inspection import inspect_file, inspect_run

    summary, failure = inspect_run(path) if path.is_dir() else inspect_file(path, tree)
    print_result(summary, json)
    if failure is not None:
        raise failure
