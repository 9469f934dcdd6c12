"""Samples of the unfolding benchmarks: ``python benchmarks/unfold_data.py [--quick] [--data DIR]``.

Top-quark pairs of which one in eight is selected: 300,000 to learn from, 50,000 to judge on, 50,000 in the place of
data. The stress samples have another truth (Z' bosons) or another shower (the A14 tune). Truth is written at parton and
particle level, for events that fail the selection as well. The full ones take about an hour and a half of two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from collider_samples import Sample, cache_folder, make_samples

__all__ = ["FULL", "QUICK", "samples_folder"]


def _samples(scale: float, first: int) -> tuple[Sample, ...]:
    def sample(name: str, process: str, events: int, number: int, tune: str = "monash") -> Sample:
        return Sample(name, process, round(events * scale), first + number, tune=tune)

    return (
        sample("train", "ttbar", 2_600_000, 0),
        sample("test", "ttbar", 400_000, 1),
        sample("data", "ttbar", 400_000, 2),
        sample("zprime", "zprime", 100_000, 3),
        sample("a14", "ttbar", 200_000, 4, tune="a14"),
    )


FULL = _samples(1.0, first=301)
"""Training, test, data, and the stress samples."""

QUICK = _samples(0.01, first=401)


def samples_folder(data: Path | None, quick: bool) -> Path:
    """Return the folder of the samples: in the one named, or else in the user's cache."""
    folder = data or cache_folder("unfold")
    return folder / "quick" if quick else folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the samples."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    make_samples(QUICK if options.quick else FULL, samples_folder(options.data, options.quick), options.workers)


if __name__ == "__main__":
    main()
