"""A run folder for a training: begun anew, or opened again for the same configuration and files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from castalia.data.schema import Schema
from castalia.data.strict import StrictModel
from castalia.errors import ConfigError, DataError, ModelError
from castalia.runs.configuration import FILE_LISTS, resolved_toml
from castalia.runs.folder import RunFolder, refuse_busy, refuse_content

__all__ = ["open_run", "refuse_place"]

C = TypeVar("C", bound=StrictModel)


def refuse_place(path: Path, resume: bool, overwrite: bool) -> None:
    """Refuse a place for a run before any work is done for it.

    Raises:
        MachineError: If another process writes to it.
        ConfigError: If it has content and the run is neither to be resumed nor replaced, or content that is no run's.
    """
    refuse_busy(path)
    if not resume:
        refuse_content(path, overwrite)


def open_run(
    path: Path,
    application: str,
    config: C,
    parse: Callable[[str, Path, Path], C],
    *,
    seed: int,
    schema: Schema,
    checksums: Mapping[str, str],
    splits: Mapping[str, str],
    resume: bool,
    overwrite: bool,
) -> RunFolder:
    """Begin a run folder, or open the one to go on with.

    Args:
        path: The folder.
        application: Such as ``"simulate"``.
        config: The resolved configuration.
        parse: How the text of a configuration is read, given the file to name in errors and the folder of its names.
        seed: Seed of the run.
        schema: Columns of the input.
        checksums: SHA-256 by input file.
        splits: How each input file is used, by its name.
        resume: Go on with what is there.
        overwrite: Replace an earlier run.

    Raises:
        ConfigError: If the folder is in the way, or a resumed run was started with another configuration.
        DataError: If a file has changed or is missing since a resumed run was started.
        ModelError: If there is no run to resume, or another application's.
    """
    if not resume:
        return RunFolder.create(
            path,
            application=application,
            config_toml=resolved_toml(config),
            schema=schema,
            inputs=checksums,
            splits=splits,
            seed=seed,
            overwrite=overwrite,
        )
    folder = RunFolder.open(path)
    made = folder.record.application
    if made != application:
        raise ModelError(f"{path}: is a run of {made!r}; resume it with the command that began it, or name another.")
    # Files are compared by content below, so that a run may be moved together with them.
    started = parse(folder.config_text(), path / "config.toml", path)
    if _nameless(started) != _nameless(config):
        raise ConfigError(f"{path}: was started with another configuration than this one; resume with that one.")
    known = set(folder.record.inputs.values())
    changed = [name for name, digest in checksums.items() if digest not in known]
    if changed:
        raise DataError(f"{changed[0]}: has changed since {path} was started; restore the file or train anew.")
    lost = [name for name, digest in folder.record.inputs.items() if digest not in checksums.values()]
    if lost:
        raise DataError(f"{lost[0]}: {path} was started with it, and now it cannot be used; restore it or train anew.")
    return folder


def _nameless(config: StrictModel) -> dict[str, object]:
    """Return the configuration without the names of its files."""
    sections = config.model_dump()
    return {
        name: {key: value for key, value in section.items() if key not in FILE_LISTS}
        if isinstance(section, dict) and set(FILE_LISTS) <= set(section)
        else section
        for name, section in sections.items()
    }
