"""What a pre-training tells of hidden types of jets, beside what the features of a jet alone tell, and a guess."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.classify.config import PretrainConfig, parse_pretraining
from castalia.apps.classify.events import event_batch
from castalia.apps.classify.pretrain import open_backbone
from castalia.data.loading import load_arrays
from castalia.data.typed_objects import OBJECT_FEATURES, OBJECTS
from castalia.errors import ModelError
from castalia.estimators.arrays import to_numpy
from castalia.estimators.base import Batch
from castalia.estimators.classification.pretraining import ObjectPretraining
from castalia.rng import Stream

__all__ = ["most_frequent", "types_of_jets"]

JETS: Final = ("b_jet", "light_jet")

_OWN: Final = [OBJECT_FEATURES.index(name) for name in ("pt", "eta", "mass")]
_BINS: Final = 8  # of each of a jet's own features, equally full
_CHUNK: Final = 4_096

Integers = NDArray[np.int64]


def types_of_jets(run: Path) -> dict[str, Any]:
    """Measure how often the hidden type of a jet is told, on the test events of a pre-training.

    As many types are hidden as in the training, of objects of all types.

    Args:
        run: Run folder of the pre-training.

    Returns:
        Number of jets, accuracy and its error, and the accuracies of naming the type that is most frequent among
        validation events: of jets with the same own features, and of all jets.

    Raises:
        ModelError: If it is none that tells types.
    """
    opened = open_backbone(run)
    model = opened.estimator.eval()
    if not isinstance(model, ObjectPretraining):
        raise ModelError(f"{run}: a {type(model).__name__} tells no types; give a pre-training on types.")
    config = parse_pretraining((run / "config.toml").read_text(encoding="utf-8"), run / "config.toml", run)
    known, batch = _events(config, "validation_files"), _events(config, "test_files")
    objects = batch.condition.objects[OBJECTS]
    hidden = torch.from_numpy(Stream(1, "hidden types").at().random(objects.mask.shape) < model.config.hidden_share)
    hidden &= objects.mask
    told = []
    with torch.inference_mode():
        for begin, part in zip(range(0, len(batch), _CHUNK), batch.chunks(_CHUNK), strict=True):
            logits = model.type_logits(part.condition, hidden[begin : begin + _CHUNK])
            told.append(np.asarray(to_numpy(logits.argmax(-1))))
    jets = [opened.types.index(name) for name in JETS]
    own, true, chosen = _jets(batch, jets)
    asked = to_numpy(hidden)[chosen]
    right = (np.concatenate(told)[chosen] == true)[asked]
    known_own, kinds, _ = _jets(known, jets)
    alone, guess = most_frequent(known_own, kinds, own[asked]), np.bincount(kinds).argmax()
    return {
        "jets": len(right),
        "accuracy": float(right.mean()),
        "accuracy_error": float(right.std() / len(right) ** 0.5),
        "own_features": float((alone == true[asked]).mean()),
        "most_frequent": float((guess == true[asked]).mean()),
    }


def most_frequent(known: NDArray[np.float64], kinds: Integers, asked: NDArray[np.float64]) -> Integers:
    """Return the kind that is most frequent among known objects with the same features, in bins that are equally full.

    Args:
        known: Features of the known objects, shape ``(known, features)``.
        kinds: Their kinds, from 0, shape ``(known,)``.
        asked: Features of the objects that are asked for, shape ``(objects, features)``.
    """
    edges = np.quantile(known, np.linspace(0.0, 1.0, _BINS + 1)[1:-1], axis=0)
    shape = (_BINS,) * known.shape[1]
    cells, wanted = (
        np.ravel_multi_index([np.searchsorted(edge, one) for edge, one in zip(edges.T, values.T, strict=True)], shape)
        for values in (known, asked)
    )
    counts = np.zeros((int(np.prod(shape)), int(kinds.max()) + 1))
    np.add.at(counts, (cells, kinds), 1.0)
    counts[counts.sum(axis=1) == 0] = counts.sum(axis=0)
    found: Integers = counts.argmax(axis=1)[wanted]
    return found


def _events(config: PretrainConfig, which: Literal["validation_files", "test_files"]) -> Batch:
    features = config.features()
    return event_batch(load_arrays(features.data.paths(Path(), which), features).arrays)


def _jets(batch: Batch, jets: list[int]) -> tuple[NDArray[np.float64], Integers, NDArray[np.bool_]]:
    """Return own features and types of all jets, and which objects they are, shape ``(events, objects)``."""
    objects = batch.condition.objects[OBJECTS]
    values = np.asarray(to_numpy(objects.values), dtype=np.float64)
    kinds = values[..., -1].round().astype(np.int64)
    chosen = np.asarray(to_numpy(objects.mask), dtype=np.bool_) & np.isin(kinds, jets)
    return values[chosen][:, _OWN], kinds[chosen], chosen
