"""The samples of a measurement, read and checked: simulation, data, background and variations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from castalia.apps.unfold.measurement.config import MeasurementConfig
from castalia.apps.unfold.measurement.recorded import RecordedEvents, read_events
from castalia.apps.unfold.model import PosteriorModel
from castalia.apps.unfold.train import POSTERIOR
from castalia.data.copies import content_keys, distinct_contents
from castalia.data.feature_config import matching_files
from castalia.errors import DataError
from castalia.runs.seen import unseen

__all__ = ["Samples", "read_samples"]


@final
@dataclass(frozen=True)
class Samples:
    """All events of a measurement.

    Attributes:
        simulation: Simulated events with truth.
        data: Data, with truth where the files have it.
        background: Background by name, its weights scaled to what is expected.
        variations: Varied simulations by name.
    """

    simulation: RecordedEvents
    data: RecordedEvents
    background: Mapping[str, RecordedEvents]
    variations: Mapping[str, RecordedEvents]

    @property
    def named(self) -> dict[str, RecordedEvents]:
        """Every sample, by the words that errors and reports name it by."""
        return {
            "simulation": self.simulation,
            "data": self.data,
            **{f"background {name}": one for name, one in self.background.items()},
            **{f"variation {name}": one for name, one in self.variations.items()},
        }

    @property
    def checksums(self) -> dict[str, str]:
        """SHA-256 of all files by name."""
        return {name: sha256 for one in self.named.values() for name, sha256 in one.checksums.items()}


def read_samples(
    model: PosteriorModel, config: MeasurementConfig, folder: Path, skip_bad: int = 0, skip_bad_files: bool = False
) -> Samples:
    """Read all files of a measurement.

    Args:
        model: The run.
        config: The measurement.
        folder: What its file names are relative to.
        skip_bad: Number of bad rows that may be left out of each sample.
        skip_bad_files: Leave out whole files that cannot be used, as long as each sample keeps one.

    Raises:
        DataError: If a file, column or row cannot be used, a sample has no selected event, a file comes twice, or
            events were learned from.
    """

    def read(patterns: tuple[str, ...], key: str, *, with_truth: bool, weighted: bool = True) -> RecordedEvents:
        paths = matching_files(patterns, folder, key)
        return read_events(
            model, paths, with_truth=with_truth, weighted=weighted, skip_bad=skip_bad, skip_bad_files=skip_bad_files
        )

    background = {}
    for name, one in config.background.items():
        found = read(one.files, f"files of [background.{name}]", with_truth=False)
        background[name] = replace(found, weights=one.scale * found.weights)
    samples = Samples(
        read(config.simulation, "simulation", with_truth=True),
        read(config.data, "data", with_truth=False, weighted=False),
        background,
        {
            name: read(one.simulation, f"simulation of [variations.{name}]", with_truth=True)
            for name, one in config.variations.items()
        },
    )
    _check(model, samples)
    return samples


def _check(model: PosteriorModel, samples: Samples) -> None:
    """Refuse files that come twice, and events that the posterior was trained on."""
    first: dict[str, str] = {}
    for where, one in samples.named.items():
        for path in one.checksums:
            if first.setdefault(path, where) != where:
                raise DataError(f"{path}: is given as {first[path]} and as {where}; give each sample files of its own.")
    distinct_contents({Path(name): sha256 for name, sha256 in samples.checksums.items()})
    learned = set(model.folder.record.inputs.values())
    for where, one in samples.named.items():
        known = next((name for name, sha256 in one.checksums.items() if sha256 in learned), None)
        if known is not None:
            raise DataError(f"{known}: the run was trained on this file; give a {where} that no training saw.")
        if one.truth is None:
            continue
        copies = int((~unseen(model.folder.models / POSTERIOR, content_keys(one.learnable))).sum())
        if copies:
            raise DataError(
                f"{next(iter(one.checksums))}: {copies} of its selected events were learned from, in whatever file; "
                f"give a {where} that no training saw, because without those events its acceptance would be wrong."
            )
