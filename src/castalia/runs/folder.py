"""The run folder: the contract between the command that trains and those that use what it made."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import final

from pydantic import JsonValue, ValidationError

from castalia.data.atomic import write_error, write_text
from castalia.data.lock import FileLock
from castalia.data.schema import Schema
from castalia.errors import ConfigError, ModelError
from castalia.runs.place import content_of
from castalia.runs.record import RunRecord, now, read_record, source_hash, write_record

__all__ = ["RunFolder", "refuse_busy", "refuse_content"]

LOCK = "lock"
CONTENT = frozenset({"run.json", "config.toml", "schema.json", "models", "state", "history.jsonl", "log.txt"})


@final
class RunFolder:
    """An open run folder; use `create` or `open`.

    Attributes:
        path: The folder.
        models: Folder of the trained models, one folder each.
        state: Folder of the training's checkpoint.
        history: JSON lines, one an epoch.
        log: What was logged.
    """

    def __init__(self, path: Path, record: RunRecord, lock: FileLock) -> None:
        self.path = path
        self.models = path / "models"
        self.state = path / "state"
        self.history = path / "history.jsonl"
        self.log = path / "log.txt"
        self._record = record
        self._lock = lock

    @classmethod
    def create(
        cls,
        path: Path,
        application: str,
        config_toml: str,
        schema: Schema,
        inputs: Mapping[str, str],
        seed: int,
        overwrite: bool,
        splits: Mapping[str, str] | None = None,
    ) -> RunFolder:
        """Begin a run folder and hold its lock until the block of `lock` ends.

        Args:
            path: The folder, which must be missing or empty unless ``overwrite`` is set.
            application: Such as ``"simulate"``.
            config_toml: The resolved configuration.
            schema: Columns of the input.
            inputs: SHA-256 by input file.
            seed: Seed of the run.
            overwrite: Replace an earlier run; files that are not a run's stay.
            splits: How each input file was used: ``"train"``, ``"validation"``, ``"test"``, or ``"split"`` where it
                was divided into the three.

        Raises:
            ConfigError: If the folder has content and ``overwrite`` is not set, or content that is no run's.
            MachineError: If another process writes to it, or the disk refuses.
        """
        refuse_content(path, overwrite)
        lock = _lock_of(path)
        lock.acquire()
        try:
            _refuse_content(path, overwrite)  # again, now that nobody else can change it
            _clear(path)
            write_text(path / "config.toml", config_toml)
            record = RunRecord(
                application=application,
                seed=seed,
                git_hash=source_hash(),
                inputs=dict(inputs),
                splits=dict(splits or {}),
                created=now(),
            )
            write_record(path / "run.json", record)
            folder = cls(path, record, lock)
            folder.save_schema(schema)
        except BaseException:
            lock.release()
            raise
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open an existing run folder; whoever writes to it takes the `lock` first.

        Raises:
            ModelError: If it is not a run folder, is damaged, or is of a later format.
        """
        if not path.is_dir():
            raise ModelError(f"{path}: there is no such run folder; give one written by a `train` command.")
        if not (path / "run.json").exists():
            raise ModelError(
                f"{path}: there is nothing to open or to resume here, because run.json is missing; "
                "train without --resume to make a run folder."
            )
        record = read_record(path / "run.json")
        if record.kind != "run":
            raise ModelError(f"{path}: is a {record.kind} folder; give a run folder, written by a `train` command.")
        return cls(path, record, _lock_of(path))

    @property
    def record(self) -> RunRecord:
        """Content of ``run.json``."""
        return self._record

    def config_text(self) -> str:
        """Return the resolved configuration, TOML.

        Raises:
            ModelError: If it cannot be read.
        """
        return _read(self.path / "config.toml")

    def schema(self) -> Schema:
        """Return the columns of the input, with the ranges seen.

        Raises:
            ModelError: If it cannot be read.
        """
        text = _read(self.path / "schema.json")
        try:
            return Schema.model_validate_json(text)
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"]
            raise ModelError(f"{self.path / 'schema.json'}: is damaged ({reason}); train anew.") from error

    def save_schema(self, schema: Schema) -> None:
        """Write the columns of the input."""
        write_text(self.path / "schema.json", schema.model_dump_json(indent=2) + "\n")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer for the duration of a block.

        Raises:
            MachineError: If another process is.
        """
        with self._lock:
            yield

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Append what the package logs in a block to ``log.txt``."""
        logger = logging.getLogger("castalia")
        handler, level = _LogFile(self.log), logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.setLevel(level)
            logger.removeHandler(handler)

    def finish(self, results: Mapping[str, JsonValue]) -> None:
        """Mark the run as completed.

        Args:
            results: What is to be remembered, such as the best epoch.
        """
        self._record = self._record.complete(results)
        write_record(self.path / "run.json", self._record)


@final
class _LogFile(logging.Handler):
    """Appends records one by one; a full disk is an error of the run, not a traceback of the logger."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.INFO)
        self._path = path
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(self.format(record) + "\n")
        except OSError as error:
            raise write_error(self._path, error) from error


def refuse_busy(path: Path) -> None:
    """Refuse a run folder that is being written, before any work is done for it; nothing is taken or written.

    Args:
        path: The folder; one that is missing is not busy.

    Raises:
        MachineError: If another process writes to it; the sentence names process and host.
    """
    _lock_of(path).refuse_if_held()


def refuse_content(path: Path, overwrite: bool) -> None:
    """Refuse a place for a run folder before any work is done for it.

    Raises:
        MachineError: If another process writes to it, which --overwrite would not help.
        ConfigError: If it has content and ``overwrite`` is not set, or content that is no run's.
    """
    refuse_busy(path)
    _refuse_content(path, overwrite)


def _refuse_content(path: Path, overwrite: bool) -> None:
    found = content_of(path, "run folder", overwrite, ignore=frozenset({LOCK}))
    foreign = sorted(name for name in found - CONTENT if not _is_partial(name))
    if foreign and "run.json" not in found:
        raise ConfigError(f"{path}: holds '{foreign[0]}' and is not a run folder; name another one.")


def _lock_of(path: Path) -> FileLock:
    return FileLock(path / LOCK, str(path))


def _clear(path: Path) -> None:
    """Remove what belongs to a run, and nothing else."""
    for entry in sorted(path.iterdir()):
        if entry.name in CONTENT and entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name in CONTENT or _is_partial(entry.name):
            entry.unlink()


def _is_partial(name: str) -> bool:
    return name.startswith(".") and ".partial-" in name


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); the run folder is damaged, train anew.") from error
