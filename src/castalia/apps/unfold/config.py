"""The TOML file of ``castalia unfold``: its sections, and how a file on disk becomes a resolved configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from castalia.data.feature_config import ConditionVariable, DataConfig, EfficiencyConfig, TargetVariable
from castalia.data.features import Features
from castalia.data.strict import StrictModel
from castalia.physics.decay_tree import DecayTree
from castalia.runs.configuration import ModelConfig, absolute_files, parse_toml
from castalia.training.config import TrainingConfig

__all__ = ["PRESET", "SECTIONS", "TruthConfig", "UnfoldConfig", "parse_config"]

PRESET = "unfold_flow_matching"
"""Preset of a configuration that names none."""

SECTIONS = ("[condition]", "[truth]")
"""The sections of condition and target, as errors name them."""

QUANTITIES = {"pt": "GeV", "eta": "", "phi": "rad", "mass": "GeV"}
"""What is read of every particle of the truth, with units: the endings of its columns."""


class TruthConfig(StrictModel):
    """Section ``[truth]``: what is unfolded to.

    Attributes:
        particles: Beginning of the columns of each particle, by its name: ``"parton_b_had"`` stands for
            ``parton_b_had_pt`` (GeV), ``_eta``, ``_phi`` and ``_mass`` (GeV).
        composites: Sums of particles or of composites named before them, by name; none may be in two.
        resonances: Composites that decay in two steps of two, whose masses and directions are coordinates.
        frame: Lists whose leading object the azimuth of an event begins at; the first that is not empty. All measured
            angles and the truth are taken relative to it, so that nothing about rotations is left to learn; what is
            drawn is turned back.
        anchor: The particle that this object is. Its momentum relative to what was measured is a coordinate as well,
            and what is drawn of its resonance is made to have it.
        measured_as: Particles that are measured as an object of a list, with the list's name: quarks as jets. The model
            first draws which object each of them is, the nearest within 0.4 in pseudorapidity and azimuth or none, and
            then the momenta given that.
        defined: Column that is 1 where an event has such a truth and 0 where not, as outside a fiducial volume; its
            columns are not read there. ``None`` where every event has.
        coordinates: What the model learns: ``"decay_tree"``, in which every mass and sum closes exactly, or
            ``"cartesian"``, five numbers of every particle and composite as in the paper.
    """

    particles: dict[str, str] = Field(min_length=1)
    composites: dict[str, tuple[str, ...]] = {}
    resonances: tuple[str, ...] = ()
    frame: tuple[str, ...] = ()
    anchor: str | None = None
    measured_as: dict[str, str] = {}
    defined: str | None = None
    coordinates: Literal["decay_tree", "cartesian"] = "decay_tree"

    @model_validator(mode="after")
    def _anchored_in_a_frame(self) -> Self:
        if self.anchor is not None and not self.frame:
            raise ValueError(
                f"anchor = {self.anchor!r} is relative to nothing; name the lists that measure it as frame"
            )
        return self

    @model_validator(mode="after")
    def _measured_particles(self) -> Self:
        for name in self.measured_as:
            if name not in self.particles:
                known = ", ".join(self.particles)
                raise ValueError(f"measured_as names {name!r}, which is no particle; choose from {known}")
        return self

    def tree(self) -> DecayTree:
        """Return how the particles belong together.

        Raises:
            ConfigError: If a composite cannot be.
        """
        anchors = () if self.anchor is None or self.coordinates == "cartesian" else (self.anchor,)
        return DecayTree(tuple(self.particles), self.composites, self.resonances, anchors)

    def variables(self) -> dict[str, TargetVariable]:
        """Return the columns of all particles, particle by particle."""
        return {
            f"{name}_{what}": TargetVariable(column=f"{prefix}_{what}", unit=unit)
            for name, prefix in self.particles.items()
            for what, unit in QUANTITIES.items()
        }


class UnfoldConfig(StrictModel):
    """A whole configuration file.

    Attributes:
        data: Files, tree, identifiers, weight and selection.
        condition: What is measured once an event, by name.
        lists: Lists of reconstructed objects, however long, by name: their features by name.
        truth: What is unfolded to.
        model: Which estimator.
        training: How it is trained.
    """

    data: DataConfig
    condition: dict[str, ConditionVariable] = {}
    lists: dict[str, dict[str, ConditionVariable]] = {}
    truth: TruthConfig
    model: ModelConfig
    training: TrainingConfig

    def features(self) -> Features:
        """Return how selected events become what was measured (condition) and what was true (target).

        Raises:
            ConfigError: If the declarations contradict each other.
        """
        # What is lost is here the truth: those events tell nothing of it.
        flag = None if self.truth.defined is None else EfficiencyConfig(column=self.truth.defined)
        return Features(self.data, None, self.condition, self.truth.variables(), flag, SECTIONS, self.lists)


def parse_config(text: str, path: Path, folder: Path, seed: int | None = None) -> UnfoldConfig:
    """Build a configuration from TOML text.

    Args:
        text: The TOML text.
        path: File to name in errors.
        folder: What relative file names are relative to.
        seed: Takes the place of the file's training seed where given.

    Raises:
        ConfigError: If the text is no TOML, or has an unknown key or a wrong value.
    """
    config = parse_toml(UnfoldConfig, text, path, documentation="docs/unfold.md", seed=seed, preset=PRESET)
    return config.model_copy(update={"data": absolute_files(config.data, folder)})
