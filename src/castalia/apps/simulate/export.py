"""A run's models as ONNX files, for programs that know neither Python nor torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from castalia.apps.simulate.model import ResponseModel, open_model
from castalia.data.features import Features
from castalia.data.layout import Variable
from castalia.data.sidecar import read_sidecar
from castalia.export.files import require_free, require_name, write_model
from castalia.export.metadata import ModelDescription
from castalia.export.models import density_model, efficiency_model, sampler_model

__all__ = ["export_run"]


def export_run(run: Path, output: Path, overwrite: bool = False) -> dict[str, Any]:
    """Write a run's sampler, its density and, where it has one, its efficiency.

    ``NAME.onnx`` holds the sampler; ``NAME.density.onnx`` and ``NAME.efficiency.onnx`` stand beside it. They are files
    of their own, because ONNX Runtime wants every input of a file, and who draws a target has none to give.

    Args:
        run: Folder of a finished run.
        output: Name of the sampler's file, ending in ``.onnx``.
        overwrite: Whether what an earlier export left under these names is replaced.

    Returns:
        Summary: the files by kind, and the model's hash.

    Raises:
        ConfigError: If the name is unfit or taken, the run's estimator cannot be exported, or onnx is not installed.
        ModelError: If the run folder holds no usable model.
        MachineError: If the place cannot be written.
    """
    require_name(output)
    kinds = ("density", "efficiency")
    files = {"sampler": output, **{kind: output.with_name(f"{output.stem}.{kind}.onnx") for kind in kinds}}
    require_free(files.values(), overwrite)
    model = open_model(run)
    description = _description(model)
    models = {
        "sampler": sampler_model(model.estimator, description.metadata("sampler")),
        "density": density_model(model.estimator, description.metadata("density")),
    }
    if model.efficiency is not None:
        models["efficiency"] = efficiency_model(model.efficiency, description.metadata("efficiency"))
    for kind, path in files.items():
        if kind in models:
            write_model(models[kind], path)
        else:
            path.unlink(missing_ok=True)  # of another model, whose efficiency would not fit this sampler
    return {**{kind: str(files[kind]) for kind in models}, "model": model.sha256}


def _description(model: ResponseModel) -> ModelDescription:
    features, layout = model.features, model.features.layout
    return ModelDescription(
        model=model.sha256,
        layout=layout,
        low=model.ranges.low.tolist(),
        high=model.ranges.high.tolist(),
        condition_formulas=[_place(features.condition[v.group].column, v) for v in layout.condition],
        target_formulas=[_formula(features, v) for v in layout.target],
        objects=_objects(features),
        scenario=_scenario(model),
    )


def _place(column: str, variable: Variable) -> str:
    return column if variable.object_index is None else f"{column}[{variable.object_index}]"


def _formula(features: Features, variable: Variable) -> str:
    declared = features.target[variable.group]
    formula = _place(declared.column, variable)
    if declared.reference is not None:
        formula += f" {'-' if declared.minus else '/'} {_place(declared.reference, variable)}"
    return f"wrap({formula})" if declared.wrap else formula


def _objects(features: Features) -> str:
    objects = features.objects
    if objects is None:
        return ""
    which = "each" if objects.take == "each" else f"the first {objects.take}"
    return f"{objects.collection}: {which}" + (f" by {objects.order_by}, largest first" if objects.order_by else "")


def _scenario(model: ResponseModel) -> str:
    """Return what the files of the training say of their response, where they are still there and say the same."""
    found = set()
    for name, digest in model.folder.record.inputs.items():
        sidecar = read_sidecar(Path(name))
        truth = sidecar.truth if sidecar is not None and sidecar.file.sha256 == digest else None
        found.add("" if truth is None else " ".join(f"{key}={value}" for key, value in truth.model_dump().items()))
    return found.pop() if len(found) == 1 else ""
