"""A trained posterior of the top-quark pairs for the unfolding benchmarks: trained where it is missing, else reused."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tomli_w

from castalia.apps.unfold.config import PRESET
from castalia.apps.unfold.train import train
from castalia.data.atomic import write_text
from castalia.runs.folder import RunFolder
from record import ROOT

__all__ = ["configuration", "trained_run"]

EXAMPLE = ROOT / "examples" / "unfold.toml"
"""What is measured, and what is unfolded to, of every benchmark."""


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
        samples: Their folder; ``train.parquet`` is learned from, and ``test.parquet`` is kept for the test.
        preset: What is trained.
        coordinates: What it learns.
        options: Options of the estimator, over those of the preset.
        training: Keys of ``[training]``, over those of the preset.
        seed: Seed of the training.
    """
    content = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    files = {"files": [str(samples / "train.parquet")], "test_files": [str(samples / "test.parquet")]}
    content["data"] = {**content["data"], **files}
    content["truth"]["coordinates"] = coordinates
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
