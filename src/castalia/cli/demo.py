"""``castalia demo``: the whole way of an application, from Pythia events to a report."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from castalia.cli.console import print_result
from castalia.cli.options import Json, Overwrite, SeedOption, Workers
from castalia.errors import CastaliaError, ConfigError

__all__ = ["demo"]

Demo: TypeAlias = Callable[[Path, bool, int, int, bool], tuple[dict[str, Any], CastaliaError | None]]


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for everything the demo makes.")
    ],
    application: Annotated[
        str, typer.Argument(help="What to show: simulate, scan, unfold, classify or pixels.")
    ] = "simulate",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer events: about two minutes instead of eight.")] = False,
    process: Annotated[
        str | None,
        typer.Option(help="Of simulate: ttH (default) or ggH by Pythia 8, or toy, which needs no Pythia."),
    ] = None,
    real: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Of classify: pre-train on this file of CMS open data: record 212 (castalia data fetch), or muons.",
        ),
    ] = None,
    seed: SeedOption = 1,
    workers: Workers = 2,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Generate Pythia events, learn from them and report, for one of the applications.

    Example: castalia demo --quick -o demo
    """
    from castalia.cli.demo_classify import demo_classify
    from castalia.cli.demo_pixels import demo_pixels
    from castalia.cli.demo_scan import demo_scan
    from castalia.cli.demo_simulate import demo_simulate
    from castalia.cli.demo_steps import demo_folder
    from castalia.cli.demo_unfold import demo_unfold

    others: dict[str, Demo] = {
        "scan": demo_scan,
        "unfold": demo_unfold,
        "classify": partial(demo_classify, real=real),
        "pixels": demo_pixels,
    }
    if application != "simulate" and application not in others:
        raise ConfigError(f"There is no demo of {application!r}; known: simulate, {', '.join(others)}.")
    if application in others and process is not None:
        raise ConfigError(f"--process {process}: the demo of {application} has its own; leave the option out.")
    if application != "classify" and real is not None:
        raise ConfigError(f"--real {real}: only the demo of classify pre-trains; leave the option out.")
    demo_folder(output, overwrite)
    if application in others:
        summary, failure = others[application](output, quick, seed, workers, overwrite)
    else:
        summary, failure = demo_simulate(output, quick, process or "ttH", seed, workers, overwrite)
    print_result(summary, json)
    if failure is not None:
        raise failure
