"""SIGTERM during a training: noted between steps, or acted on at once where nothing can be half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self, final

from castalia.errors import StoppedError

__all__ = ["Termination"]


@final
class Termination:
    """Context manager that catches SIGTERM; outside the main thread, where Python allows no handler, it does nothing.

    Attributes:
        requested: True once the signal has arrived.
    """

    def __init__(self) -> None:
        self.requested = False
        self._at_once = False
        self._handles = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Self:
        """Install the handler."""
        if self._handles:
            self._previous = signal.signal(signal.SIGTERM, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        """Put back the handler that was there before."""
        if self._handles:
            # None stands for a handler that was not installed from Python and cannot be put back.
            signal.signal(signal.SIGTERM, signal.SIG_DFL if self._previous is None else self._previous)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within the block the signal raises `StoppedError` immediately: for long work that may be cut anywhere."""
        self._at_once = True
        try:
            if self.requested:
                raise StoppedError("stopped by SIGTERM before anything was changed; start the command again.")
            yield
        finally:
            self._at_once = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if self._at_once:
            self._at_once = False
            raise StoppedError("stopped by SIGTERM before anything was changed; start the command again.")
