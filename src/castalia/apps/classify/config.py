"""The TOML files of ``castalia classify``, for training and for pre-training, as resolved configurations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from castalia.data.feature_config import ConditionVariable, DataConfig, TargetVariable
from castalia.data.features import Features
from castalia.data.layout import Layout, Variable
from castalia.data.strict import StrictModel
from castalia.data.typed_objects import TypedObject, TypedObjects
from castalia.errors import ConfigError
from castalia.estimators.registry import estimator_class, preset
from castalia.runs.configuration import FILE_LISTS, ModelConfig, absolute_files, parse_toml
from castalia.training.config import TrainingConfig

__all__ = [
    "LABEL",
    "MASS",
    "OF_MEMBER",
    "PRESET",
    "ClassifyConfig",
    "DecorrelationConfig",
    "LabelledDataConfig",
    "PretrainConfig",
    "parse_config",
    "parse_pretraining",
]

PRESET = "classify"
"""Preset of a configuration that names none."""

PRETRAINING = "object_pretraining"
"""Estimator of a pre-training, unless it names one."""

LABEL = "class"
"""Name of the first target: the number of the class."""

MASS = "mass"
"""Name of the second target, where there is one: what scores shall not depend on."""

OF_MEMBER = re.compile(r"_member_\d+$")
"""How a column of scores by a member of an ensemble ends."""

SECTIONS = ("[condition]", "[classes] and [decorrelation]")
"""The sections of condition and target, as errors name them."""

Files = Annotated[tuple[str, ...], Field(min_length=1)]


class LabelledDataConfig(DataConfig):
    """Section ``[data]`` of a training: the same as elsewhere, but ``[classes]`` may name the files.

    Attributes:
        files: Files of events of all classes, where a column tells them; none where ``[classes]`` names files.
    """

    files: tuple[str, ...] = ()


class DecorrelationConfig(StrictModel):
    """Section ``[decorrelation]``: what scores shall not depend on within the background.

    Attributes:
        column: The column that holds it, one value an event; needed for training only.
        unit: Its unit.
    """

    column: str
    unit: str = "GeV"


class ClassifyConfig(StrictModel):
    """A whole configuration file of a training.

    Attributes:
        data: Tree, identifiers, weight and selection; files only where a column tells the classes.
        label: The column that tells the classes by a number, or ``None`` where each class has files of its own.
        classes: Files of each class by its name, or its number in the column ``label``; the first is the background of
            figures.
        objects: Which objects are of each type, by its name.
        condition: Variables of whole events, by name.
        relations: Endings of the columns that number an object's ancestors, by the relation's name, in the order in
            which the first that two objects share is their relation.
        decorrelation: What scores shall not depend on; ``None`` for nothing.
        model: Which estimator.
        training: How it is trained.
    """

    data: LabelledDataConfig = LabelledDataConfig()
    label: str | None = None
    classes: dict[str, Files | int] = Field(min_length=2)
    objects: dict[str, TypedObject]
    condition: dict[str, ConditionVariable] = {}
    relations: dict[str, str] = {}
    decorrelation: DecorrelationConfig | None = None
    model: ModelConfig
    training: TrainingConfig

    @field_validator("classes")
    @classmethod
    def _usable_names(cls, value: dict[str, Files | int]) -> dict[str, Files | int]:
        for name in value:
            if not name.replace("_", "").isalnum():
                raise ValueError(f"'{name}' becomes a column score_{name}; write letters, digits and underscores")
            if OF_MEMBER.search(name):
                raise ValueError(f"score_{name} would be that of a member of an ensemble; give it another name")
        numbers = [number for number in value.values() if isinstance(number, int)]
        if len(set(numbers)) < len(numbers):
            raise ValueError("two classes have the same number; give each its own")
        return value

    @field_validator("training")
    @classmethod
    def _weights_stay(cls, value: TrainingConfig) -> TrainingConfig:
        if value.positive_reweighting:
            raise ValueError("positive_reweighting knows no objects; give positive weights, or none")
        return value

    @model_validator(mode="after")
    def _labelled_in_one_way(self) -> Self:
        by_number = {name for name, value in self.classes.items() if isinstance(value, int)}
        if self.label is not None:
            if len(by_number) < len(self.classes):
                raise ValueError(f"label = '{self.label}' tells the classes, so [classes] gives each its number there")
            if not self.data.files:
                raise ValueError(f"label = '{self.label}' tells the classes of the files in [data]; name these files")
        elif by_number:
            raise ValueError(f"[classes] {min(by_number)} is a number; name the column of these numbers as label")
        elif any(getattr(self.data, which) for which in FILE_LISTS):
            raise ValueError("[data] and [classes] both name files; name them in [classes], or give a label column")
        return self

    def features(self) -> Features:
        """Return how unlabelled events become arrays, as for a prediction.

        Raises:
            ConfigError: If the declarations contradict each other.
        """
        typed = TypedObjects(self.objects, self.relations)
        return Features(self.data, None, self.condition, {}, sections=SECTIONS, typed=typed)

    def samples(self) -> dict[str, Features]:
        """Return how labelled events become arrays: those of each class by its name, or all together under ``""``.

        The target is the label, where a column tells it, and then what scores shall not depend on.

        Raises:
            ConfigError: If the declarations contradict each other.
        """
        target = {} if self.label is None else {LABEL: TargetVariable(column=self.label, integer=True)}
        if self.decorrelation is not None:
            unit = self.decorrelation.unit
            target[MASS] = TargetVariable(column=self.decorrelation.column, unit=unit)
        own = {name: value for name, value in self.classes.items() if not isinstance(value, int)}
        files = {"": self.data.files} if self.label is not None else own
        typed = TypedObjects(self.objects, self.relations)
        return {
            name: Features(
                self.data.model_copy(update={"files": names}),
                None,
                self.condition,
                target,
                sections=SECTIONS,
                typed=typed,
            )
            for name, names in files.items()
        }

    def estimator(self) -> ModelConfig:
        """Return the section ``[model]`` with what an estimator that tells relations must know of them.

        That is their number, and the pairs of types that have none by definition: an object given by columns
        has no ancestors.

        Raises:
            ConfigError: If the preset or estimator is not known, or the number is given and is another.
        """
        name, options = self.model.resolve()
        known: Any = estimator_class(name)
        if "relations" not in known.Config.model_fields:
            return self.model
        given, declared = options.get("relations", len(self.relations)), len(self.relations)
        if given != declared:
            raise ConfigError(f"[relations] declares {declared}, but options in [model] say {given}; leave it out.")
        alone = [number for number, one in enumerate(self.objects.values()) if one.columns is not None]
        pairs = [(number, other) for other in alone for number in range(len(self.objects))] if declared else []
        told = {"relations": declared, "left_out": options.get("left_out", pairs)}
        return self.model.model_copy(update={"options": {**self.model.options, **told}})

    @property
    def layout(self) -> Layout:
        """The variables of the model: its target is the number of the class, and what scores shall not depend on."""
        given = self.features().layout
        target = [Variable(LABEL, bounds=(-0.5, len(self.classes) - 0.5), integer=True, group=LABEL)]
        if self.decorrelation is not None:
            target.append(Variable(MASS, self.decorrelation.unit, group=MASS))
        return Layout(given.condition, tuple(target), given.condition_objects)


class PretrainConfig(StrictModel):
    """A whole configuration file of a pre-training, which needs no labels.

    Attributes:
        data: Files, tree, identifiers, weight and selection.
        objects: Which objects are of each type, by its name.
        model: The preset whose backbone is trained, with options of the pre-training; or which estimator.
        training: How it is trained.
    """

    data: DataConfig
    objects: dict[str, TypedObject]
    model: ModelConfig
    training: TrainingConfig

    @field_validator("model")
    @classmethod
    def _alone(cls, value: ModelConfig) -> ModelConfig:
        if value.members != 1:
            raise ValueError(f"members = {value.members} is for classifiers; a pre-training has one model")
        return value

    def estimator(self) -> tuple[str, dict[str, Any]]:
        """Return the name and the options of the estimator: with a preset, one that trains the preset's backbone.

        Raises:
            ConfigError: If the preset is not known or has no backbone.
        """
        if self.model.estimator is not None:
            return self.model.resolve()
        name, options = preset(self.model.preset)
        known: Any = estimator_class(name)
        if "backbone" not in known.Config.model_fields:
            raise ConfigError(f"The preset '{self.model.preset}' has no backbone to be pre-trained; take 'classify'.")
        backbone = known.Config.model_validate(options).backbone.model_dump(mode="json")
        own = dict(self.model.options)
        return PRETRAINING, {**own, "backbone": {**backbone, **own.get("backbone", {})}}

    def features(self) -> Features:
        """Return how events become arrays.

        Raises:
            ConfigError: If the declarations contradict each other.
        """
        return Features(self.data, None, {}, {}, typed=TypedObjects(self.objects))


def parse_config(text: str, path: Path, folder: Path, seed: int | None = None) -> ClassifyConfig:
    """Build the configuration of a training from TOML text.

    Args:
        text: The TOML text.
        path: File to name in errors.
        folder: What relative file names are relative to.
        seed: Takes the place of the file's training seed where given.

    Raises:
        ConfigError: If the text is no TOML, has an unknown key or a wrong value, or its sections do not go together.
    """
    config = parse_toml(ClassifyConfig, text, path, documentation="docs/classify.md", seed=seed, preset=PRESET)
    classes = {name: _absolute(value, folder) for name, value in config.classes.items()}
    return config.model_copy(update={"data": absolute_files(config.data, folder), "classes": classes})


def parse_pretraining(text: str, path: Path, folder: Path, seed: int | None = None) -> PretrainConfig:
    """Build the configuration of a pre-training from TOML text; arguments and errors as for ``parse_config``."""
    config = parse_toml(PretrainConfig, text, path, documentation="docs/classify.md", seed=seed, preset=PRESET)
    return config.model_copy(update={"data": absolute_files(config.data, folder)})


def _absolute(value: tuple[str, ...] | int, folder: Path) -> tuple[str, ...] | int:
    if isinstance(value, int):
        return value
    files: tuple[str, ...] = absolute_files(LabelledDataConfig(files=value), folder).files
    return files
