"""Errors a user can act on: one sentence naming the file, the column, the row and the cure, and an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

__all__ = [
    "CastaliaError",
    "ConfigError",
    "DataError",
    "GateError",
    "MachineError",
    "ModelError",
    "StoppedError",
]


class CastaliaError(Exception):
    """Base of every error a command reports in one sentence; ``exit_code`` is what the process returns."""

    exit_code = 1


class MachineError(CastaliaError):
    """The machine or the numbers stopped the work: disk full, locked run folder, NaN loss, lost worker."""

    exit_code = 1


class ConfigError(CastaliaError):
    """A wrong option, configuration key or value, or a missing optional library."""

    exit_code = 2


class DataError(CastaliaError):
    """An input file, column or row that cannot be used."""

    exit_code = 3


class ModelError(CastaliaError):
    """A saved model that is damaged, incompatible, or lacks what the command needs."""

    exit_code = 4


class GateError(CastaliaError):
    """The result was produced and written, but misses a quality threshold."""

    exit_code = 5

    @classmethod
    def of_report(cls, run: object, reasons: Sequence[str]) -> Self:
        """Return the error of a report whose gate gives reasons, of which the first is told.

        Args:
            run: What was judged.
            reasons: One sentence each, at least one.
        """
        more = f" (and {len(reasons) - 1} more reasons in the report)" if len(reasons) > 1 else ""
        return cls(f"{run}: the quality gate failed: {reasons[0]}{more}")


class StoppedError(CastaliaError):
    """SIGTERM arrived; the state was saved and the work can be resumed."""

    exit_code = 143
