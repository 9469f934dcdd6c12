"""Gradient-boosted trees, what an analyst does today, behind the face of a classifier."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from castalia.data.layout import Layout
from castalia.data.strict import StrictModel
from castalia.errors import ConfigError, ModelError
from castalia.estimators.base import Batch, Objective
from castalia.estimators.classification.classifier import EventClassifier
from castalia.estimators.classification.object_tensors import ObjectTensors
from castalia.estimators.classification.slots import hardest_of_each_type
from castalia.rng import Stream

__all__ = ["BoostedTrees", "BoostedTreesConfig"]


@final
class BoostedTreesConfig(StrictModel):
    """Configuration of ``BoostedTrees``.

    Attributes:
        trees: Rounds of boosting, of one tree each, or one for each class where there are more than two.
        depth: Largest depth of a tree.
        learning_rate: Factor on what each tree adds.
        subsample: Share of the events that each tree sees.
        smallest_leaf: Least sum of second derivatives in a leaf, for weights of mean one.
        l2: Penalty on the squares of the leaves, for weights of mean one.
        take: Objects of each type that are seen, the hardest first.
        seed: Seed of the choice of events.
    """

    trees: int = Field(default=300, ge=1)
    depth: int = Field(default=4, ge=1, le=16)
    learning_rate: float = Field(default=0.1, gt=0, le=1)
    subsample: float = Field(default=0.8, gt=0, le=1)
    smallest_leaf: float = Field(default=1.0, ge=0)
    l2: float = Field(default=1.0, ge=0)
    take: int = Field(default=4, ge=1)
    seed: int = Field(default=1, ge=0)


@final
class BoostedTrees(EventClassifier):
    """XGBoost on padded objects, their azimuths relative to the leading one, and flat variables.

    ``prepare`` is all the training there is. It holds the training sample in memory. Events count with the size of
    their weight, and multiplying all weights by a number changes nothing.

    Args:
        config: Configuration.
        layout: The list of objects, flat conditions, and as target the class.

    Raises:
        ConfigError: If the layout is none of typed objects and classes.

    References:
        Chen and Guestrin, XGBoost: a scalable tree boosting system (arXiv:1603.02754).
    """

    Config = BoostedTreesConfig

    content: Tensor

    def __init__(self, config: BoostedTreesConfig, layout: Layout) -> None:
        super().__init__(config, layout)
        self.config = config
        self.register_buffer("content", torch.zeros(0, dtype=torch.uint8))  # the trees, as XGBoost writes them

    def prepare(self, stream: Iterable[Batch]) -> None:
        """Grow all trees; see ``Trainable.prepare``.

        Raises:
            ConfigError: If XGBoost is not installed.
            DataError: If a value is not finite, or a class has no event.
        """
        library = _library()
        parts = []
        for batch in stream:
            columns = self._columns(self.object_tensors(batch.condition), batch.condition.flat)
            parts.append((columns, self.labels(batch), batch.weight.double().abs()))
        columns, labels, weight = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
        self.require_all_classes(torch.bincount(labels, minlength=self.classes))
        size = (weight / weight.mean()).numpy()
        table = library.QuantileDMatrix(columns.numpy(), label=labels.numpy(), weight=size, missing=math.nan)
        trees = library.train(self._settings(), table, num_boost_round=self.config.trees)
        written = np.frombuffer(bytes(trees.save_raw("ubj")), dtype=np.uint8)
        self.content = torch.from_numpy(written.copy()).to(self.content.device)

    def objectives(self) -> tuple[Objective, ...]:
        """Return none: the trees of ``prepare`` are all."""
        return ()

    def scores(self, objects: ObjectTensors, flat: Tensor) -> Tensor:
        """Return the sums of the trees; see ``EventClassifier.scores``.

        Raises:
            ConfigError: If XGBoost is not installed.
            ModelError: If the model was never prepared.
        """
        if not len(self.content):
            raise ModelError("These boosted trees have not been grown; train the model first.")
        library = _library()
        trees = library.Booster({"nthread": torch.get_num_threads()})
        trees.load_model(bytearray(self.content.cpu().numpy().tobytes()))
        table = library.DMatrix(self._columns(objects, flat).cpu().numpy(), missing=math.nan)
        found: NDArray[np.float32] = trees.predict(table, output_margin=True)
        scores = torch.from_numpy(found).to(self.temperature)
        return scores if scores.ndim == 2 else torch.stack([torch.zeros_like(scores), scores], dim=1)

    def _columns(self, objects: ObjectTensors, flat: Tensor) -> Tensor:
        """Return what the trees see, shape ``(events, columns)``; NaN where there is no object."""
        placed = hardest_of_each_type(objects.relative(), self.types, self.config.take)
        phi = torch.remainder(placed.phi + math.pi, 2 * math.pi) - math.pi
        values = torch.stack([placed.pt, placed.eta, phi, placed.mass], dim=-1)
        values = torch.where(placed.mask[..., None], values, torch.full_like(values, torch.nan))
        return torch.cat([values.flatten(1), flat.to(values)], dim=1).float()

    def _settings(self) -> dict[str, Any]:
        several = {"objective": "multi:softprob", "num_class": self.classes}
        return {
            **(several if self.classes > 2 else {"objective": "binary:logistic"}),
            "tree_method": "hist",
            "max_depth": self.config.depth,
            "eta": self.config.learning_rate,
            "subsample": self.config.subsample,
            "min_child_weight": self.config.smallest_leaf,
            "lambda": self.config.l2,
            "base_score": 0.5,
            "seed": Stream(self.config.seed, "boosted trees").integer(2**31),
            "nthread": torch.get_num_threads(),
            "verbosity": 0,
        }

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        content = state_dict.get(f"{prefix}content")
        if isinstance(content, Tensor):  # as long as what was saved: trees have no size that the configuration knows
            self.content = torch.empty_like(content, device=self.content.device)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _library() -> Any:
    try:
        import xgboost
    except ImportError as error:
        raise ConfigError(
            "boosted_trees needs XGBoost, which is not installed: pip install 'castalia[compare]'."
        ) from error
    return xgboost
