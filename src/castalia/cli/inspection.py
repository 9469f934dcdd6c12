"""What ``castalia inspect`` finds out about a file or a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from castalia.data.readers import open_reader
from castalia.data.sidecar import read_sidecar, verify
from castalia.errors import CastaliaError, DataError, ModelError
from castalia.estimators.storage import load_model, model_hash
from castalia.runs.folder import RunFolder

__all__ = ["inspect_file", "inspect_run"]


def inspect_file(path: Path, tree: str | None) -> tuple[dict[str, Any], CastaliaError | None]:
    """Describe a file and compare it with its sidecar.

    Returns:
        Summary, and the error to raise where the content is not what was written.

    Raises:
        DataError: If the file cannot be read and has no sidecar that could say what was in it.
    """
    sidecar = read_sidecar(path)
    if sidecar is None:
        return _stored(path, tree) | {"verified": "no sidecar to compare with"}, None
    checked = verify(path)
    summary = {
        "file": str(path),
        "entries": sidecar.file.entries,
        "columns": {
            name: " ".join(
                part for part in (record.dtype, _shape(record.shape), record.unit, record.role or "") if part
            )
            for name, record in sidecar.columns.items()
        },
        "counts": sidecar.counts,
        "provenance": sidecar.provenance,
        "truth": None if sidecar.truth is None else sidecar.truth.model_dump(),
        "sha256": sidecar.file.sha256,
        "verified": "every hash agrees" if checked.passed else list(checked.differences),
    }
    if checked.passed:
        return summary, None
    return summary, DataError(f"{path}: is not what was written: {checked.differences[0]}; restore it from a copy.")


def _stored(path: Path, tree: str | None) -> dict[str, Any]:
    with open_reader(path, tree) as reader:
        columns = {
            name: f"{column.dtype} {_shape(column.length if column.kind == 'fixed' else column.kind)}".strip()
            for name, column in reader.columns().items()
        }
        return {"file": str(path), "entries": reader.count(), "columns": columns}


def _shape(shape: str | int | None) -> str:
    return "" if shape in (None, "flat") else f"list of {shape}" if isinstance(shape, int) else "jagged list"


def inspect_run(path: Path) -> tuple[dict[str, Any], CastaliaError | None]:
    """Describe a run folder and load every model in it, which checks its hash.

    Returns:
        Summary, and the error to raise where a model is damaged.

    Raises:
        ModelError: If the folder is no run folder.
    """
    folder = RunFolder.open(path)
    models: dict[str, Any] = {}
    failure: CastaliaError | None = None
    for place in sorted(folder.models.glob("*/model.json")):
        try:
            loaded = load_model(place.parent)
        except ModelError as error:
            failure = failure or error
            models[place.parent.name] = f"damaged: {error}"
            continue
        models[place.parent.name] = {
            "estimator": type(loaded.estimator).__name__,
            "parameters": sum(p.numel() for p in loaded.estimator.parameters()),
            "condition": [v.name for v in loaded.layout.condition],
            "target": [v.name for v in loaded.layout.target],
            "sha256": model_hash(place.parent),
        }
    summary = {
        "run": str(path),
        **folder.record.model_dump(mode="json"),
        "columns": {
            spec.name: spec.model_dump(mode="json", include={"unit", "range"}) for spec in folder.schema().columns
        },
        "models": models,
        "history_epochs": len(folder.history.read_text().splitlines()) if folder.history.exists() else 0,
    }
    return summary, failure
