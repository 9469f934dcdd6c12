"""Samples of collider events that benchmarks need: what ``castalia generate`` makes with a seed, kept in a cache.

A file that is there is kept, if its sidecar says that it is the sample; a generation that was stopped goes on.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from castalia.data.sidecar import read_sidecar
from castalia.detectors.parametric.card import load_card
from castalia.errors import DataError
from castalia.processes.hard import find_hard_process
from castalia.processes.points import Choice, check_choices
from castalia.production.collider import ColliderRequest, detector_settings, generate_collider

__all__ = ["Sample", "alone_with", "cache_folder", "make_samples"]


@dataclass(frozen=True)
class Sample:
    """One file.

    Attributes:
        name: Its name, without ending.
        process: Process of ``castalia generate``.
        events: Events to generate; about one pair of top quarks in eight is selected.
        seed: Seed of the generation.
        parameters: Values of the process's parameters, or intervals.
        tune: Tune of shower and hadronisation.
        card: Name of a shipped detector card, or a TOML file.
    """

    name: str
    process: str
    events: int
    seed: int
    parameters: Mapping[str, Choice] = field(default_factory=dict)
    tune: str = "monash"
    card: str | Path = "cms-like"


def cache_folder(benchmark: str) -> Path:
    """Return where the samples of a benchmark are kept where nobody names a folder: in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return cache / "castalia" / benchmark


@contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """Wait until no other process makes ``path``, and keep others waiting."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as own:
        fcntl.flock(own, fcntl.LOCK_EX)
        yield


def make_samples(samples: Iterable[Sample], folder: Path, workers: int) -> dict[str, Path]:
    """Generate the samples that are missing; return the files by name.

    Raises:
        DataError: If a file is there that is not the sample.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths: dict[str, Path] = {}
    for sample in samples:
        path = paths[sample.name] = folder / f"{sample.name}.parquet"
        if path.exists():
            _check(sample, path)
            continue
        sys.stdout.write(f"generating {path}: {sample.events} events\n")
        sys.stdout.flush()
        request = ColliderRequest(
            sample.process,
            sample.events,
            path,
            sample.parameters,
            card=sample.card,
            tune=sample.tune,
            seed=sample.seed,
            workers=workers,
            resume=True,
        )
        generate_collider(request)
    return paths


def _check(sample: Sample, path: Path) -> None:
    sidecar = read_sidecar(path)
    made = {} if sidecar is None else sidecar.provenance
    # What a sample does not name has its default, which the sidecar states.
    choices = check_choices(find_hard_process(sample.process), sample.parameters)
    parameters = {name: list(value) if isinstance(value, tuple) else value for name, value in choices.items()}
    given, tune = (made[key] if isinstance(made.get(key), dict) else {} for key in ("parameters", "tune"))
    card = detector_settings(load_card(sample.card))["card_sha256"]
    wanted = (sample.process, sample.seed, sample.tune, sample.events, parameters, card)
    there = (
        made.get("process"),
        made.get("seed"),
        tune.get("name"),  # type: ignore[union-attr]  # a dictionary, as was asked for
        None if sidecar is None else sidecar.file.entries,
        given,
        made.get("card_sha256"),
    )
    if there != wanted:
        raise DataError(f"{path}: is {there} by its sidecar, and {wanted} is wanted; move it away, or name a folder.")
