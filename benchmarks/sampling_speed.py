"""Exact sampling of the paper's flow against zuko and nflows: ``python benchmarks/sampling_speed.py [--quick]``.

Ten masked autoregressive blocks of 128-128, six targets, five conditions, two cores; zuko has the same weights. All in
one process, on the same conditions, in inference mode, each at its best batch size and arrangement of threads, in turn.
The floor is the time that the multiply-adds which the masks leave, each done once, take at the measured rate of large
matrix products, one on each core.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from castalia.data.layout import Layout, Variable
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.base import Events
from castalia.estimators.flows.flow import NormalizingFlow
from castalia.estimators.registry import build, preset
from castalia.nn.masked import MaskedLinear
from castalia.rng import Stream
from peer_samplers import BLOCKS, CONDITIONS, HIDDEN, TARGETS, nflows_sampler, zuko_flow
from record import Goal, write_result
from sampling_rates import Contender, race

PATHS = [
    *(f"src/castalia/{part}" for part in ("rng.py", "nn", "estimators/flows", "estimators/scaling.py")),
    *(f"benchmarks/{part}.py" for part in ("sampling_speed", "sampling_rates", "peer_samplers")),
]
OUR_BATCHES = (16_384, 65_536, 262_144)
PEER_BATCHES, PEER_SHARED = (1_024, 2_048, 4_096, 8_192, 16_384), (True, False)
# The quick form runs beside other work, where torch's own threads wait for each other without end, and its claims are
# only that the incremental inverse is not lost.
QUICK_BATCHES, QUICK_SHARED = (4_096, 16_384), (True,)


def paper_flow() -> NormalizingFlow:
    """Return the flow of the preset ``paper``, untrained, of the size its peers are built with."""
    layout = Layout(
        tuple(Variable(f"c{i}") for i in range(CONDITIONS)),
        tuple(Variable(f"x{i}", scale=8.0, object_index=i // 3) for i in range(TARGETS)),
    )
    name, options = preset("paper")
    model = build(name, options, layout, 1)
    if not isinstance(model, NormalizingFlow) or (options["blocks"], options["hidden"]) != (BLOCKS, [HIDDEN, HIDDEN]):
        raise TypeError("the preset 'paper' is no longer the paper's flow")
    rng = Stream(1, "benchmark").at()
    model.prepare([batch_from_arrays(rng.standard_normal((4_096, CONDITIONS)), rng.uniform(-1, 1, (4_096, TARGETS)))])
    return model


def largest_difference(model: NormalizingFlow, events: int = 20_000) -> float:
    """Return by how much samples differ from zuko's with the same weights, map and noise, in the targets' own scale."""
    condition, noise = _normal(2, events, CONDITIONS), _normal(3, events, TARGETS)
    with torch.inference_mode():
        drawn = model.sample(Events(condition), 1, Stream(3, "normal").at()).flat
        theirs = zuko_flow(model.chain, our_map=True)(model.conditions(condition)).transform.inv(noise)
        return float((drawn - model.targets.inverse(theirs)).abs().max())


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(Stream(seed, "normal").at().standard_normal(shape, dtype=np.float32))


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="at most two minutes, with smaller claims")
    quick = parser.parse_args().quick
    begin, model, rng = time.monotonic(), paper_flow(), Stream(1, "draws").at()
    multiply_adds = sum(int(one.mask.sum()) for one in model.modules() if isinstance(one, MaskedLinear))
    zuko, nflows = zuko_flow(model.chain), nflows_sampler()
    given = _normal(4, max(OUR_BATCHES), CONDITIONS)
    batches, shared = (QUICK_BATCHES, QUICK_SHARED) if quick else (PEER_BATCHES, PEER_SHARED)
    contenders = {
        "castalia": Contender(lambda c: model.sample(Events(c), 1, rng), given, OUR_BATCHES, (False,)),
        "zuko": Contender(lambda c: zuko(c).sample(), given, batches, shared),
        "nflows": Contender(nflows, given, batches, shared),
    }
    found = race(contenders, *((0.4, 5, 1) if quick else (2.0, 9, 3)))
    floor = 0.5e9 * (found.peak_before + found.peak_after) / (2 * multiply_adds)
    fraction, difference = found.rates["castalia"] / floor, largest_difference(model)
    least, share = (5.0, 0.25) if quick else (10.0, 0.5)
    goals = [
        Goal(f"exact sampling, ours / {peer}", ratio, ">=", least, error, peer, ratio)
        for peer, (ratio, error) in found.ratios.items()
    ]
    goals += [
        Goal("exact sampling, fraction of the product-rate floor", fraction, ">=", share),
        Goal("largest difference to zuko's numbers, of a range of 16", difference, "<=", 1e-3),
    ]
    write_result(
        "sampling_speed_quick" if quick else "sampling_speed",
        values={
            **found.rates,
            **{f"ratio_{peer}": ratio for peer, (ratio, _) in found.ratios.items()},
            "fraction_of_floor": fraction,
            "fraction_of_floor_stretch": 0.65,
            "multiply_adds": multiply_adds,
            "largest_difference": difference,
            **found.described(),
        },
        goals=goals,
        paths=PATHS,
        seeds=[1],
        seconds=time.monotonic() - begin,
    )


if __name__ == "__main__":
    main()
