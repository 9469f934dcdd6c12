"""Samples of the unfolding benchmarks: ``python benchmarks/unfold_data.py [--quick] [--data DIR]``.

Top-quark pairs of which one in eight is selected: 300,000 to learn from, 50,000 to judge on, 50,000 in the place of
data. The stress samples have another truth (Z' bosons) or another shower (the A14 tune). Truth is written at parton and
particle level, for events that fail the selection as well. The full ones take about an hour and a half of two cores.

The first two to learn from have the recipes of ``ttbar_train`` and ``ttbar_pool`` of ``scan_heavy_higgs_data.py``: who
has those may link them here, with their sidecars, and save an hour.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from collider_samples import Sample, cache_folder, make_samples
from scan_heavy_higgs_data import FULL as SCAN

__all__ = ["FULL", "QUICK", "samples_folder", "samples_parser", "training_files"]


def _samples(scale: float, one: int, two: int, first: int) -> tuple[Sample, ...]:
    def sample(name: str, events: int, seed: int, process: str = "ttbar", tune: str = "monash") -> Sample:
        return Sample(name, process, round(events * scale), seed, tune=tune)

    return (
        sample("train_1", 1_000_000, one),
        sample("train_2", 800_000, two),
        sample("train_3", 550_000, first),
        sample("test", 400_000, first + 1),
        sample("data", 400_000, first + 2),
        sample("zprime", 100_000, first + 3, "zprime"),
        sample("a14", 200_000, first + 4, tune="a14"),
    )


FULL = _samples(1.0, SCAN.background.seed, SCAN.pool.seed, 301)
"""Training, test, data, and the stress samples."""

QUICK = _samples(0.01, 401, 402, 403)


def training_files(folder: Path) -> list[Path]:
    """Return the files to learn from in a folder of samples."""
    return [folder / f"{sample.name}.parquet" for sample in FULL if sample.name.startswith("train")]


def samples_folder(data: Path | None, quick: bool) -> Path:
    """Return the folder of the samples: in the one named, or else in the user's cache."""
    folder = data or cache_folder("unfold")
    return folder / "quick" if quick else folder


def samples_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the options of every benchmark that needs the samples: its form, their folder, and who makes them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, help="folder of the samples, instead of the user's cache")
    parser.add_argument("--workers", type=int, default=2, help="processes that make samples")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the samples."""
    options = samples_parser((__doc__ or "").splitlines()[0]).parse_args(arguments)
    make_samples(QUICK if options.quick else FULL, samples_folder(options.data, options.quick), options.workers)


if __name__ == "__main__":
    main()
