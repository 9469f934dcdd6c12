"""Events that the classification benchmarks learn from and are judged on: cuts of the samples, and shuffled controls.

Of a sample of ``classify_data`` the first events are for training, the next for validation, the last for the test. Each
seed trains on a part of its own while there are enough. Only the objects that a classifier sees are kept, so that
events can exchange their ancestors object by object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from castalia.data.readers import open_reader
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.sidecar import input_sha256, make_sidecar, read_sidecar, write_sidecar
from castalia.data.table import Table, jagged, jagged_parts
from castalia.data.writers import open_writer
from castalia.detectors.ancestry import ANCESTORS
from castalia.errors import DataError
from castalia.rng import Stream
from classify_data import SCHEMA, UNLABELLED
from collider_samples import alone_with
from record import state_of

__all__ = [
    "BACKGROUND",
    "LABEL",
    "Cuts",
    "Relations",
    "digest_of",
    "labelled_files",
    "unlabelled_files",
    "validation_file",
]

BACKGROUND: Final = "ttbar"
"""The class that all signals are told from."""

LABEL: Final = "class_number"
"""The column of the class: 0 for background, 1 for signal."""

Relations = Literal["true", "shuffled", "random"]
"""Whose ancestors an object has: its own, those of its like in another event of the class, or of any object at all."""

_LABELLED: Final = SCHEMA.with_columns(ColumnSpec(name=LABEL, dtype="int32", role="label"))
_LISTS: Final = ("electron", "muon", "jet")
_ANCESTRY: Final = tuple(f"{one}_from_{kind}" for one in _LISTS for kind in ANCESTORS)
_TAKEN: Final = 2  # b jets, and as many light ones
_CHUNK: Final = 50_000
_CHECKED: Final = 40  # of so many unlabelled events one is for validation and one for the test


@dataclass(frozen=True)
class Cuts:
    """How many events of each class are for what.

    Attributes:
        training: All that are trained on.
        validation: All that are validated on; a training of ``n`` events has a quarter of ``n``.
        test: What is judged on.
    """

    training: int
    validation: int
    test: int

    def part(self, events: int, seed: int) -> tuple[slice, slice]:
        """Return which events a seed trains on and is validated on; seeds share some where there are too few.

        Raises:
            DataError: If there are fewer than ``events`` in all.
        """
        checked = events // 4
        if events > self.training or checked > self.validation:
            raise DataError(f"{events} training events of a class, but only {self.training} are cut; ask for fewer.")
        first = (seed - 1) % (self.training // events) * events
        second = (seed - 1) % (self.validation // checked) * checked + self.validated.start
        return slice(first, first + events), slice(second, second + checked)

    @property
    def validated(self) -> slice:
        """Which events the parts for validation are taken from; trials are scored on all of them."""
        return slice(self.training, self.training + self.validation)

    @property
    def judged(self) -> slice:
        """Which events are judged on."""
        return slice(self.training + self.validation, self.training + self.validation + self.test)


def labelled_files(
    samples: Path, cuts: Cuts, signal: str, events: int, seed: int, relations: Relations = "true"
) -> tuple[Path, Path, Path]:
    """Return the files of a training, cut where they are missing.

    Args:
        samples: Folder of the samples.
        cuts: How they are cut.
        signal: Name of the signal's sample.
        events: Training events a class.
        seed: Seed of the training.
        relations: Whose ancestors the objects have in training and validation.

    Returns:
        Files of training, validation and test; both classes are in each.

    Raises:
        DataError: If a sample is missing or has too few events.
    """
    training, validation = cuts.part(events, seed)
    given: dict[str, tuple[slice, Relations]] = {
        "train": (training, relations),
        "validation": (validation, relations),
        "test": (cuts.judged, "true"),
    }
    found = [_cut(samples, signal, name, rows, whose) for name, (rows, whose) in given.items()]
    return found[0], found[1], found[2]


def validation_file(samples: Path, cuts: Cuts, signal: str) -> Path:
    """Return the file of all validation events, of which each training has a part; arguments as ``labelled_files``."""
    return _cut(samples, signal, "validation", cuts.validated, "true")


def unlabelled_files(samples: Path, shuffled: bool) -> dict[str, list[Path]]:
    """Return the files of a pre-training by their keys in ``[data]``, cut where they are missing.

    Args:
        samples: Folder of the samples.
        shuffled: Whether every object is in a random event, in numbers as before; not in the test.
    """
    found: dict[str, list[Path]] = {"files": [], "validation_files": [], "test_files": []}
    for process in UNLABELLED:
        source = samples / f"unlabelled_{process}.parquet"
        with open_reader(source) as reader:
            events = reader.count()
        few = events // _CHECKED
        bounds = (0, events - 2 * few, events - few, events)
        for key, (start, stop) in zip(found, pairwise(bounds), strict=True):
            found[key].append(_unlabelled(source, start, stop, shuffled and key != "test_files"))
    return found


def digest_of(paths: Iterable[Path]) -> str:
    """Return a few characters that change with the content of files."""
    return hashlib.sha256("".join(map(_sha256, paths)).encode()).hexdigest()[:12]


def _sha256(path: Path) -> str:
    return _hashed(path, path.stat().st_mtime_ns)


@cache
def _hashed(path: Path, changed: int) -> str:  # `changed` renews the cache when the file was replaced
    return input_sha256(path)


def _unlabelled(source: Path, start: int, stop: int, shuffled: bool) -> Path:
    path = source.parent / "cuts" / f"{source.stem}_{start}_{stop}{'_shuffled' if shuffled else ''}.parquet"

    def table(tables: Sequence[Table]) -> Table:
        part = tables[0].slice(start, stop)
        return _without_events(part) if shuffled else part

    return _write(path, [source], SCHEMA, {"rows": [start, stop], "shuffled": shuffled}, table)


def _cut(samples: Path, signal: str, name: str, rows: slice, relations: Relations) -> Path:
    path = samples / "cuts" / f"{signal}_{name}_{rows.start}_{rows.stop}_{relations}.parquet"
    sources = [samples / f"{one}.parquet" for one in (BACKGROUND, signal)]

    def table(tables: Sequence[Table]) -> Table:
        kept = []
        for number, one in enumerate(tables):
            if len(one) < rows.stop:
                raise DataError(f"{sources[number]}: has {len(one)} events of {rows.stop}; make the samples anew.")
            part = _seen(one.slice(rows.start, rows.stop))
            part = part.with_columns({LABEL: np.full(len(part), number, dtype=np.int32)})
            kept.append(_of_another_event(part) if relations == "shuffled" else part)
        whole = Table.concatenate(kept)
        return _of_any_object(whole) if relations == "random" else whole

    provenance = {"rows": [rows.start, rows.stop], "relations": relations}
    return _write(path, sources, _LABELLED, provenance, table)


def _write(
    path: Path,
    sources: Sequence[Path],
    schema: Schema,
    provenance: dict[str, Any],
    make: Callable[[Sequence[Table]], Table],
) -> Path:
    """Write a file made from whole samples, unless it is there and made from these by this code."""
    hashes, code = [_sha256(source) for source in sources], state_of(("benchmarks/classify_cuts.py",))
    wanted = {"samples": hashes, "code": code, **provenance}
    with alone_with(path):
        there = read_sidecar(path) if path.exists() else None
        if there is None or there.provenance != wanted:
            table = make([_read(source) for source in sources])
            with open_writer(path, schema) as writer:
                writer.write(table.select(schema.names))
            write_sidecar(path, make_sidecar(path, writer.summary, schema, provenance=wanted))
    return path


def _read(path: Path) -> Table:
    with open_reader(path) as reader:
        return Table.concatenate(list(reader.iterate(list(SCHEMA.names), _CHUNK)))


def _seen(table: Table) -> Table:
    """Keep of the jets only those that a classifier is given: the hardest two with a b tag and without."""
    counts, pt = jagged_parts(table["jet_pt"])
    tag = jagged_parts(table["jet_btag"])[1] > 0
    group = 2 * np.repeat(np.arange(len(counts)), counts) + tag
    order = np.lexsort((-pt, group))
    first = np.searchsorted(group[order], group[order])  # where the group of each begins
    kept = np.zeros(len(pt), dtype=np.bool_)
    kept[order] = np.arange(len(pt)) - first < _TAKEN
    left = np.bincount(group[kept] // 2, minlength=len(counts))
    jets = [name for name in table.names if name.startswith("jet_")]
    return table.with_columns({name: jagged(left, jagged_parts(table[name])[1][kept]) for name in jets})


def _of_another_event(table: Table) -> Table:
    """Give objects the ancestors of their like in another event: one with the same lepton and order of b tags."""
    rng, kinds = Stream(1, "shuffled relations").at(), _kinds(table)
    source = np.arange(len(table))
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        source[rows] = rng.permutation(rows)
    return table.with_columns({name: table[name][source] for name in _ANCESTRY})


def _kinds(table: Table) -> NDArray[np.int64]:
    """Number what events have: objects in each list, and which of the jets have a b tag."""
    counts, tag = jagged_parts(table["jet_btag"])
    event, starts = np.repeat(np.arange(len(counts)), counts), np.cumsum(counts) - counts
    place = np.arange(len(tag)) - starts[event]
    tags = np.bincount(event, (tag > 0) * 2.0**place, minlength=len(counts)).astype(np.int64)
    leptons = [jagged_parts(table[f"{one}_pt"])[0] for one in ("electron", "muon")]
    found: NDArray[np.int64] = np.unique(np.column_stack([*leptons, counts, tags]), axis=0, return_inverse=True)[1]
    return found.reshape(-1)


def _of_any_object(table: Table) -> Table:
    """Give every object the ancestors of a random one of its list, of whatever event and class."""
    rng = Stream(1, "random relations").at()
    for one in _LISTS:
        table = _exchanged(table, [f"{one}_from_{kind}" for kind in ANCESTORS], rng)
    return table


def _without_events(table: Table) -> Table:
    rng = Stream(1, "shuffled objects").at()
    for one in _LISTS:
        table = _exchanged(table, [name for name in table.names if name.startswith(f"{one}_")], rng)
    rows = rng.permutation(len(table))
    return table.with_columns({name: table[name][rows] for name in ("met_pt", "met_phi")})


def _exchanged(table: Table, columns: Sequence[str], rng: np.random.Generator) -> Table:
    """Shuffle objects over all events, the given columns of one object together."""
    counts, values = jagged_parts(table[columns[0]])
    order = rng.permutation(len(values))
    return table.with_columns({name: jagged(counts, jagged_parts(table[name])[1][order]) for name in columns})
