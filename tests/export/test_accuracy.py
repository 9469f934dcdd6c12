"""Row R12 of the reliability promises: against float64, an exported model is as good as torch's own float32."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from exported_models import KINDS, SIX, Exported, drawn, events_of, in_double, make, opened

from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.flows.coupling import CouplingBlock
from castalia.estimators.flows.univariate import SplineMap
from castalia.estimators.registry import preset
from castalia.export.models import sampler_model
from castalia.rng import Stream

CHUNK = 20_000
ALLOWED = 2.0


@dataclass(frozen=True)
class Errors:
    """Differences from float64 over the width of each target, of both, and how many spline bins they hit wrongly."""

    exported: np.ndarray
    torch: np.ndarray
    exported_flips: int = 0
    torch_flips: int = 0

    def good(self) -> bool:
        """Whether the export's differences and its wrong bins are no worse than twice those of torch."""
        return (
            np.median(self.exported) <= ALLOWED * np.median(self.torch)
            and large(self.exported) <= ALLOWED * large(self.torch)
            and no_more(self.exported_flips, self.torch_flips)
            and no_more(steps(self.exported), steps(self.torch))
        )


def large(values: np.ndarray) -> float:
    """Return what one in ten thousand exceeds, or where there are few values the hundredth largest."""
    return float(np.quantile(values, 1 - max(1e-4, 100 / values.size)))


def steps(values: np.ndarray) -> int:
    """Count what only a rounding across a step of the model makes: more than a hundredth of a width."""
    return int((values > 0.01).sum())


def no_more(exported: int, torch_: int) -> bool:
    """Whether a count is no more than twice another, within five standard errors."""
    return bool(exported - ALLOWED * torch_ <= 5 * np.sqrt(exported + ALLOWED**2 * torch_))


def figures(errors: Errors) -> dict[str, Any]:
    """What is reported, of the export and of torch in float32."""
    return {
        "events": len(errors.exported),
        "median difference": (float(np.median(errors.exported)), float(np.median(errors.torch))),
        "large difference": (large(errors.exported), large(errors.torch)),
        "largest difference": (float(errors.exported.max()), float(errors.torch.max())),
        "steps hit wrongly": (steps(errors.exported), steps(errors.torch)),
        "spline bins hit wrongly": (errors.exported_flips, errors.torch_flips),
    }


def bins_hit(flow, condition: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the bin of every spline that each event goes through, computed in float64."""
    if not any(isinstance(getattr(block, "univariate", None), SplineMap) for block in flow.chain.blocks):
        return np.zeros((len(target), 0), dtype=int)
    x, _ = flow.targets(torch.from_numpy(target).double())
    given = flow.conditions(torch.from_numpy(condition).double())
    found = []
    for block in flow.chain.blocks:
        if isinstance(getattr(block, "univariate", None), SplineMap):
            if isinstance(block, CouplingBlock):
                raw = block.network(torch.cat([x[:, : block.kept], given], dim=1)).view(len(x), block.mapped, -1)
                at = x[:, block.kept :]
            else:
                raw, at = block.network(x, given), x
            positions = block.univariate.knots(raw)[0]
            found.append((at[..., None] >= positions[..., 1:-1]).sum(-1))
        x, _ = block(x, given)
    return torch.cat(found, dim=1).numpy()


@torch.no_grad()
def sampling_errors(one: Exported, events: int, session=None) -> Errors:
    session = session or one.sampler
    exported, single, flips = [], [], np.zeros(2, dtype=int)
    for number in range(-(-events // CHUNK)):
        condition = events_of(SIX, CHUNK, f"accuracy {number}").condition.flat.numpy()
        noise = Stream(4, "export accuracy").at(number).standard_normal((CHUNK, 6), dtype="float32")
        exact = drawn(one.double, condition, noise)
        width = exact.std(axis=0)
        ours, theirs = session.run(None, {"condition": condition, "noise": noise})[0], drawn(one.flow, condition, noise)
        exported.append(np.abs(ours - exact) / width)
        single.append(np.abs(theirs - exact) / width)
        right = bins_hit(one.double, condition, exact)
        flips += [int((bins_hit(one.double, condition, drawn_) != right).sum()) for drawn_ in (ours, theirs)]
    return Errors(np.concatenate(exported), np.concatenate(single), int(flips[0]), int(flips[1]))


@torch.no_grad()
def density_errors(one: Exported) -> Errors:
    events = events_of(SIX, CHUNK, "density accuracy")
    exact = one.double.log_prob(in_double(events)).numpy()
    possible = np.isfinite(exact)  # a truncated flow has none outside
    found = one.log_prob(events.condition.flat.numpy(), events.target.flat.numpy())
    single = one.flow.log_prob(batch_from_arrays(events.condition.flat, events.target.flat)).numpy()
    return Errors(np.abs(found[possible] - exact[possible]), np.abs(single[possible] - exact[possible]))


def test_sampling(exported):
    errors = sampling_errors(exported, CHUNK)
    assert errors.good(), figures(errors)


def test_density(exported):
    errors = density_errors(exported)
    assert errors.good(), figures(errors)


@pytest.mark.parametrize("kind", ["compact", "paper"])
def test_a_weight_that_is_slightly_off_is_found(kind):
    one = make(kind)
    other = make(kind).flow
    with torch.no_grad():
        other.chain.blocks[0].network.layers[0].weight[0] *= 1.001
    assert not sampling_errors(one, CHUNK, opened(sampler_model(other, {}))).good()


def test_each_figure_is_judged():
    same = np.full(1000, 1e-6)
    assert Errors(same, same).good()
    assert not Errors(2.1 * same, same).good()
    assert not Errors(np.append(same, [3e-6] * 200), same).good()
    assert Errors(same, same, 30, 10).good()
    assert not Errors(same, same, 80, 10).good()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["compact", "paper", "spline"])
def test_a_million_events_of_each_preset(name, monkeypatch):
    monkeypatch.setitem(KINDS, name, preset(name))
    one = make(name, scramble=0.05)
    errors = sampling_errors(one, 1_000_000)
    print(name, figures(errors))  # shown by pytest -rP
    assert large(errors.torch) < 1e-3, "torch in float32 is no measure to be held against"
    assert errors.good(), figures(errors)
    assert density_errors(one).good()
