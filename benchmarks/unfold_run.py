"""What the unfolding benchmarks begin with: samples, and a model of them, trained where it is missing and then kept."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tomli_w
import torch
from numpy.typing import NDArray

from castalia.apps.unfold.config import PRESET
from castalia.apps.unfold.model import PosteriorModel, open_model
from castalia.apps.unfold.train import train
from castalia.data.atomic import write_text
from castalia.data.feature_arrays import FeatureArrays
from castalia.rng import Stream
from castalia.runs.folder import RunFolder
from castalia.runs.unlearned import files_to_judge_on, load_unlearned
from collider_samples import make_samples
from record import ROOT
from unfold_data import FULL, QUICK, samples_folder, samples_parser
from unfold_default import LARGE, SMALL
from unfold_selected import selected_files

__all__ = [
    "POSTERIOR",
    "SOURCES",
    "UnfoldBench",
    "configuration",
    "draw_numbers",
    "prepare",
    "read_unlearned",
    "trained_run",
]

EXAMPLE = ROOT / "examples" / "unfold.toml"
"""What is measured, and what is unfolded to, of every benchmark."""


_OF_MEASUREMENTS = ("bottom_line.py", "chi_squared.py")


def _inside(folder: str, without: Sequence[str]) -> list[str]:
    """Return what is in a folder of sources, but for what other applications alone use."""
    found = sorted(one.name for one in (ROOT / folder).iterdir() if not one.name.startswith("__"))
    return [f"{folder}/{name}" for name in found if name not in without]


POSTERIOR = [
    "benchmarks/unfold_data.py",
    "benchmarks/unfold_run.py",
    "benchmarks/unfold_selected.py",
    "examples/unfold.toml",
    *(
        f"src/castalia/apps/unfold/{name}.py"
        for name in (
            "config",
            "coordinates",
            "costs",
            "detector_level",
            "frame",
            "judged_sample",
            "judging",
            "matching",
            "measured_directions",
            "model",
            "placed",
            "train",
        )
    ),
    *_inside(
        "src/castalia/estimators", without=("classification", "pixels", "cells.py", "crystal_ball.py", "smearing.py")
    ),
    *_inside("src/castalia/metrics", without=("pixels", *_OF_MEASUREMENTS)),
    *_inside("src/castalia/nn", without=("image_blocks.py", "graph_attention.py")),
    "src/castalia/physics",
    "src/castalia/training",
]
"""How posteriors are trained, drawn from and judged."""

SOURCES = [
    *POSTERIOR,
    "benchmarks/unfold_default.py",
    "benchmarks/unfold_stress.py",
    "src/castalia/apps/unfold",
    *(f"src/castalia/metrics/{name}" for name in _OF_MEASUREMENTS),
]
"""The same, and all procedures of a measurement."""

_PIECE = 20_000
"""Draws that are turned into the paper's numbers at a time: 9 MB."""


@dataclass(frozen=True)
class UnfoldBench:
    """What a benchmark begins with.

    Attributes:
        quick: Whether it is the quick form.
        samples: Folder of the samples of ``unfold_data``.
        kept: Folder for what is computed once.
        model: The model to judge.
    """

    quick: bool
    samples: Path
    kept: Path
    model: PosteriorModel


def prepare(description: str, arguments: Sequence[str] | None) -> UnfoldBench:
    """Read the command line of a benchmark, make samples that are missing, and train the default model where none is.

    Args:
        description: What the benchmark is for.
        arguments: The command line; that of the process by default.
    """
    parser = samples_parser(description)
    parser.add_argument("--run", type=Path, help="run folder to judge, instead of the default model's")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    samples = samples_folder(asked.data, asked.quick)
    make_samples(QUICK if asked.quick else FULL, samples, asked.workers)
    kept = samples / "runs"
    how = SMALL if asked.quick else LARGE
    run = asked.run or trained_run(kept, PRESET, samples, options=how["options"], training=how["training"])
    return UnfoldBench(asked.quick, samples, kept, open_model(run))


def read_unlearned(model: PosteriorModel, path: Path) -> FeatureArrays:
    """Read the selected events of a file that have a truth and that the model has not learned from."""
    usable = files_to_judge_on([path], model.features, tree=None, rename={}, skip_bad_files=False)
    loaded = load_unlearned(model.folder, model.features, usable, tree=None, rename={}, skip_bad=0)
    return loaded.arrays.reconstructed


def draw_numbers(
    model: PosteriorModel,
    arrays: FeatureArrays,
    draws: int,
    of: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> NDArray[np.float32]:
    """Draw the truth of events, and keep a function of the paper's numbers, in single precision as the model draws.

    Args:
        model: The model.
        arrays: The events.
        draws: Draws of each.
        of: From numbers of shape ``(events, draws, numbers)`` to what is kept, shape ``(events, draws, columns)``.

    Returns:
        Shape ``(events, draws, columns)``.
    """
    pieces, stream = [], Stream(1, "benchmark draws")
    for number, rows in enumerate(np.array_split(np.arange(len(arrays.row)), -(-len(arrays.row) * draws // _PIECE))):
        mask = np.zeros(len(arrays.row), dtype=np.bool_)
        mask[rows] = True
        drawn = model.numbers(model.draw(arrays.take(mask), draws, stream.at(number)))
        pieces.append(of(drawn).astype(np.float32))
    return np.concatenate(pieces)


def configuration(
    samples: Path,
    preset: str = PRESET,
    *,
    coordinates: Literal["decay_tree", "cartesian"] = "decay_tree",
    options: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    seed: int = 1,
) -> str:
    """Write the TOML text of a training on the samples of ``unfold_data``: the example, with another model.

    Args:
        samples: Their folder; its ``selected_files`` are learned from, and ``test.parquet`` is kept for the test.
        preset: What is trained.
        coordinates: What it learns; the paper's numbers are relative to no lepton.
        options: Options of the estimator, over those of the preset.
        training: Keys of ``[training]``, over those of the preset.
        seed: Seed of the training.
    """
    content = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    files = {"files": [*map(str, selected_files(samples))], "test_files": [str(samples / "test.parquet")]}
    content["data"] = {**content["data"], **files}
    content["truth"]["coordinates"] = coordinates
    if coordinates == "cartesian":  # as published, relative to nothing
        content["truth"] = {
            key: value for key, value in content["truth"].items() if key not in ("frame", "anchor", "measured_as")
        }
    content["model"] = {"preset": preset, "options": dict(options or {})}
    content["training"] = {**(training or {}), "seed": seed}
    return tomli_w.dumps(content)


def trained_run(
    folder: Path,
    preset: str,
    samples: Path,
    *,
    coordinates: Literal["decay_tree", "cartesian"] = "decay_tree",
    options: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    seed: int = 1,
) -> Path:
    """Return the run folder of a trained model; train it where there is none of the same configuration.

    A training that was stopped goes on. What is known of a run is its configuration: remove its folder to train anew
    with changed sources.

    Args:
        folder: Where runs are kept, each under the name of its preset and a hash of its configuration.
        preset: As the other arguments, see ``configuration``.
        samples: Folder of the samples.
        coordinates: What the model learns.
        options: Options of the estimator.
        training: Keys of ``[training]``.
        seed: Seed of the training.

    Raises:
        ConfigError: If the configuration is wrong.
        DataError: If a sample is missing or cannot be used.
    """
    text = configuration(
        samples.absolute(), preset, coordinates=coordinates, options=options, training=training, seed=seed
    )
    run = folder / f"{preset}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    begun = (run / "run.json").exists()
    if begun and RunFolder.open(run).record.status == "finished":
        return run
    folder.mkdir(parents=True, exist_ok=True)
    config = run.with_suffix(".toml")
    write_text(config, text)
    train(config, run, resume=begun)
    return run
