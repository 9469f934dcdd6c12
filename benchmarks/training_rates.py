"""Training steps of the paper's network, ours and two libraries', on equal batches: events per second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from castalia.detectors.photon_response import PhotonResponse
from castalia.estimators.base import Batch, Objective
from castalia.estimators.registry import build, preset
from castalia.rng import Stream
from castalia.training.config import TrainingConfig
from castalia.training.diagnosis import VariableNames
from castalia.training.step import ObjectiveStep
from diphoton_sample import bound_of, diphoton_arrays, diphoton_features, training_batch

__all__ = ["TrainingRate", "training_rates"]

BLOCKS, HIDDEN = 10, 128
RATE = 1e-3
STEPS = 5


@dataclass(frozen=True)
class TrainingRate:
    """How fast one library trains.

    Attributes:
        events_per_second: Median over the rounds.
        parameters: Size of its network.
    """

    events_per_second: float
    parameters: int


def training_rates(batch_size: int, rounds: int) -> dict[str, TrainingRate]:
    """Time five training steps of each library in turn: loss, gradient, optimiser.

    Each has the paper's ten affine autoregressive blocks with two hidden layers of 128, and the fused AdamW of torch.
    Ours also scales events and checks loss and gradient, as ``fit`` does; the others are given scaled events.

    Args:
        batch_size: Events in a step.
        rounds: Measured rounds, after one to warm up.
    """
    features = diphoton_features()
    name, options = preset("paper")
    ours = build(name, options, features.layout)
    arrays = diphoton_arrays(features, PhotonResponse(), 2 * batch_size, seed=1)
    batch = training_batch(arrays, bound_of(ours, len(features.layout.target))).take(torch.arange(batch_size))
    ours.prepare([batch])
    scaled = batch.target.flat / batch.target.flat.std(0)
    given = (batch.condition.flat - batch.condition.flat.mean(0)) / batch.condition.flat.std(0)
    steps = {"castalia": _our_step(ours.objectives()[0], batch)}
    networks: dict[str, torch.nn.Module] = {"castalia": ours}
    for peer, (network, log_prob) in {"zuko": _zuko(), "nflows": _nflows()}.items():
        networks[peer] = network
        steps[peer] = _peer_step(network, lambda of=log_prob: of(scaled, given))  # type: ignore[misc]
    seconds: dict[str, list[float]] = {one: [] for one in steps}
    for number in range(rounds + 1):
        for one, step in steps.items():
            begin = time.perf_counter()
            for _ in range(STEPS):
                step()
            if number:
                seconds[one].append(time.perf_counter() - begin)
    return {
        one: TrainingRate(
            STEPS * batch_size / statistics.median(taken), sum(p.numel() for p in networks[one].parameters())
        )
        for one, taken in seconds.items()
    }


def _our_step(objective: Objective, batch: Batch) -> Callable[[], object]:
    step = ObjectiveStep(objective, TrainingConfig(), VariableNames())
    return lambda: step(batch, RATE, Stream(1, "training rates").at(), "a benchmark")


def _peer_step(network: torch.nn.Module, log_prob: Callable[[], torch.Tensor]) -> Callable[[], object]:
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.0, fused=True)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        (-log_prob().mean()).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def _zuko() -> tuple[torch.nn.Module, Callable[..., torch.Tensor]]:
    import zuko

    flow = zuko.flows.MAF(features=6, context=5, transforms=BLOCKS, hidden_features=(HIDDEN, HIDDEN))
    return flow, lambda x, c: flow(c).log_prob(x)


def _nflows() -> tuple[torch.nn.Module, Callable[..., torch.Tensor]]:
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.transforms import CompositeTransform, MaskedAffineAutoregressiveTransform, ReversePermutation

    # One block after the first layer: two hidden layers, as in the other two.
    maps = {"hidden_features": HIDDEN, "context_features": 5, "num_blocks": 1, "use_residual_blocks": False}
    blocks = []
    for _ in range(BLOCKS):
        blocks += [ReversePermutation(6), MaskedAffineAutoregressiveTransform(features=6, **maps)]
    flow = Flow(CompositeTransform(blocks), StandardNormal([6]))
    return flow, lambda x, c: flow.log_prob(x, context=c)
