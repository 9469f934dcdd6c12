"""Files and events that come twice, recognised by their content, so that none is learned from and tested on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from castalia.data.features import FeatureArrays
from castalia.data.hashing import file_sha256
from castalia.data.splits import mixed_keys
from castalia.errors import DataError

__all__ = ["content_keys", "distinct_contents", "distinct_files", "given_once", "overlap"]


def given_once(paths: Iterable[Path]) -> None:
    """Refuse a file that is named twice.

    Raises:
        DataError: If one is.
    """
    seen: set[Path] = set()
    for path in paths:
        if path in seen:
            raise DataError(f"{path}: is given twice; give it once.")
        seen.add(path)


def distinct_contents(hashes: Mapping[Path, str]) -> None:
    """Refuse two files of the same content: their events would count twice, or be learned from and tested on.

    Args:
        hashes: SHA-256 by file.

    Raises:
        DataError: If two are equal; it names both files.
    """
    first: dict[str, Path] = {}
    for path, sha256 in hashes.items():
        other = first.setdefault(sha256, path)
        if other != path:
            raise DataError(
                f"{other} and {path}: have the same content (SHA-256 {sha256[:12]}…); give only one of them."
            )


def distinct_files(paths: Iterable[Path]) -> None:
    """Refuse copies among files, hashing only those that are as long as another one.

    Raises:
        DataError: If two files have the same content, or one of equal length cannot be read.
    """
    by_size: dict[int, list[Path]] = {}
    for path in dict.fromkeys(paths):
        # What is absent, no file or empty is refused with a better message when it is opened.
        if path.is_file() and (size := path.stat().st_size):
            by_size.setdefault(size, []).append(path)
    for same in by_size.values():
        if len(same) > 1:
            distinct_contents({path: file_sha256(path) for path in same})


def content_keys(arrays: FeatureArrays) -> NDArray[np.uint64]:
    """Return a 64-bit key of every row's values, the same in whatever file, format or order the row comes.

    Conditions, references and targets are rounded to single precision first. Each target enters added to its
    reference: for a difference that sum is the reconstructed value, so that a copy in single precision has the same
    keys, too (except for the few angles that cross the seam at pi).

    Args:
        arrays: Rows of a model's arrays.

    Returns:
        Keys, shape ``(rows,)``.
    """
    columns = [*arrays.condition.T, *arrays.reference.T]
    if arrays.target is not None:
        columns += list((arrays.reference + arrays.target).T)
    return mixed_keys(np.zeros(len(arrays.row), dtype=np.uint64), (_bits(column) for column in columns))


def overlap(known: NDArray[np.uint64], keys: NDArray[np.uint64]) -> float:
    """Return the fraction of ``keys`` that are among ``known``, 0 where there are no keys.

    Args:
        known: Keys in ascending order.
        keys: Keys in any order.
    """
    if not len(known) or not len(keys):
        return 0.0
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return float(np.mean(known[place] == keys))


def _bits(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32).astype(np.float64)
    return (rounded + 0.0).view(np.uint64)  # adding zero makes -0.0 the 0.0 that it equals
