"""Events to judge a run on: of files that it was trained on, only those that it never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from castalia.data.features import Features
from castalia.data.loading import LoadedArrays, load_arrays
from castalia.data.usable import FoundColumns, UsableFiles, usable_files
from castalia.errors import DataError
from castalia.runs.folder import RunFolder
from castalia.runs.inputs import check_rename

__all__ = ["files_to_judge_on", "load_unlearned"]


def files_to_judge_on(
    files: Sequence[Path],
    features: Features,
    *,
    tree: str | None,
    rename: Mapping[str, str],
    skip_bad_files: bool,
    found: FoundColumns | None = None,
    findable: Sequence[str] = (),
) -> UsableFiles:
    """Open the files; all columns that training needs must be there.

    Args:
        files: The files.
        features: The meaning of their columns.
        tree: Name of the tree, where it is not the one of the configuration.
        rename: Branch in the files by column name.
        skip_bad_files: Leave out files that cannot be used.
        found: Finds further columns that are wanted, file by file.
        findable: All columns that it may find.

    Raises:
        ConfigError: If a column is renamed that is not used.
        DataError: If a file cannot be used.
    """
    columns = features.columns
    check_rename(rename, [*columns, *findable])
    tree = tree or features.data.tree
    return usable_files(files, features, columns, tree=tree, rename=rename, skip_bad=skip_bad_files, found=found)


def load_unlearned(
    folder: RunFolder,
    features: Features,
    usable: UsableFiles,
    *,
    tree: str | None,
    rename: Mapping[str, str],
    skip_bad: int,
) -> LoadedArrays:
    """Load the events of files; of those that the run was trained on, the test split.

    Args:
        folder: The run.
        features: How its files become arrays.
        usable: The files.
        tree: Name of the tree, where it is not the one of the configuration.
        rename: Branch in the files by column name.
        skip_bad: How many bad rows may be left out.

    Raises:
        DataError: If the run learned from a whole file, or from some of the files only.
    """
    record = folder.record
    roles = {digest: record.splits.get(name, "split") for name, digest in record.inputs.items()}
    used = {path: roles.get(file.sha256, "test") for path, file in usable.files.items()}
    whole = next((path for path, role in used.items() if role in {"train", "validation"}), None)
    if whole is not None:
        raise DataError(f"{whole}: the run learned from all of it; evaluate on its test_files or on other files.")
    divided = next((path for path, role in used.items() if role == "split"), None)
    if divided is not None and set(used.values()) != {"split"}:
        raise DataError(f"{divided}: the run was trained on it, but not on the other files; evaluate them separately.")
    if tree is not None:
        features = replace(features, data=features.data.model_copy(update={"tree": tree}))
    split = "test" if divided is not None else None
    return load_arrays(usable.paths, features, split, skip_bad=skip_bad, rename=rename)
