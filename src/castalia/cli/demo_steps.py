"""What every demo shares: a folder of its own, and a line for each step: what it does, how long it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

from castalia.cli.console import StepProgress, duration, error_console, step_progress
from castalia.errors import ConfigError

__all__ = ["DemoSteps", "demo_folder", "say"]


@final
class DemoSteps:
    """Announces the steps of a demo one after the other.

    Args:
        expected: Seconds of each step on two cores, as measured.
        folder: Where everything is written.
    """

    def __init__(self, expected: tuple[float, ...], folder: Path) -> None:
        self._expected = expected
        self._number = 0
        say(f"The demo takes about {duration(sum(expected))} on two cores and writes everything to {folder}.")

    @contextmanager
    def step(self, what: str, title: str) -> Iterator[StepProgress]:
        """Announce the next step and show its progress under a short title."""
        seconds = self._expected[self._number]
        self._number += 1
        say(f"[{self._number}/{len(self._expected)}] {what} (about {duration(seconds)})")
        with step_progress(title) as progress:
            yield progress


def demo_folder(folder: Path, overwrite: bool) -> None:
    """Make the folder of a demo.

    Raises:
        ConfigError: If it is a file, or has content and ``overwrite`` is not set.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; name a folder for the demo.")
    if folder.exists() and any(folder.iterdir()) and not overwrite:
        raise ConfigError(f"{folder} is not empty; choose another folder or pass --overwrite.")
    folder.mkdir(parents=True, exist_ok=True)


def say(text: str) -> None:
    """Write a line to standard error."""
    error_console().print(text, markup=False, highlight=False)
