"""A run's classifier as an ONNX file, for programs that know neither Python nor torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from castalia.apps.classify.model import ClassifierRun
from castalia.data.typed_objects import TypedObject
from castalia.errors import ConfigError
from castalia.estimators.classification.boosted_trees import BoostedTrees
from castalia.export.classifiers import classifier_model
from castalia.export.files import require_free, require_name, write_model
from castalia.export.metadata import ClassifierDescription
from castalia.runs.ranges import summary_names

__all__ = ["export_run"]


def export_run(run: Path, output: Path, overwrite: bool = False) -> dict[str, Any]:
    """Write a run's classifier, which gives the probabilities that ``castalia classify predict`` writes.

    Args:
        run: Folder of a finished run.
        output: Name of the file, ending in ``.onnx``.
        overwrite: Whether an earlier file of this name is replaced.

    Returns:
        Summary: the file and the model's hash.

    Raises:
        ConfigError: If the name is unfit or taken, the run's estimator cannot be exported, or onnx is not installed.
        ModelError: If the run folder holds no usable classifier.
        MachineError: If the place cannot be written.
    """
    require_name(output)
    require_free([output], overwrite)
    opened = ClassifierRun.open(run)
    if isinstance(opened.estimator, BoostedTrees):
        raise ConfigError(
            f"{run}: boosted trees are not exported as ONNX; write XGBoost's own model file, which other programs read "
            "with XGBoost, as the section Export of docs/classify.md shows."
        )
    write_model(classifier_model(opened.estimator, _description(opened).metadata()), output)
    return {"classifier": str(output), "model": opened.sha256}


def _description(run: ClassifierRun) -> ClassifierDescription:
    layout, objects = run.config.layout, run.config.objects
    ends = zip(run.ranges.low.tolist(), run.ranges.high.tolist(), strict=True)
    return ClassifierDescription(
        model=run.sha256,
        classes=run.classes,
        layout=layout,
        types=tuple(objects),
        taken=tuple(_taken(one) for one in objects.values()),
        condition_formulas=[run.config.condition[variable.group].column for variable in layout.condition],
        ranges=dict(zip(summary_names(layout), ends, strict=True)),
    )


def _taken(one: TypedObject) -> str:
    """Say in words which objects of an event are of a type, such as ``"jet: the hardest 2 where jet_btag = 1"``."""
    if one.columns is not None:
        return ", ".join(f"{name} = {column}" for name, column in one.columns.model_dump(exclude_none=True).items())
    where = " and ".join(f"{column} = {value}" for column, value in one.where.items())
    return f"{', '.join(one.collections)}: the hardest {one.take}" + (f" where {where}" if where else "")
