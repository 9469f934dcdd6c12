"""A peak of unknown place on a falling background: simulate it, learn it, fit it; the commands of scan, from Python.

``python scan_peak.py peak`` leaves everything in the folder ``peak``; open ``peak/report/report.html``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from castalia.apps.scan.run import FitRequest, fit_files
from castalia.apps.scan.train import train
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.data.writers import open_writer

CONFIG = """\
[data]
files = ["signal.parquet"]

[parameters]
mass = { column = "theta_mass", unit = "GeV" }

[observables]
m = { column = "m", unit = "GeV", bounds = [100.0, 200.0] }
pt = { column = "pt", unit = "GeV", bounds = [0.0, inf] }

[background]
files = ["background.parquet"]

[training]
epochs = EPOCHS
"""


def write(path: Path, columns: dict[str, NDArray[np.float64]]) -> None:
    """Write columns to a file; a program of your own may as well use pyarrow or uproot."""
    schema = Schema(columns=tuple(ColumnSpec(name=name, dtype="float64") for name in columns))
    with open_writer(path, schema) as writer:
        writer.write(Table(columns))


def signal(mass: NDArray[np.float64], rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """Events of a resonance, one for each mass, with a resolution of 2 %."""
    return {"m": mass * rng.normal(1.0, 0.02, len(mass)), "pt": rng.gamma(3.0, 25.0, len(mass))}


def background(events: int, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    """Events of a spectrum that falls in both observables."""
    m = 100.0 - 40.0 * np.log(1.0 - rng.random(events) * (1.0 - np.exp(-2.5)))
    return {"m": m, "pt": rng.gamma(2.0, 20.0, events)}


def main(folder: Path, simulated: int = 40_000, epochs: int = 20) -> dict[str, object]:
    """Make the files, train and fit; return the summary of the fit."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    masses = rng.uniform(115.0, 135.0, simulated)  # no grid: each event has a mass of its own
    write(folder / "signal.parquet", {**signal(masses, rng), "theta_mass": masses})
    write(folder / "background.parquet", background(simulated, rng))
    mixed = (signal(np.full(300, 125.0), rng), background(2700, rng))
    write(folder / "observed.parquet", {name: np.concatenate([part[name] for part in mixed]) for name in ("m", "pt")})
    (folder / "scan.toml").write_text(CONFIG.replace("EPOCHS", str(epochs)))
    train(folder / "scan.toml", folder / "run")
    observed, truth = (folder / "observed.parquet",), {"mass": 125.0, "signal_fraction": 0.1}
    summary, failure = fit_files(FitRequest(folder / "run", observed, folder / "report", truth=truth))
    if failure is not None:
        raise failure
    return summary


if __name__ == "__main__":
    print(main(Path(sys.argv[1]))["parameters"])
