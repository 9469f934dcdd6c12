"""Coverage of the fit by pseudo-experiments: in parallel, resumable, the same for any number of workers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from castalia.apps.scan.experiment import ExperimentResult, Laboratory
from castalia.data.readers import open_reader
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.metrics.bands import ONE_SIGMA
from castalia.metrics.coverage import (
    Coverage,
    PullSummary,
    Threshold,
    calibrated_threshold,
    coverage_of,
    covered_by_errors,
    summarise_pulls,
    wilks_threshold,
)
from castalia.production.pool import produce
from castalia.production.units import Produced, Task, Unit, plan_units
from castalia.rng import Stream

__all__ = [
    "LEVELS",
    "SEARCHED",
    "CoverageSummary",
    "CoverageTask",
    "ParameterCoverage",
    "run_coverage",
    "summarise_coverage",
]

LEVELS = (ONE_SIGMA, 0.95)
"""Levels at which coverage is judged: one standard deviation, and 95 %."""

_WHOLE = ("experiment", "events", "converged", "exact", "searched", "elsewhere")

_UNIT = 10
"""Experiments in a unit of work: seconds of fitting, so that little is lost when a worker dies."""

SEARCHED = 10
"""Of so many experiments one is searched for a lower minimum far from the truth: it costs as much as a fit."""

_FEWEST_FOR_THRESHOLDS = 200


@final
@dataclass(frozen=True)
class ParameterCoverage:
    """How the fit does with one parameter.

    Attributes:
        name: Its name.
        truth: Its true value.
        bias: Mean of estimate minus truth.
        bias_error: Standard error of ``bias``, the shared pool's part included.
        pulls: Pulls by the standard errors of the fit.
        errors: Coverage of the intervals ``estimate ± z error``, by level.
        profile: Coverage of the intervals of the profile likelihood, by level.
        thresholds: Calibrated thresholds of the profile, by level; empty with too few experiments.
        at_limit: Experiments in which the parameter ended at a limit of its range, and has no standard error.
    """

    name: str
    truth: float
    bias: float
    bias_error: float
    pulls: PullSummary
    errors: tuple[Coverage, ...]
    profile: tuple[Coverage, ...]
    thresholds: tuple[Threshold, ...]
    at_limit: int


@final
@dataclass(frozen=True)
class CoverageSummary:
    """Outcome of all pseudo-experiments at one true point.

    Attributes:
        parameters: One entry a parameter.
        joint: Coverage of the region in all parameters, by level.
        joint_thresholds: Its calibrated thresholds, by level; empty with too few experiments.
        experiments: Number of experiments.
        failed: How many did not converge; they have no interval, and are in no other figure but ``Coverage.of_all``.
        exact: How many were fitted with the density itself, not with its surrogate.
        searched: How many of those that converged were searched for the lowest minimum of the whole range, as a fit of
            observed events is; the others have the minimum nearest the truth.
        elsewhere: In how many of these it was another minimum. It is then the one that counts.
        surrogate_error: How far the surrogate's log-likelihood is off; see ``Laboratory``.
        overlap: Expected fraction of events that two experiments share, the largest of signal and background.
    """

    parameters: tuple[ParameterCoverage, ...]
    joint: tuple[Coverage, ...]
    joint_thresholds: tuple[Threshold, ...]
    experiments: int
    failed: int
    exact: int
    searched: int
    elsewhere: int
    surrogate_error: float
    overlap: float


@final
@dataclass(frozen=True)
class CoverageTask(Task):
    """Runs the pseudo-experiments of one unit, each with random numbers of its own.

    Attributes:
        laboratory: What the experiments have in common.
        seed: Seed of all draws.
    """

    laboratory: Laboratory
    seed: int

    @property
    def schema(self) -> Schema:
        """One row for each experiment."""
        names = [parameter.name for parameter in self.laboratory.parameters]
        units = [parameter.unit for parameter in self.laboratory.parameters]
        numbers = [ColumnSpec(name=_column(name, "fit"), unit=unit) for name, unit in zip(names, units, strict=True)]
        numbers += [ColumnSpec(name=_column(name, "error"), unit=unit) for name, unit in zip(names, units, strict=True)]
        numbers += [ColumnSpec(name=_column(name, "rise")) for name in names]
        whole = [ColumnSpec(name=name, dtype="int64") for name in _WHOLE]
        return Schema(columns=(*whole, *numbers, ColumnSpec(name="joint_rise")))

    def run(self, unit: Unit) -> Iterator[Produced]:
        """Yield the rows of the unit's experiments."""
        stream = Stream(self.seed, "pseudo-experiments")
        results = [
            self.laboratory.run(stream.at(number), searched=number % SEARCHED == 0)
            for number in range(unit.start, unit.stop)
        ]
        failed = sum(not result.converged for result in results)
        yield Produced(self._table(unit, results), {"experiments": len(results), "failed": failed})

    def _table(self, unit: Unit, results: list[ExperimentResult]) -> Table:
        columns: dict[str, NDArray[np.generic]] = {
            "experiment": np.arange(unit.start, unit.stop),
            "events": np.array([result.events for result in results]),
            "converged": np.array([int(result.converged) for result in results]),
            "exact": np.array([int(result.exact) for result in results]),
            "searched": np.array([int(result.searched) for result in results]),
            "elsewhere": np.array([int(result.elsewhere) for result in results]),
        }
        for i, parameter in enumerate(self.laboratory.parameters):
            columns[_column(parameter.name, "fit")] = np.array([result.estimate[i] for result in results])
            columns[_column(parameter.name, "error")] = np.array([result.error[i] for result in results])
            columns[_column(parameter.name, "rise")] = np.array([result.rise[i] for result in results])
        columns["joint_rise"] = np.array([result.joint for result in results])
        return Table({name: columns[name] for name in self.schema.names})


def run_coverage(
    laboratory: Laboratory,
    experiments: int,
    output: Path,
    *,
    key: str,
    provenance: Mapping[str, JsonValue],
    seed: int = 1,
    workers: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[float, float, float | None], None] | None = None,
) -> CoverageSummary:
    """Run pseudo-experiments, write one row for each, and sum them up.

    Args:
        laboratory: The pool, the density and the plan.
        experiments: Number of pseudo-experiments.
        output: A ``.parquet`` or ``.root`` file for the rows.
        key: Digest of all that the laboratory was made of: run, pool files, plan.
        provenance: For the sidecar of the output; it must name what ``key`` stands for.
        seed: Seed of the draws. Experiment i is the same whatever their number.
        workers: Number of processes.
        resume: Go on with what an interrupted run of the same job has finished.
        overwrite: Replace an existing output.
        progress: As for ``production.pool.produce``.

    Raises:
        ConfigError: If the output exists or a number makes no sense.
        MachineError: If workers keep dying, or the disk is full.
    """
    units = plan_units(f"{key}\x1f{seed}", experiments, _UNIT)
    task = CoverageTask(laboratory, seed)
    words = {**provenance, "laboratory": key, "seed": seed}
    produce(
        task, units, output, workers=workers, resume=resume, overwrite=overwrite, provenance=words, progress=progress
    )
    with open_reader(output) as reader:
        table = Table.concatenate(list(reader.iterate(task.schema.names, 65_536)))
    return summarise_coverage(table, laboratory)


def summarise_coverage(table: Table, laboratory: Laboratory) -> CoverageSummary:
    """Sum up the rows that ``run_coverage`` wrote; what too few experiments leave unknown is NaN."""
    good = table.take(np.asarray(table["converged"], dtype=np.bool_))
    failed = len(table) - len(good)
    overlap, names = laboratory.overlap, [parameter.name for parameter in laboratory.parameters]
    joint = np.asarray(good["joint_rise"])
    return CoverageSummary(
        parameters=tuple(
            _parameter(good, name, float(t), overlap, failed) for name, t in zip(names, laboratory.truth, strict=True)
        ),
        joint=_below(joint, len(names), overlap, failed),
        joint_thresholds=_thresholds(joint, len(names)),
        experiments=len(table),
        failed=failed,
        exact=int(np.sum(table["exact"])),
        searched=int(np.sum(good["searched"])),
        elsewhere=int(np.sum(good["elsewhere"])),
        surrogate_error=laboratory.surrogate_error,
        overlap=overlap,
    )


def _parameter(table: Table, name: str, truth: float, overlap: float, failed: int) -> ParameterCoverage:
    values, errors, rise = (np.asarray(table[_column(name, what)]) for what in ("fit", "error", "rise"))
    known = np.isfinite(errors)
    values_known, errors_known, at_limit = values[known], errors[known], int((~known).sum())
    shift = _pulls(values - truth, overlap)
    return ParameterCoverage(
        name=name,
        truth=truth,
        bias=shift.mean,
        bias_error=shift.mean_error,
        pulls=_pulls((values_known - truth) / errors_known, overlap),
        errors=tuple(
            coverage_of(
                covered_by_errors(values_known, errors_known, truth, level),
                level,
                overlap=overlap,
                left_out=failed + at_limit,
            )
            for level in LEVELS
        ),
        profile=_below(rise, 1, overlap, failed),
        thresholds=_thresholds(rise, 1),
        at_limit=at_limit,
    )


def _pulls(values: NDArray[np.float64], overlap: float) -> PullSummary:
    if len(values) < 2:
        return PullSummary(math.nan, math.nan, math.nan, math.nan, len(values))
    return summarise_pulls(values, overlap=overlap)


def _below(rise: NDArray[np.float64], parameters: int, overlap: float, failed: int) -> tuple[Coverage, ...]:
    return tuple(
        coverage_of(
            rise <= wilks_threshold(level, parameters), level, overlap=overlap, parameters=parameters, left_out=failed
        )
        for level in LEVELS
    )


def _thresholds(rise: NDArray[np.float64], parameters: int) -> tuple[Threshold, ...]:
    if len(rise) < _FEWEST_FOR_THRESHOLDS:
        return ()
    return tuple(calibrated_threshold(rise, level, parameters) for level in LEVELS)


def _column(parameter: str, what: str) -> str:
    return f"{parameter}_{what}"
