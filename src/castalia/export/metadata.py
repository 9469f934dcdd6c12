"""What an ONNX file says about itself: which model it is, its columns with their units and order, where it is valid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import castalia
from castalia.data.layout import Layout, Variable

__all__ = ["FORMAT", "ClassifierDescription", "ModelDescription"]

FORMAT = 1


@dataclass(frozen=True)
class ModelDescription:
    """A trained model in words and numbers, for programs that have the ONNX file alone.

    Attributes:
        model: Hash of the response model of the run; equal in all files of one export.
        layout: Condition and target variables, in the order of the columns.
        low: Smallest training value of each condition, in its unit.
        high: Largest training value of each condition.
        condition_formulas: How each condition is made from the columns of a file.
        target_formulas: How each target was made from the columns of a file.
        objects: Which objects of an event are meant, empty where there are none.
        scenario: The simulated response that was learned, empty where it is not known.
    """

    model: str
    layout: Layout
    low: Sequence[float]
    high: Sequence[float]
    condition_formulas: Sequence[str]
    target_formulas: Sequence[str]
    objects: str = ""
    scenario: str = ""

    def metadata(self, kind: str) -> dict[str, str]:
        """Return the entries of one file, all text; an entry with a value for each column has one line a column.

        Args:
            kind: What the file computes: ``"sampler"``, ``"density"`` or ``"efficiency"``.
        """
        return {
            **_heading(kind, self.model),
            "castalia.objects": self.objects,
            "castalia.scenario": self.scenario,
            **_columns("condition", self.layout.condition, self.condition_formulas),
            "castalia.condition.low": _lines(repr(float(value)) for value in self.low),
            "castalia.condition.high": _lines(repr(float(value)) for value in self.high),
            **_columns("target", self.layout.target, self.target_formulas),
        }


@dataclass(frozen=True)
class ClassifierDescription:
    """A trained classifier in words and numbers, for programs that have the ONNX file alone.

    Attributes:
        model: Hash of the classifier of the run.
        classes: Names of the classes, in the order of the probabilities.
        layout: The list of objects and the flat conditions, in the order of the columns.
        types: Names of the types of objects, in the order of their numbers.
        taken: Which objects of an event are of each type.
        condition_formulas: How each flat condition is made from the columns of a file.
        ranges: Lowest and highest training value, by what it is of.
    """

    model: str
    classes: Sequence[str]
    layout: Layout
    types: Sequence[str]
    taken: Sequence[str]
    condition_formulas: Sequence[str]
    ranges: Mapping[str, tuple[float, float]]

    def metadata(self) -> dict[str, str]:
        """Return the entries of the file; see ``ModelDescription.metadata``."""
        (objects,) = self.layout.condition_objects.values()
        return {
            **_heading("classifier", self.model),
            "castalia.classes": _lines(self.classes),
            "castalia.objects.types": _lines(self.types),
            "castalia.objects.taken": _lines(self.taken),
            "castalia.objects.names": _lines(variable.name for variable in objects),
            "castalia.objects.units": _lines(variable.unit for variable in objects),
            **_columns("condition", self.layout.condition, self.condition_formulas),
            "castalia.training.names": _lines(self.ranges),
            "castalia.training.low": _lines(repr(float(low)) for low, _ in self.ranges.values()),
            "castalia.training.high": _lines(repr(float(high)) for _, high in self.ranges.values()),
        }


def _heading(kind: str, model: str) -> dict[str, str]:
    return {
        "castalia.format": str(FORMAT),
        "castalia.version": castalia.__version__,
        "castalia.kind": kind,
        "castalia.model": model,
    }


def _columns(side: str, variables: Sequence[Variable], formulas: Sequence[str]) -> dict[str, str]:
    return {
        f"castalia.{side}.names": _lines(variable.name for variable in variables),
        f"castalia.{side}.units": _lines(variable.unit for variable in variables),
        f"castalia.{side}.formulas": _lines(formulas),
    }


def _lines(values: Iterable[str]) -> str:
    return "\n".join(" ".join(value.split()) for value in values)
