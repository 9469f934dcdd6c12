"""How fast a classifier trains and classifies, against its floor: ``python benchmarks/classify_speed.py [--quick]``.

The model of ``examples/classify.toml``, a transformer 64 wide, with and without features of pairs and decays, and that
of arXiv:2212.08759 with decays, graph attention 256 wide, on events of six objects and one thread. The floor is the
time of the network's multiply-adds, each done once, and three times for a training step, at the rate of large products
with matrices of its width. Both are measured in turn, by the time of the processor, so that other processes count less.
Where the rate of the products moved, or other processes were busy, it is tried again, and then marked as noisy. The
full form takes three minutes on a quiet machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import tomli_w
import torch

from castalia.apps.classify.config import parse_config
from castalia.data.feature_arrays import ObjectArrays
from castalia.data.typed_objects import ANCESTRY, OBJECTS
from castalia.estimators.arrays import batch_from_arrays, events_from_array
from castalia.estimators.base import Batch, Estimator
from castalia.estimators.classification.backbone import TransformerBackboneConfig
from castalia.estimators.classification.networks import GraphClassifier, TransformerClassifier
from castalia.estimators.registry import build
from castalia.rng import Stream
from castalia.training.allocator import keep_freed_memory
from castalia.training.config import TrainingConfig
from castalia.training.diagnosis import VariableNames
from castalia.training.step import ObjectiveStep
from classify_run import TRAINED
from record import ROOT, Goal, write_result
from sampling_rates import BUSY, MOVED
from sampling_rates import _Others as Others  # private, so that the results which rest on that file stay fresh

__all__ = ["PATHS", "Speed", "events", "main", "model", "multiply_adds", "speed_of"]

PATHS: Final = [
    "benchmarks/classify_speed.py",
    "benchmarks/sampling_rates.py",
    *(path for path in TRAINED if not path.startswith(("src/castalia/apps", "src/castalia/data"))),
]

_PLAIN: Final = {"width": 64, "heads": 4, "blocks": 6, "pairwise": False}
VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "classify": {"preset": "classify", "options": {"decay_weight": 1.0}},
    "classify without decays": {"preset": "classify", "options": {"decay_weight": 0.0}},
    "plain": {"preset": "classify", "options": {"decay_weight": 0.0, "backbone": _PLAIN}},
    "published": {"preset": "decay_aware", "options": {"backbone": {"kind": "graph", "pairwise": False}}},
}
"""Sections ``[model]`` by name."""

OBJECTS_OF_EVENT: Final = 6
STEP, CHUNK = 512, 1_024
"""Events in a step, as in the example, and of those that a run scores at a time."""

_FORWARD_AND_BACKWARD: Final = 3  # products of a step: of its output, of the gradient of inputs, and of weights
_PAIR_FEATURES: Final = 4


@dataclass(frozen=True)
class Speed:
    """What was measured of one model.

    Attributes:
        multiply_adds: Of an event's classification.
        trained: Events per second of training.
        classified: Events per second of classification.
        training: Share of the floor's rate that training has: median over the rounds, and its standard error.
        classification: The same of classification.
        gflops: Rate of the products, median over the rounds.
        moved: Relative change of that rate from the first round to the last.
        others: Cores that other processes used meanwhile, on average.
    """

    multiply_adds: int
    trained: float
    classified: float
    training: tuple[float, float]
    classification: tuple[float, float]
    gflops: float
    moved: float
    others: float

    @property
    def noisy(self) -> bool:
        """Whether the machine was disturbed."""
        return self.moved > MOVED or self.others > BUSY


def model(section: dict[str, Any]) -> Estimator:
    """Return the untrained model of the example with another section ``[model]``."""
    content = tomllib.loads((ROOT / "examples" / "classify.toml").read_text(encoding="utf-8"))
    content["model"] = section
    config = parse_config(tomli_w.dumps(content), Path("classify.toml"), ROOT)
    found = build(*config.estimator().resolve(), config.layout, 1)
    found.prepare([events(4_096)])
    return found


def events(number: int) -> Batch:
    """Return events of two classes with a lepton, two b jets, two light jets and missing momentum, and ancestors."""
    rng, shape = Stream(1, "classify speed").at(), (number, OBJECTS_OF_EVENT)
    kinds = np.broadcast_to([0.0, 1.0, 1.0, 2.0, 2.0, 3.0], shape)
    columns = rng.exponential(60.0, shape) + 20.0, rng.normal(0.0, 1.0, shape), rng.uniform(-np.pi, np.pi, shape)
    values = np.stack([*columns, rng.exponential(10.0, shape), kinds], axis=-1)
    mask = np.ones(shape, dtype=np.bool_)
    ancestry = ObjectArrays(rng.integers(0, 3, (*shape, 4)).astype(np.float64), mask)
    label = rng.integers(0, 2, (number, 1)).astype(np.float64)
    batch = batch_from_arrays(
        np.zeros((number, 0)), label, np.ones(number), objects={OBJECTS: ObjectArrays(values, mask)}
    )
    return replace(batch, target=events_from_array(label, objects={ANCESTRY: ancestry}))


def multiply_adds(network: TransformerClassifier | GraphClassifier, training: bool) -> int:
    """Count the multiply-adds of one event's forward pass that its products cannot do without.

    Args:
        network: The model.
        training: Whether relations are told as well, which classification does not need.
    """
    config, objects = network.config.backbone, OBJECTS_OF_EVENT
    width, pairs = config.width, objects**2
    if isinstance(config, TransformerBackboneConfig):
        blocks, matrices = config.blocks, 4 + 2 * config.expansion
    else:
        blocks, matrices = config.blocks + config.event_blocks, 3
    block = objects * matrices * width**2 + 2 * pairs * width
    found = objects * network.backbone.embedding.in_features * width + blocks * block + width * network.classes
    weights = dict(network.backbone.named_parameters())
    of_pairs = [one for name, one in weights.items() if name.startswith("bias.") or ".pair." in name]
    found += pairs * sum(one.numel() for one in of_pairs if one.ndim == 2)
    if network.relation_head is not None and training:
        relations = network.relation_head.last.out_features
        found += 2 * objects * width**2 + pairs * width * (_PAIR_FEATURES + relations)
    return int(found)


def speed_of(section: dict[str, Any], rounds: int, seconds: float, attempts: int) -> Speed:
    """Measure training, classification and products in turn, again while the machine is disturbed.

    Args:
        section: The section ``[model]``.
        rounds: Measured rounds, after one to warm up.
        seconds: Time of the processor for each measurement.
        attempts: How often to try for a quiet machine.
    """
    network = model(section)
    if not isinstance(network, TransformerClassifier | GraphClassifier):
        raise TypeError("only products of transformers and of graph attention are counted")
    train, classify = _trainer(network), _classifier(network)
    for _ in range(attempts):
        found = _measured(network, train, classify, rounds, seconds)
        if not found.noisy:
            break
    return found


def _measured(
    network: TransformerClassifier | GraphClassifier,
    train: Callable[[], object],
    classify: Callable[[], object],
    rounds: int,
    seconds: float,
) -> Speed:
    width, watch = network.config.backbone.width, Others()
    rates: dict[str, list[float]] = {"products": [], "training": [], "classification": []}
    for _ in range(rounds + 1):
        before = _product_rate(width, seconds)
        rates["training"].append(STEP * _rate(train, seconds))
        rates["classification"].append(CHUNK * _rate(classify, seconds))
        rates["products"].append((before + _product_rate(width, seconds)) / 2)
    products, trained, classified = (np.array(values[1:]) for values in rates.values())
    costs = _FORWARD_AND_BACKWARD * multiply_adds(network, training=True), multiply_adds(network, training=False)
    return Speed(
        costs[1],
        float(np.median(trained)),
        float(np.median(classified)),
        _median(trained * costs[0] / products),
        _median(classified * costs[1] / products),
        2e-9 * float(np.median(products)),
        abs(float(products[-1] / products[0]) - 1.0),
        watch.cores(),
    )


def _trainer(network: Estimator) -> Callable[[], object]:
    (objective,), batch = network.objectives(), events(STEP)
    step, counter = ObjectiveStep(objective, TrainingConfig(clip=5.0), VariableNames()), iter(range(10**9))

    def train() -> None:
        network.train()
        step(batch, 1e-3, Stream(1, "classify speed").at(next(counter)), "a benchmark")

    return train


def _classifier(network: TransformerClassifier | GraphClassifier) -> Callable[[], object]:
    given = events(CHUNK).condition

    @torch.inference_mode()
    def classify() -> None:
        network.eval()
        network.logits(given)

    return classify


def _product_rate(width: int, seconds: float) -> float:
    """Return multiply-adds per second of products of all objects of some events with a matrix of the width."""
    rows = STEP * OBJECTS_OF_EVENT
    a, b, out = torch.ones(rows, width), torch.ones(width, 2 * width), torch.empty(rows, 2 * width)
    return 2.0 * rows * width**2 * _rate(lambda: torch.mm(a, b, out=out), seconds)


def _rate(call: Callable[[], object], seconds: float) -> float:
    calls, begin = 0, time.process_time()
    while calls == 0 or time.process_time() - begin < seconds:
        call()
        calls += 1
    return calls / (time.process_time() - begin)


def _median(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """Return the median and its standard error, 1.25 times that of a mean of normal values."""
    return float(np.median(values)), 1.2533 * statistics.stdev(values.tolist()) / len(values) ** 0.5


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at most a minute, with smaller claims")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    keep_freed_memory()  # as every training does
    began = time.monotonic()
    found = {name: speed_of(section, *((5, 0.2, 1) if quick else (9, 1.0, 3))) for name, section in VARIANTS.items()}
    least = 0.2 if quick else 0.4
    goals = [
        Goal(f"{name}: {what}, fraction of the product-rate floor", value, ">=", least, error)
        for name in found
        for what, (value, error) in (("training", found[name].training), ("inference", found[name].classification))
    ]
    write_result(
        "classify_speed_quick" if quick else "classify_speed",
        values={name: {**asdict(one), "noisy": one.noisy} for name, one in found.items()},
        goals=goals,
        paths=PATHS,
        seeds=[1],
        seconds=time.monotonic() - began,
    )


if __name__ == "__main__":
    main()
