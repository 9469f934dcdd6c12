"""Does the band of an ensemble cover the truth? ``python benchmarks/ensemble_coverage.py [--quick] [--sample N]``.

Toy diphoton events of the baseline scenario. For each of several training samples a nominal model and its bootstrap
members are trained as ``castalia simulate train`` does it (preset ``compact``, its default training). Bins are the
tails of all six pulls (2 to 4 widths, either side) and of the diphoton mass (10 to 20 GeV from 125 GeV). A model's
yield in a bin over the true one is the mean, over true events in the bin, of the model's density over the true
density: the limit of infinitely many sampled events, with a statistical error far below a member's spread. The truth is
then exactly one in every bin. Goal: the 68 % band covers it in 58 to 78 % of all bins.

``--sample N`` trains the models of one training sample only, so that several processes can share the work.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.simulate.config import parse_config
from castalia.data.layout import Layout, Variable
from castalia.detectors.diphoton import diphoton_condition
from castalia.detectors.photon_response import PhotonResponse
from castalia.estimators.arrays import batch_from_arrays, to_numpy
from castalia.estimators.base import Batch, Density
from castalia.estimators.registry import build
from castalia.metrics.bands import coverage, member_band
from castalia.physics.masses import diphoton_mass
from castalia.processes.diphoton import diphoton_truth
from castalia.rng import Stream
from castalia.runs.members import bootstrap, member_training
from castalia.training.fit import fit
from record import Goal, add_row, load_rows, write_result

PATHS = ["benchmarks/ensemble_coverage.py", "src/castalia"]
TARGETS = ("et_1", "eta_1", "phi_1", "et_2", "eta_2", "phi_2")
PULL_EDGES = np.array([2.0, 2.5, 3.0, 3.5, 4.0])
MASS, MASS_EDGES = 125.0, np.array([10.0, 15.0, 20.0])
PULL_BINS = len(PULL_EDGES) - 1
CHUNK = 65_536


@dataclass(frozen=True)
class Size:
    """How much is done."""

    training: int
    validation: int
    samples: int
    members: int
    truth: int
    low: float
    high: float


# The quick form has a claim of its own: few members and few bins say only that the band is no fantasy.
FULL = Size(1_000_000, 100_000, 2, 7, 4_000_000, 0.58, 0.78)
QUICK = Size(20_000, 5_000, 1, 5, 500_000, 0.30, 0.95)


@dataclass(frozen=True)
class TailEvents:
    """True events in at least one tail bin.

    Attributes:
        batch: Conditions and responses.
        log_true: Log-density of each response, shape ``(events,)``.
        bins: Whether each event is in each bin, shape ``(events, bins)``.
    """

    batch: Batch
    log_true: NDArray[np.float64]
    bins: NDArray[np.bool_]


def layout() -> Layout:
    """Return the variables of ``examples/diphoton.toml`` in the order of ``PhotonResponse``."""
    condition = [Variable(f"et_{i}", "GeV", "log", group="et", object_index=i - 1) for i in (1, 2)]
    condition += [Variable(f"eta_{i}", group="eta", object_index=i - 1) for i in (1, 2)]
    scales = {"et": 20.0, "eta": 0.005, "phi": 0.01}
    target = [
        Variable(name, scale=scales[name[:-2]], group=name[:-2], object_index=int(name[-1]) - 1) for name in TARGETS
    ]
    return Layout((*condition, Variable("mu", group="mu")), tuple(target))


def events(count: int, seed: int, unit: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return conditions, responses and the photons' true (et, eta, phi), shape ``(events, 2, 3)``."""
    table = diphoton_truth("toy", count, seed, unit)
    condition = diphoton_condition(table)
    response = PhotonResponse().sample(condition, Stream(seed, "coverage response", str(unit)).at())
    photons = np.stack([np.asarray(table[f"photon_{name}_true"]) for name in ("et", "eta", "phi")], axis=2)
    return condition, response, photons


def tail_events(count: int) -> TailEvents:
    """Draw ``count`` true events and keep those in a tail bin."""
    truth, pieces = PhotonResponse(), []
    for unit, start in enumerate(range(0, count, 500_000)):
        condition, response, photons = events(min(500_000, count - start), 77, unit)
        pulls = truth.pulls(condition, response)
        found = photons + response.reshape(-1, 2, 3)
        offset = diphoton_mass(found[:, :, 0], found[:, :, 1], found[:, :, 2]) - MASS
        columns = [
            (side * values >= low) & (side * values < high)
            for values, edges in [*((pull, PULL_EDGES) for pull in pulls.T), (offset, MASS_EDGES)]
            for side in (-1, 1)
            for low, high in itertools.pairwise(edges)
        ]
        bins = np.stack(columns, axis=1)
        kept = bins.any(axis=1)
        pieces.append((condition[kept], response[kept], bins[kept]))
    condition, response, bins = (np.concatenate(part) for part in zip(*pieces, strict=True))
    return TailEvents(batch_from_arrays(condition, response), truth.log_density(condition, response), bins)


def yields(model: Density, tails: TailEvents) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the model's yield over the true one in each bin, and its statistical error."""
    with torch.inference_mode():
        scores = [to_numpy(model.log_prob(piece)) for piece in tails.batch.chunks(CHUNK)]
    ratio = np.exp(np.concatenate(scores).astype(np.float64) - tails.log_true)
    counts = tails.bins.sum(axis=0)
    mean = ratio @ tails.bins / counts
    square = np.square(ratio) @ tails.bins / counts
    return mean, np.sqrt((square - mean**2) / counts)


def trained(sample: int, member: int, size: Size) -> Density:
    """Train one model of the ensemble of one training sample."""
    path = Path("coverage.toml")
    text = (
        f'[data]\nfiles = ["none.root"]\n[condition]\n[target]\nx = {{ column = "x" }}\n[training]\nseed = {sample}\n'
    )
    nominal = parse_config(text, path, path.parent)
    settings = member_training(nominal.training, member)
    training, validation = (
        batch_from_arrays(*events(count, 100 + sample, unit)[:2])
        for unit, count in enumerate((size.training, size.validation))
    )
    if member:
        training = bootstrap(training, nominal.training.seed, member)
    name, options = nominal.model.resolve()
    model: Any = build(name, options, layout(), settings.seed)
    fit(model, training, validation, settings)
    scored: Density = model
    return scored


def main() -> None:
    """Train what is not yet trained, measure the coverage and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sample", type=int, metavar="N", help="train those of this training sample, from 0")
    options = parser.parse_args()
    size, name = (QUICK if options.quick else FULL), f"ensemble_coverage{'_quick' if options.quick else ''}"
    rows, tails = load_rows(name, PATHS), tail_events(size.truth)
    for sample in range(size.samples) if options.sample is None else (options.sample,):
        for member in range(size.members):
            key, started = f"{sample}/{member}", time.monotonic()
            if key in rows:
                continue
            mean, errors = yields(trained(sample, member, size), tails)
            spent = time.monotonic() - started
            rows[key] = {"yields": mean.tolist(), "errors": errors.tolist(), "seconds": round(spent, 1)}
            add_row(name, key, rows[key], paths=PATHS, seconds=spent)
    rows = {**rows, **load_rows(name, PATHS)}
    if len(rows) == size.samples * size.members:
        finish(name, size, rows, len(tails.batch))


def finish(name: str, size: Size, rows: Mapping[str, Any], tail_count: int) -> None:
    """Measure the coverage over the rows of all models and write the result."""
    table = np.array([[rows[f"{s}/{m}"]["yields"] for m in range(size.members)] for s in range(size.samples)])
    statistical = np.array([[rows[f"{s}/{m}"]["errors"] for m in range(size.members)] for s in range(size.samples)])
    bands = [member_band(one) for one in table]
    inside = np.concatenate([band.covers(np.ones(table.shape[2])) for band in bands])
    covered, error = coverage(inside, np.repeat(np.arange(size.samples), table.shape[2]))
    spread = np.stack([band.spread for band in bands])
    values = {
        "coverage_68": covered,
        "coverage_68_error": error,
        "coverage_by_pull": inside.reshape(size.samples, -1)[:, : PULL_BINS * 2 * len(TARGETS)]
        .reshape(-1, PULL_BINS)
        .mean(axis=0),
        "bins": table.shape[2],
        "samples": size.samples,
        "members": size.members - 1,
        "training_events": size.training,
        "tail_events": tail_count,
        "median_spread": np.median(spread),
        "median_shift": np.median(np.abs(np.stack([band.mean - band.nominal for band in bands]))),
        "median_deviation": np.median(np.abs(table[:, 0] - 1.0)),
        "rms_deviation_over_spread": np.sqrt(np.mean(np.square((table[:, 0] - 1.0) / spread))),
        "statistical_error_over_spread": np.median(statistical[:, 0] / spread),
    }
    goals = [
        Goal("coverage of the 68 % band, tail bins", covered, ">=", size.low, error=error),
        Goal("coverage of the 68 % band, tail bins (not above)", covered, "<=", size.high, error=error),
        Goal("statistical error of the truth over the spread", values["statistical_error_over_spread"], "<=", 0.3),
    ]
    seconds = sum(row["seconds"] for row in rows.values())
    write_result(name, values=values, goals=goals, paths=PATHS, seeds=list(range(size.samples)), seconds=seconds)


if __name__ == "__main__":
    main()
