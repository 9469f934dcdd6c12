"""HDF5 files, read with h5py in chunks: datasets of one row an event, and lists by their counts.

A dataset of one dimension is a flat column, one of two dimensions a list of fixed length. A group with an attribute
``counter``, which names a dataset of counts, holds jagged lists: each other dataset of the group has the values of all
events one after the other, as many as the counts say in sum. That is the convention of hepfile. Columns are called by
their path in the file, such as ``muons/px``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import h5py
import numpy as np

from castalia.data.readers.base import Reader, StoredColumn
from castalia.data.table import Column, Table, jagged
from castalia.errors import DataError

__all__ = ["Hdf5Reader"]


@final
class Hdf5Reader(Reader):
    """An HDF5 file; use ``open_reader``.

    Args:
        path: The file.
        rename: Dataset in the file by column name.

    Raises:
        DataError: If the file is damaged or cut short, datasets differ in length, or counts do not fit their lists.
    """

    def __init__(self, path: Path, rename: Mapping[str, str]) -> None:
        super().__init__(path, rename)
        with self._damage():
            self._file = h5py.File(path, "r")
        try:
            with self._damage():
                self._datasets = _datasets(self._file)
                self._counters = self._counters_of_lists()
                self._count = self._common_length()
                self._offsets = {name: self._ends(name) for name in set(self._counters.values())}
                self._check_lists()
        except BaseException:
            self._file.close()
            raise

    def count(self) -> int:
        """Return the number of events."""
        return self._count

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _stored(self) -> dict[str, StoredColumn]:
        found = {name: self._describe(name, dataset) for name, dataset in self._datasets.items()}
        return {name: how for name, how in found.items() if how is not None}

    def _other_type(self, branch: str) -> str | None:
        dataset = self._datasets.get(branch)
        return None if dataset is None else f"{dataset.dtype} of shape {dataset.shape}"

    def _rows(self, branches: Mapping[str, str], chunk: int, start: int, stop: int) -> Iterator[Table]:
        for low in range(start, stop, chunk):
            high = min(low + chunk, stop)
            with self._damage():
                table = Table({name: self._values(branch, low, high) for name, branch in branches.items()})
            yield table

    def _values(self, branch: str, low: int, high: int) -> Column:
        dataset = self._datasets[branch]
        if branch not in self._counters:
            return np.asarray(dataset[low:high], dtype=dataset.dtype.newbyteorder("="))
        ends = self._offsets[self._counters[branch]]
        values = np.asarray(dataset[ends[low] : ends[high]], dtype=dataset.dtype.newbyteorder("="))
        return jagged(np.diff(ends[low : high + 1]), values)

    def _describe(self, name: str, dataset: Any) -> StoredColumn | None:
        if dataset.dtype.kind not in "fiub":
            return None
        dtype = str(dataset.dtype.newbyteorder("="))
        if name in self._counters:
            return StoredColumn(dtype, "jagged") if dataset.ndim == 1 else None
        if dataset.ndim not in (1, 2) or len(dataset) != self._count:
            return None
        return StoredColumn(dtype, "flat") if dataset.ndim == 1 else StoredColumn(dtype, "fixed", dataset.shape[1])

    def _counters_of_lists(self) -> dict[str, str]:
        """Return for each jagged list the dataset that counts its values."""
        found: dict[str, str] = {}
        for name in self._datasets:
            group = self._datasets[name].parent
            counter = group.attrs.get("counter")
            if counter is None or not self._datasets[name].ndim:
                continue
            counter = counter.decode() if isinstance(counter, bytes) else str(counter)
            counts = self._datasets.get(counter)
            if counts is None or counts.ndim != 1 or counts.dtype.kind not in "iu":
                raise DataError(
                    f"{self.path}: group '{group.name}' names '{counter}' as its counter, which is no dataset of whole "
                    "numbers; write the counts, or take the attribute away."
                )
            if counter != name:
                found[name] = counter
        return found

    def _common_length(self) -> int:
        """Return the number of events: the length of the counters, or of every dataset where there are none."""
        lists = self._counters
        which = sorted(set(lists.values())) or [
            n for n, d in self._datasets.items() if d.ndim and d.dtype.kind in "fiub"
        ]
        lengths = {name: len(self._datasets[name]) for name in which}
        if len(set(lengths.values())) > 1:
            first, *rest = lengths
            other = next(name for name in rest if lengths[name] != lengths[first])
            raise DataError(
                f"{self.path}: dataset '{first}' has {lengths[first]} rows and '{other}' {lengths[other]}; give every "
                "event one row in each, or lists by an attribute 'counter' of their group."
            )
        return next(iter(lengths.values()), 0)

    def _ends(self, counter: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return where each event's list begins, and the last ends, shape ``(events + 1,)``."""
        counts = np.asarray(self._datasets[counter][:], dtype=np.int64)
        if (counts < 0).any():
            row = int(np.argmax(counts < 0))
            raise DataError(f"{self.path}: counter '{counter}' is {counts[row]} in row {row}; make the file again.")
        return np.concatenate([[0], np.cumsum(counts)])

    def _check_lists(self) -> None:
        """Hold the lengths of lists against their counts; a list that was never filled has none, as a whole."""
        for name, counter in self._counters.items():
            there, wanted = self._datasets[name].shape[0], int(self._offsets[counter][-1])
            if there != wanted:
                raise DataError(
                    f"{self.path}: '{name}' has {there} values, but its counter '{counter}' counts {wanted}; copy or "
                    "make the file again."
                )

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except DataError:
            raise
        except Exception as exc:  # a damaged file can raise anything in the library
            reason = next(iter(str(exc).strip().splitlines()), type(exc).__name__)
            raise DataError(f"{self.path}: is damaged or no HDF5 file ({reason}); copy or make it again.") from exc


def _datasets(file: Any) -> dict[str, Any]:
    """Return every dataset by its path."""
    found: dict[str, Any] = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return found
