"""The sampler benchmark changes how often a network is evaluated, and nothing else."""

import numpy as np
import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.errors import ModelError
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.base import Events
from castalia.estimators.registry import build, preset
from castalia.rng import Stream
from unfold_sampler import FULL_SIZE, LATENT, QUICK_SIZE, goals_of, settings, with_evaluations

SMALL = {"encoder": {"width": 8, "heads": 1, "blocks": 1}}
LAYOUT = Layout((Variable("c"),), (Variable("x"), Variable("y")))


def model(name, **options):
    kind, defaults = preset(name)
    made = build(kind, {**defaults, **SMALL, **options}, LAYOUT, 1)
    rng = Stream(1, "sampler").at()
    made.prepare([batch_from_arrays(rng.standard_normal((500, 1)), rng.standard_normal((500, 2)))])
    # Untrained velocities are zero: nothing would depend on the number of steps.
    with torch.no_grad():
        for values in made.parameters():
            values.add_(0.1 * torch.from_numpy(rng.standard_normal(tuple(values.shape), dtype=np.float32)))
    return made.eval()


def drawn(sampler):
    return sampler.sample(Events(torch.zeros(50, 1)), 1, Stream(1, "draws").at()).flat


@pytest.mark.parametrize(("name", "sampler", "own"), [("unfold_flow_matching", "", 20), (LATENT, "multistep", 20)])
def test_only_the_number_of_evaluations_changes(name, sampler, own):
    made = model(name)
    torch.testing.assert_close(drawn(with_evaluations(made, own, sampler)), drawn(made), rtol=0, atol=0)
    few, many, most = (drawn(with_evaluations(made, number, sampler)) for number in (8, 80, 160))
    # A solver converges: the more steps, the less they change.
    assert (many - most).abs().mean() < 0.1 * (few - most).abs().mean()
    assert (few - most).abs().mean() > 0.0


def test_samplers_differ_and_a_model_of_one_pass_is_refused():
    made = model(LATENT)
    assert (drawn(with_evaluations(made, 5, "ancestral")) - drawn(with_evaluations(made, 5, "ddim"))).abs().mean() > 0
    with pytest.raises(ModelError, match="one number of evaluations"):
        with_evaluations(model("cinn", blocks=2, hidden=[8]), 5, "")


def test_the_goals_are_among_the_settings():
    for plan in (FULL_SIZE, QUICK_SIZE):
        assert ("Runge-Kutta", plan.enough[0]) in settings(plan, "unfold_flow_matching")
        assert ("multistep", plan.enough[1]) in settings(plan, LATENT)
        assert all(number % 4 == 0 for _, number in settings(plan, "unfold_flow_matching"))


def test_a_busy_machine_proves_no_speed():
    rows = {f"{name}, {sampler}, {number}": {"wasserstein": 1.0 if number >= 20 else 2.0, "crps": 0.3}
            for name in ("unfold_flow_matching", LATENT) for sampler, number in settings(FULL_SIZE, name)}  # fmt: skip
    for noisy, value in ((True, None), (False, 0.6)):
        rows["unfold_flow_matching, speed"] = {"noisy": noisy, "fraction_of_floor": 0.6}
        *quality, speed = goals_of(FULL_SIZE, rows)
        assert speed.value == value
        assert [goal.value for goal in quality] == [1.0] * 4
    rows["vld, multistep, 50"] = {"wasserstein": 2.0, "crps": 0.3}
    assert max(goal.value for goal in goals_of(FULL_SIZE, rows)[:4]) == 2.0
