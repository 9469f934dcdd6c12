"""What the TOML files of all applications share: sections, presets with their training, file names made absolute."""

from __future__ import annotations

import glob
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import Field, ValidationError, field_validator

from castalia.data.strict import StrictModel, config_error
from castalia.errors import ConfigError
from castalia.estimators.classification.presets import CLASSIFICATION_PRESETS
from castalia.estimators.event_presets import EVENT_PRESETS
from castalia.estimators.pixels.gan_presets import GAN_PRESETS
from castalia.estimators.pixels.yoneda_presets import SET_PRESETS
from castalia.estimators.registry import preset

__all__ = [
    "FILE_LISTS",
    "TRAINING_OF_PRESET",
    "TRAINING_OTHERWISE",
    "ModelConfig",
    "absolute_files",
    "load_config",
    "parse_toml",
    "resolved_toml",
    "toml_of",
]

C = TypeVar("C", bound=StrictModel)

FILE_LISTS = ("files", "validation_files", "test_files")
"""Keys of a section that name files."""

TRAINING_OTHERWISE: dict[str, Any] = {
    "epochs": 15,
    "batch_size": 2048,
    "learning_rate": 2e-3,
    "schedule": "one_cycle",
    "ema": 0.999,
    "clip": 5.0,
}
_OF_EVENTS = {**TRAINING_OTHERWISE, "batch_size": 128}
_OF_A_GAN = {
    **TRAINING_OTHERWISE,
    "epochs": 5,
    "batch_size": 2,
    "learning_rate": 1e-3,
    "final_learning_rate": 1e-4,
    "schedule": "cosine",
    "ema": 0.98,
}
# How each preset is trained where the file does not say; the paper's values are those of its section 4.
TRAINING_OF_PRESET: dict[str, dict[str, Any]] = {
    "paper": {
        "epochs": 500,
        "batch_size": 512,
        "learning_rate": 1e-3,
        "final_learning_rate": 1e-5,
        "schedule": "power",
        "metric": "mean_wasserstein",
    },
    # A regression on drawn noise has noisier gradients than a likelihood: more and longer steps.
    "flow_matching": {**TRAINING_OTHERWISE, "batch_size": 1024, "learning_rate": 1e-2},
    # A mixture of two normals that moves with two parameters, 100k events: 15 epochs of the default leave a KL of 0.017
    # nat per event, of these steps 0.008, and 30 epochs of them 0.007; with relu instead of silu these leave 0.012.
    "scan": {**TRAINING_OTHERWISE, "epochs": 20, "batch_size": 1024, "learning_rate": 1e-2},
    # Many small steps: six epochs of 104,000 events leave flow matching a loss of 18.5 nat, 18.9 with batches of 256
    # and 19.9 with 512, in the same time of a processor core. An epoch of Muon leaves it a CRPS of 0.206, one of AdamW
    # 0.214 and four 0.203, at 1.4 times the time of a step. The published losses are trained by Adam, as published.
    **{name: {**_OF_EVENTS, "optimiser": "adamw" if name.endswith("_paper") else "muon"} for name in EVENT_PRESETS},
    "unfold_flow_matching": {**_OF_EVENTS, "optimiser": "muon", "learning_rate": 8e-3},
    # Of a few thousand labelled events steps of 256 make enough for an average over a hundred to forget its start.
    **{
        name: {**TRAINING_OTHERWISE, "epochs": 20, "batch_size": 256, "learning_rate": 1e-3, "ema": 0.99}
        for name in CLASSIFICATION_PRESETS
    },
    # As published. An event is 40 images already.
    "iea_gan_full": {
        **_OF_A_GAN,
        "epochs": 20,
        "batch_size": 1,
        "learning_rate": 5e-5,
        "schedule": "constant",
        "ema": 0.9999,
    },
    # A thousand events five times: 20 minutes of two cores.
    **{name: _OF_A_GAN for name in GAN_PRESETS if name != "iea_gan_full"},
    # Of 70,000 hits each, few events fit into a step, and a few hundred make few steps. With a third of this rate and
    # an average over twice as many steps, ten epochs of 400 events end before the set VAE knows what sensors share.
    **{
        name: {**TRAINING_OTHERWISE, "epochs": 15, "batch_size": 8, "learning_rate": 3e-3, "ema": 0.98}
        for name in SET_PRESETS
    },
}


class ModelConfig(StrictModel):
    """The ``[model]`` section.

    Attributes:
        preset: A known preset, such as ``"compact"``, ``"paper"``, ``"spline"``, ``"flow_matching"`` or ``"scan"``.
        estimator: Name of a registered estimator, instead of the preset's.
        options: The estimator's own options, over those of the preset.
        members: Models of an ensemble, as of a set of parton densities: member 0 is the nominal model, each further one
            is trained on a bootstrap sample with a seed of its own. 1 for the nominal model alone.
    """

    preset: str = "compact"
    estimator: str | None = None
    options: dict[str, Any] = {}
    members: int = Field(default=1, ge=1, le=99)

    @field_validator("members")
    @classmethod
    def _spread(cls, value: int) -> int:
        if value == 2:
            raise ValueError(
                "members = 2 leaves one beside the nominal model, which has no spread; give 1, or at least 3"
            )
        return value

    def resolve(self) -> tuple[str, dict[str, Any]]:
        """Return the estimator's name and its options.

        Raises:
            ConfigError: If the preset is not known.
        """
        if self.estimator is not None:
            return self.estimator, dict(self.options)
        name, options = preset(self.preset)
        return name, {**options, **self.options}


def load_config(parse: Callable[[str, Path, Path, int | None], C], path: Path, seed: int | None = None) -> C:
    """Read a configuration file; relative names in it are relative to its folder.

    Args:
        parse: Builds an application's configuration from the text, the file to name in errors, the folder of its names,
            and the seed.
        path: TOML file.
        seed: Takes the place of the file's training seed where given.

    Raises:
        ConfigError: If the file is missing, no TOML, or has an unknown key or a wrong value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; give the TOML file of the training.") from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigError(f"{path}: cannot be read as a TOML text file ({error}).") from None
    return parse(text, path, path.parent, seed)


def parse_toml(
    kind: type[C],
    text: str,
    path: Path,
    *,
    documentation: str,
    seed: int | None = None,
    preset: str = "compact",
) -> C:
    """Build a configuration from TOML text; what ``[training]`` leaves out is as the preset needs it.

    Args:
        kind: Class of the configuration, with the sections ``model`` and ``training``.
        text: The TOML text.
        path: File to name in errors.
        documentation: Page that explains the keys, to name in errors.
        seed: Takes the place of the file's training seed where given.
        preset: Preset of a file that names none.

    Raises:
        ConfigError: If the text is no TOML, or has an unknown key or a wrong value.
    """
    raw = toml_of(text, path, documentation)
    model, training = raw.get("model", {}), raw.get("training", {})
    if isinstance(model, dict):
        raw["model"] = model = {"preset": preset, **model}
    if isinstance(training, dict):
        chosen = str(model.get("preset", "")) if isinstance(model, dict) else ""
        raw["training"] = {**TRAINING_OF_PRESET.get(chosen, TRAINING_OTHERWISE), **training}
        if seed is not None:
            raw["training"]["seed"] = seed
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise config_error(error, path) from None


def toml_of(text: str, path: Path, documentation: str) -> dict[str, Any]:
    """Return what TOML text says.

    Args:
        text: The TOML text.
        path: File to name in errors.
        documentation: Page that explains the keys, to name in errors.

    Raises:
        ConfigError: If the text is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML ({error}).") from None
    except RecursionError:  # the parser's own limit; no configuration nests more than a few levels
        raise ConfigError(
            f"{path}: is nested too deeply for a configuration; write it as {documentation} shows."
        ) from None


def absolute_files(section: C, folder: Path) -> C:
    """Make the file names of a section absolute, so that the run folder's copy of the configuration still finds them.

    Args:
        section: A section with the keys ``FILE_LISTS``.
        folder: What its names are relative to.
    """
    base = glob.escape(str(folder.absolute()))
    names = {which: tuple(str(Path(base) / pattern) for pattern in getattr(section, which)) for which in FILE_LISTS}
    return section.model_copy(update=names)


def resolved_toml(config: StrictModel) -> str:
    """Write a resolved configuration, every default included."""
    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True, by_alias=True))
