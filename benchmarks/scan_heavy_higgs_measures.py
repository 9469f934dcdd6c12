"""What the heavy-Higgs scan benchmark works with: its observables, the trained run, pools and pseudo-experiments."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from castalia.apps.scan.coverage_run import CoverageRequest, coverage_of_pool
from castalia.apps.scan.events import read_observed, read_pool
from castalia.apps.scan.experiment import Plan
from castalia.apps.scan.fit import FitModel
from castalia.apps.scan.goodness import HeldOut, load_held_out
from castalia.apps.scan.model import BACKGROUND, SIGNAL, ScanModel, open_model
from castalia.apps.scan.run import fit_model
from castalia.apps.scan.train import train
from castalia.data.readers import open_reader
from castalia.data.table import Table

__all__ = [
    "MASSES",
    "OBSERVABLES",
    "Opened",
    "Pools",
    "experiments",
    "open_run",
    "plan_for",
    "read_pools",
    "read_training",
    "train_run",
]

Array = NDArray[np.float64]

MASSES = ("m_H", "m_Hpm")
OBSERVABLES = ("m_total", "m_jjbb", "m_lvbb", "m_bb", "m_jjb", "ht", "m_lvb", "pt_bb")
"""What the densities are of, all in GeV.

Chosen with 22,000 signal and 33,000 background events for training, by the curvature of the likelihood of held-out
events: 2,000 signal events on 20,000 give errors of 2.6 and 3.0 GeV on m_H and m_Hpm, and 3.0 and 2.9 GeV without the
last two.
"""

# No more than the energy of the collision: as good as a logarithm. Without, 0.05 nat per signal event are lost.
_BOUNDS = "bounds = [0.0, 13000.0]"
# By the loss of validation events, in nat an event less than with the preset's own network: 0.11, and 0.13 with batches
# of 256 for the signal. The background's network is 0.12 nat better on training than on validation events: several.
_BACKGROUND = "options = { blocks = 4, hidden = [96, 96], bins = 24 }\naverage = 4"
_LARGEST_SHARE = 1.0 / 5.0  # of a pool that one experiment may take


@dataclass(frozen=True)
class Opened:
    """A trained run.

    Attributes:
        path: The run folder.
        model: The model in it.
        fitted: What a fit takes of it.
        held_out: Held-out events by the label of their part.
    """

    path: Path
    model: ScanModel
    fitted: FitModel
    held_out: Mapping[str, HeldOut]


@dataclass(frozen=True)
class Pools:
    """Events that data sets are drawn from; none of a training.

    Attributes:
        theta: True masses of the signal in GeV, shape ``(2,)``.
        signal: Signal events, shape ``(events, observables)``.
        background: Background events, likewise.
        plan: Numbers of events of a data set.
    """

    theta: Array
    signal: Array
    background: Array
    plan: Plan

    @property
    def truth(self) -> Array:
        """True masses and fraction of signal."""
        return np.append(self.theta, self.plan.signal / (self.plan.signal + self.plan.background))

    def draw(self, rng: np.random.Generator, scale: float = 1.0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw the rows of signal and of background of one data set, no event twice."""
        plan = Plan(self.plan.signal * scale, self.plan.background * scale)
        pools = (self.signal, self.background)
        signal, background = (
            np.sort(rng.choice(len(pool), number, replace=False))
            for pool, number in zip(pools, plan.draw(rng), strict=True)
        )
        return signal, background

    def data(self, rng: np.random.Generator, scale: float = 1.0) -> Array:
        """Draw the events of one data set."""
        signal, background = self.draw(rng, scale)
        return np.concatenate([self.signal[signal], self.background[background]])


def plan_for(signal: int, background: int, wanted: tuple[float, float]) -> Plan:
    """Return the numbers of events wanted, or as large a share of both that no experiment takes more than a fifth.

    Args:
        signal: Signal events in their pool.
        background: Background events in theirs.
        wanted: Signal and background events of an experiment.
    """
    scale = min(
        1.0, *(_LARGEST_SHARE * pool / number for pool, number in zip((signal, background), wanted, strict=True))
    )
    return Plan(wanted[0] * scale, wanted[1] * scale)


def train_run(signal: Path, background: Path, run: Path, epochs: int, seed: int) -> dict[str, Any]:
    """Train a run by ``castalia scan train``, from a configuration beside it; an earlier run is replaced."""
    observables = "\n".join(f'{name} = {{ column = "{name}", unit = "GeV", {_BOUNDS} }}' for name in OBSERVABLES)
    parameters = "\n".join(f'{name} = {{ column = "theta_{name}", unit = "GeV" }}' for name in MASSES)
    config = run.with_name(f"{run.name}.toml")
    config.write_text(
        f'[data]\nfiles = ["{signal.name}"]\nselection = "semileptonic"\n[parameters]\n{parameters}\n'
        f'[observables]\n{observables}\n[background]\nfiles = ["{background.name}"]\n{_BACKGROUND}\n'
        f'[model]\npreset = "scan"\noptions = {{ blocks = 3 }}\n'
        f"[training]\nepochs = {epochs}\nbatch_size = 256\nlearning_rate = 5e-3\nseed = {seed}\n",
        encoding="utf-8",
    )
    begin = time.process_time()
    summary = train(config, run, overwrite=True)
    return {"cpu_seconds": time.process_time() - begin, **{k: v for k, v in summary.items() if k != "run"}}


def open_run(run: Path) -> Opened:
    """Open a trained run with its held-out events."""
    model = open_model(run)
    kept = {"Signal": load_held_out(run / "models" / SIGNAL), "Background": load_held_out(run / "models" / BACKGROUND)}
    held_out = {label: events for label, events in kept.items() if events is not None}
    return Opened(run, model, fit_model(model), held_out)


def read_training(path: Path) -> tuple[Array, Array]:
    """Return observables and masses of all selected events of a file; no masses of background."""
    with open_reader(path) as reader:
        masses = [name for name in (f"theta_{mass}" for mass in MASSES) if name in reader.columns()]
        table = Table.concatenate(list(reader.iterate((*OBSERVABLES, *masses, "semileptonic"), 65_536)))
    selected = np.asarray(table["semileptonic"], dtype=np.bool_)
    x, theta = (
        np.stack([np.asarray(table[name])[selected] for name in names], axis=1) if names else np.empty((0, 0))
        for names in (OBSERVABLES, masses)
    )
    return x, theta


def read_pools(run: Opened, signal: Path, background: Path, wanted: tuple[float, float]) -> Pools:
    """Read the pools of one true point."""
    events, theta = read_pool(run.model.config, (signal,))
    noise = read_observed(run.model.config, (background,))
    return Pools(theta, events.x, noise.x, plan_for(len(events), len(noise), wanted))


def experiments(run: Opened, pools: Pools, files: tuple[Path, Path], number: int, report: Path) -> dict[str, Any]:
    """Run pseudo-experiments by ``castalia scan coverage``; return what it says, and the errors of the estimates."""
    begin = time.process_time()
    coverage_of_pool(
        CoverageRequest(
            run=run.path,
            pool=files[:1],
            output=report,
            experiments=number,
            signal_events=pools.plan.signal,
            background_pool=files[1:],
            background_events=pools.plan.background,
            overwrite=True,
        )
    )
    metrics = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    with open_reader(report.with_name(f"{report.name}.parquet")) as reader:
        rows = Table.concatenate(list(reader.iterate(tuple(reader.columns()), 65_536)))
    good = np.asarray(rows["converged"], dtype=np.bool_)
    names = [one["name"] for one in metrics["parameters"]]
    errors = np.column_stack([np.asarray(rows[f"{name}_fit"])[good] for name in names]) - pools.truth
    return {"coverage": metrics, "errors": errors, "seconds": time.process_time() - begin}
