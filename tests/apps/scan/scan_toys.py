"""Small samples whose density is known: x ~ N(theta, 1) and y ~ N(0, 1), selected with a probability that grows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from castalia.rng import Stream

CONFIG = """\
[data]
files = ["signal.parquet"]
{data}

[parameters]
theta = {{ column = "true_theta", unit = "GeV" }}
scale = {{ column = "true_scale", constraint = [1.0, 0.05] }}

[observables]
x = {{ column = "x", unit = "GeV" }}
y = {{ column = "y" }}

{sections}

[model]
{model}
options = {{ blocks = 1, hidden = [16, 16] }}

[training]
epochs = 6
batch_size = 256
"""
BACKGROUND = '[background]\nfiles = ["background.parquet"]'
YIELD = "[yield]\nluminosity = 10.0\nbackground_events = 300.0\nbackground_error = 20.0\ncross_section = {}"


def efficiency(theta):
    return 1 / (1 + np.exp(-1 - theta))


def cross_section(theta):
    return 0.05 * np.exp(0.4 * theta - 0.1 * theta**2)


def signal(count: int, seed: int = 1) -> dict[str, np.ndarray]:
    rng = Stream(seed, "scan toys").at()
    theta, scale = rng.uniform(-2, 2, count), rng.normal(1.0, 0.05, count)
    selected = rng.random(count) < efficiency(theta)
    x = np.where(selected, scale * rng.normal(theta, 1), np.nan)  # what a rejected event holds is not looked at
    y = np.where(selected, rng.standard_normal(count), np.nan)
    return {
        "true_theta": theta,
        "true_scale": scale,
        "x": x,
        "y": y,
        "selected": selected,
        "sigma": cross_section(theta),
    }


def background(count: int) -> dict[str, np.ndarray]:
    rng = Stream(2, "scan toys").at()
    return {"x": rng.normal(0, 3, count), "y": rng.normal(1, 1, count), "selected": np.ones(count, bool)}


def write(folder: Path, count: int = 5000, **changed: np.ndarray) -> None:
    """Write both files into ``folder``; ``changed`` columns of the signal take the place of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({**signal(count), **changed}), folder / "signal.parquet")
    pq.write_table(pa.table(background(count // 2)), folder / "background.parquet")


def config(folder: Path, sections: str = "", model: str = "", data: str = 'selection = "selected"') -> Path:
    path = folder / "scan.toml"
    path.write_text(CONFIG.format(sections=sections, model=model, data=data))
    return path
