"""What the command line shows: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["StepProgress", "duration", "error_console", "print_error", "print_result", "step_progress"]


@cache
def error_console() -> Console:
    """Return the console on standard error, where progress, logs and errors go."""
    return Console(stderr=True, soft_wrap=True)


def print_error(sentence: str) -> None:
    """Write one error sentence to standard error."""
    error_console().print("error:", sentence, style="bold red", markup=False, highlight=False)


def print_result(summary: Mapping[str, Any], as_json: bool) -> None:
    """Write what a command produced to standard output: JSON with ``--json``, aligned lines otherwise."""
    if as_json:
        sys.stdout.write(json.dumps(summary, indent=2, default=str) + "\n")
        return
    width = max((len(name) for name in summary), default=0)
    for name, value in summary.items():
        text = json.dumps(value, default=str) if isinstance(value, dict | list | tuple) else str(value)
        sys.stdout.write(f"{name:<{width}}  {text}\n")


def duration(seconds: float) -> str:
    """Format a time as ``48 s``, ``3 min 20 s`` or ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class StepProgress(Protocol):
    """Callback of anything that takes a while: done so far, total, seconds left and a short text."""

    @abstractmethod
    def __call__(self, done: float, total: float, seconds_left: float | None, text: str = "") -> None:
        """Show one state."""


@contextmanager
def step_progress(title: str) -> Iterator[StepProgress]:
    """Show a progress bar with the time left while the block runs; silent when standard error is not a terminal."""
    console = error_console()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}  {task.fields[text]}"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=None, left="", text="")

        def show(done: float, total: float, seconds_left: float | None, text: str = "") -> None:
            left = "" if seconds_left is None else f"{duration(seconds_left)} left"
            bar.update(task, completed=int(done), total=int(total), left=left, text=text)

        yield show
