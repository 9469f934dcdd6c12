"""``run.json``: who made a run or report folder, from what, and when."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

import castalia
from castalia.data.atomic import write_text
from castalia.errors import ModelError

__all__ = ["FORMAT", "RunRecord", "now", "read_record", "source_hash", "write_record"]

FORMAT = 1


class RunRecord(BaseModel):
    """Content of ``run.json``. Later versions of format 1 may add entries; unknown ones are ignored.

    Attributes:
        format: Version of the folder's layout.
        kind: What the folder is.
        application: Application or command that made it, such as ``"simulate"`` or ``"simulate evaluate"``.
        castalia_version: Version of the package.
        seed: Seed of all random numbers.
        git_hash: Commit of the source tree, ``-dirty`` appended where it has changes; ``None`` outside a checkout.
        inputs: SHA-256 by input file.
        splits: How each input file was used: ``"train"``, ``"validation"``, ``"test"``, or ``"split"`` where it was
            divided into the three; empty in reports, and in runs made before it was recorded.
        created: When it was begun, UTC in ISO 8601.
        finished: When it was completed, or ``None``.
        status: Whether it was completed.
        results: What the command wants to be remembered.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal[1] = 1
    kind: Literal["run", "report"] = "run"
    application: str
    castalia_version: str = castalia.__version__
    seed: int
    git_hash: str | None = None
    inputs: dict[str, str] = {}
    splits: dict[str, str] = {}
    created: str
    finished: str | None = None
    status: Literal["started", "finished"] = "started"
    results: dict[str, JsonValue] = {}

    def complete(self, results: Mapping[str, JsonValue]) -> RunRecord:
        """Return the record of the same run, finished now."""
        return self.model_copy(update={"finished": now(), "status": "finished", "results": dict(results)})


def now() -> str:
    """Return the present time, UTC in ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def source_hash() -> str | None:
    """Return the commit of the checkout that the package runs from, or ``None`` where it runs from no checkout."""
    folder = Path(castalia.__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None  # no git on this machine: the commit is then unknown, which the record says
        return done.stdout.strip() if done.returncode == 0 else None

    # An environment may lie inside somebody else's checkout, whose commit is not ours.
    if git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") or None


def write_record(path: Path, record: RunRecord) -> None:
    """Write ``run.json``, whole or not at all."""
    write_text(path, record.model_dump_json(indent=2) + "\n")


def read_record(path: Path) -> RunRecord:
    """Read ``run.json``.

    Raises:
        ModelError: If it is missing, damaged or of a later format.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror}); {path.parent} is not a folder that castalia wrote."
        ) from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: is damaged (not UTF-8); make the folder anew.") from error
    try:
        return RunRecord.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["loc"] == ("format",):
            raise ModelError(
                f"{path}: format {first['input']!r} is not the format {FORMAT} that castalia {castalia.__version__} "
                "reads; use the version that wrote it."
            ) from error
        where = ".".join(str(part) for part in first["loc"])
        raise ModelError(
            f"{path}: is damaged ({where + ': ' if where else ''}{first['msg']}); make it anew."
        ) from error
