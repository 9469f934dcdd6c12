"""The sidecar of an output, FILE.json: what is in the file, where it comes from, and whether it still is the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue, ValidationError

from castalia.data.atomic import write_text
from castalia.data.hashing import ColumnHasher, file_sha256
from castalia.data.readers import StoredColumn, open_reader
from castalia.data.schema import ColumnSpec, Range, Role, Schema, Shape
from castalia.data.strict import StrictModel
from castalia.data.writers import WrittenFile
from castalia.errors import DataError

__all__ = [
    "ColumnRecord",
    "FileRecord",
    "Sidecar",
    "Truth",
    "Verification",
    "input_sha256",
    "make_sidecar",
    "read_sidecar",
    "sidecar_path",
    "verify",
    "write_sidecar",
]

_CHUNK = 65_536


class FileRecord(StrictModel):
    """The file a sidecar belongs to: its name without folder, SHA-256, size in bytes, and number of rows."""

    name: str
    sha256: str
    bytes: int
    entries: int


class ColumnRecord(StrictModel):
    """A column as declared (see ``ColumnSpec``) with the hash of its content."""

    unit: str
    dtype: str
    shape: Shape
    role: Role | None
    collection: str | None
    range: Range | None
    sha256: str


class Truth(StrictModel):
    """The generated detector response, from which its analytic density can be built."""

    process: str
    scenario: str
    rho: float
    parametrisation: str
    mixture: str


class Sidecar(StrictModel):
    """All that is known about a written file.

    Attributes:
        format: Version of this format.
        file: The file itself.
        columns: Its columns by name.
        counts: Rows read, written, flagged, skipped and so on, by name.
        provenance: Version, command, seed, configuration, hashes of model and inputs, and so on, by name.
        truth: What the response was generated with, or ``None``.
    """

    format: Literal[1] = 1
    file: FileRecord
    columns: dict[str, ColumnRecord]
    counts: dict[str, int] = Field(default_factory=dict)
    provenance: dict[str, JsonValue] = Field(default_factory=dict)
    truth: Truth | None = None

    @property
    def schema_of_file(self) -> Schema:
        """The declared columns, in the order of the file."""
        return Schema(
            columns=tuple(
                ColumnSpec(name=name, **record.model_dump(exclude={"sha256"})) for name, record in self.columns.items()
            )
        )


@dataclass(frozen=True)
class Verification:
    """Outcome of ``verify``.

    Attributes:
        passed: True where nothing differs.
        differences: One sentence for everything that differs from the sidecar.
        entries: Rows found, 0 where the file cannot be read.
    """

    passed: bool
    differences: tuple[str, ...]
    entries: int


def sidecar_path(path: Path) -> Path:
    """Return the place of the sidecar of ``path``: the name with ``.json`` appended."""
    return path.with_name(path.name + ".json")


def make_sidecar(
    path: Path,
    written: WrittenFile,
    schema: Schema,
    *,
    counts: Mapping[str, int] | None = None,
    provenance: Mapping[str, Any] | None = None,
    truth: Truth | None = None,
) -> Sidecar:
    """Put together the sidecar of a file from what its writer returned.

    Args:
        path: The file.
        written: The writer's ``summary``.
        schema: The writer's schema.
        counts: Rows read, flagged and so on; ``written`` is filled in from the writer.
        provenance: JSON values by name.
        truth: What the response was generated with.
    """
    columns = {
        spec.name: ColumnRecord(**spec.model_dump(exclude={"name", "needs"}), sha256=written.column_hashes[spec.name])
        for spec in schema.columns
    }
    return Sidecar(
        file=FileRecord(name=path.name, sha256=written.sha256, bytes=written.bytes, entries=written.entries),
        columns=columns,
        counts={**(counts or {}), "written": written.entries},
        provenance=dict(provenance or {}),
        truth=truth,
    )


def write_sidecar(path: Path, sidecar: Sidecar) -> None:
    """Write the sidecar of the file ``path``."""
    write_text(sidecar_path(path), sidecar.model_dump_json(indent=2) + "\n")


def read_sidecar(path: Path) -> Sidecar | None:
    """Return the sidecar of the file ``path``, ``None`` where there is none.

    Raises:
        DataError: If it is there but cannot be understood.
    """
    place = sidecar_path(path)
    if not place.exists():
        return None
    try:
        return Sidecar.model_validate_json(place.read_bytes())
    except (ValidationError, OSError) as exc:
        reason = str(exc.errors()[0]["msg"]) if isinstance(exc, ValidationError) else exc.strerror
        raise DataError(f"{place}: is no sidecar of format 1 ({reason}); remove it or make the file again.") from exc


def input_sha256(path: Path) -> str:
    """Return the hash of an input file, refusing one that is not what its sidecar says.

    Raises:
        DataError: If the file cannot be read, or has changed since its sidecar was written.
    """
    digest = file_sha256(path)
    sidecar = read_sidecar(path)
    if sidecar is not None and sidecar.file.sha256 != digest:
        raise DataError(
            f"{path}: is not the file that {sidecar_path(path).name} describes (its hash differs); run "
            "'castalia inspect' on it, copy or make it again, or remove the sidecar if the change was yours."
        )
    return digest


def verify(path: Path) -> Verification:
    """Compare a file with its sidecar: the bytes, the number of rows, and the content of every column.

    Raises:
        DataError: If there is no file, or no sidecar to compare with.
    """
    sidecar = read_sidecar(path)
    if sidecar is None:
        raise DataError(f"{path}: has no sidecar {sidecar_path(path).name}; there is nothing to verify it against.")
    differences: list[str] = []
    if path.exists() and path.stat().st_size != sidecar.file.bytes:
        differences.append(f"the file has {path.stat().st_size} bytes instead of {sidecar.file.bytes}")
    if file_sha256(path) != sidecar.file.sha256:
        differences.append("the bytes of the file have changed (SHA-256 differs)")
    entries = 0
    try:
        if sidecar.file.entries:
            entries = _compare_content(path, sidecar, differences)
    except DataError as exc:
        differences.append(str(exc))
    return Verification(not differences, tuple(differences), entries)


def _compare_content(path: Path, sidecar: Sidecar, differences: list[str]) -> int:
    schema = sidecar.schema_of_file
    with open_reader(path) as reader:
        if reader.count() != sidecar.file.entries:
            differences.append(f"the file has {reader.count()} entries instead of {sidecar.file.entries}")
        stored = reader.columns()
        present: dict[str, ColumnHasher] = {}
        for spec in schema.columns:
            if spec.name not in stored or _shape(stored[spec.name]) != (spec.dtype, spec.shape):
                found = stored.get(spec.name, "missing")
                differences.append(f"column '{spec.name}' is {found} instead of {spec.dtype}, {spec.shape}")
            else:
                present[spec.name] = ColumnHasher(spec)
        differences.extend(f"column '{name}' is not in the sidecar" for name in stored if name not in schema.names)
        for name, hasher in present.items():  # one by one: damage to one column says nothing about the others
            try:
                for table in reader.iterate([name], _CHUNK):
                    hasher.update(table[name])
            except DataError as exc:
                differences.append(f"column '{name}' cannot be read: {exc}")
            else:
                if hasher.hexdigest() != sidecar.columns[name].sha256:
                    differences.append(f"the content of column '{name}' has changed (SHA-256 differs)")
        return reader.count()


def _shape(stored: StoredColumn) -> tuple[str, str | int | None]:
    return stored.dtype, stored.length if stored.kind == "fixed" else stored.kind
