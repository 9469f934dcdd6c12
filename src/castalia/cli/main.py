"""``castalia``: the root command, its exit codes and the one place where an error becomes a sentence."""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from castalia import __version__
from castalia.cli import classify, data, demo, export, generate, inspect, pixels, report, scan, simulate, unfold
from castalia.cli.console import error_console, print_error
from castalia.errors import CastaliaError, MachineError, StoppedError

__all__ = ["app", "main"]

INTERRUPTED = 130  # what shells expect after Ctrl-C

app = typer.Typer(
    name="castalia",
    help="Learn both directions of a collider experiment from events. "
    "Add --debug to any command for a traceback instead of a one-sentence error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("demo")(demo.demo)
app.add_typer(data.app, name="data")
app.add_typer(generate.app, name="generate")
app.add_typer(simulate.app, name="simulate")
app.add_typer(unfold.app, name="unfold")
app.add_typer(scan.app, name="scan")
app.add_typer(classify.app, name="classify")
app.add_typer(pixels.app, name="pixels")
app.command("inspect")(inspect.inspect)
app.command("export")(export.export)
app.command("report")(report.report)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Learn both directions of a collider experiment from events."""


def main() -> None:
    """Run the command line and exit with the code that architecture.md lists for what happened."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    if debug:
        arguments.remove("--debug")
    _start_logging(debug)
    # Training and production catch the signal themselves and save first; elsewhere it must still clean up.
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        code = app(args=arguments, prog_name="castalia", standalone_mode=False)
    except typer.TyperException as error:
        if message := error.format_message():  # empty where the help was already shown instead
            print_error(f"{message} Add --help to the command to see what it takes.")
        sys.exit(2)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except (CastaliaError, OSError, KeyboardInterrupt, typer.Abort) as error:
        if debug:
            raise
        sys.exit(_explain(error))
    finally:
        signal.signal(signal.SIGTERM, before)
    if code == INTERRUPTED:  # as some versions of typer report Ctrl-C, without a word
        sys.exit(_explain(KeyboardInterrupt()))
    sys.exit(code if isinstance(code, int) else 0)


def _stop(number: int, frame: FrameType | None) -> None:
    raise StoppedError("Stopped by SIGTERM; no file is half-written.")


def _explain(error: BaseException) -> int:
    if isinstance(error, CastaliaError):
        print_error(str(error))
        return error.exit_code
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        print_error(f"{place}{error.strerror or error}; free the resource or mend the path and run the command again.")
        return MachineError.exit_code
    print_error("Interrupted; no file is half-written, and a training or production goes on with --resume.")
    return INTERRUPTED


def _start_logging(debug: bool) -> None:
    from rich.logging import RichHandler

    console = error_console()
    handler: logging.Handler
    if console.is_terminal:
        handler = RichHandler(console=console, show_path=False, show_level=debug, markup=False)
        handler.setFormatter(logging.Formatter("%(message)s", datefmt="%H:%M:%S"))
    else:  # a log file of a batch system: whole lines, no layout
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logger = logging.getLogger("castalia")
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    logger.propagate = False
