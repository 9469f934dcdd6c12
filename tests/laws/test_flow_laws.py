"""What must hold of every flow: its inverse inverts, its Jacobian is the one of automatic differentiation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from castalia.estimators.base import Estimator
from castalia.rng import Stream


def test_inverse_undoes_forward(make, flow, size, solver_error, encoded):
    estimator, events = make(flow, size)
    x = events.target.flat[:500]
    condition = encoded(estimator, events.condition.map(lambda c: c[:500]))

    def there_and_back(model: Estimator, back_by: Tensor = condition) -> Tensor:
        z, _ = model.chain(model.targets(x)[0], condition)
        return model.targets.inverse(model.chain.inverse(z, back_by))

    solver = solver_error(estimator, there_and_back)
    with torch.no_grad():
        assert torch.allclose(there_and_back(estimator), x, rtol=1e-8, atol=1e-9 + solver)
        # Negative control: the next event's condition.
        assert not torch.allclose(there_and_back(estimator, condition.roll(1, 0)), x, rtol=1e-3, atol=1e-3 + solver)


def test_samples_are_the_inverse_of_the_noise(make, flow, size, solver_error, encoded, undisturbed):
    estimator, events = make(flow, size)
    undisturbed(estimator)
    stream = Stream(3, "sampling")
    noise = stream.at().standard_normal((200, size), dtype=np.float32)
    condition = encoded(estimator, events.condition.map(lambda c: c[:100])).repeat_interleave(2, dim=0)

    @torch.no_grad()
    def noise_of_samples(model: Estimator) -> Tensor:
        drawn = model.sample(events.condition.map(lambda c: c[:100]), 2, stream.at())
        return model.chain(model.targets(drawn.flat)[0], condition)[0]

    z = noise_of_samples(estimator).numpy()
    assert np.allclose(z, noise, rtol=1e-6, atol=1e-6 + solver_error(estimator, noise_of_samples))
    assert not np.allclose(z, np.roll(noise, 1, axis=0), atol=0.1)


def test_log_jacobian_agrees_with_automatic_differentiation(make, flow, size, encoded):
    estimator, events = make(flow, size)
    for row in range(6):
        x = events.target.flat[row]
        condition = encoded(estimator, events.condition.map(lambda c, at=row: c[at : at + 1]))

        def whole(values: Tensor, condition: Tensor = condition) -> Tensor:
            return estimator.chain(estimator.targets(values[None])[0], condition)[0][0]

        expected = torch.linalg.slogdet(torch.autograd.functional.jacobian(whole, x)).logabsdet
        scaled, from_scaling = estimator.targets(x[None])
        _, from_chain = estimator.chain(scaled, condition)
        assert torch.allclose((from_scaling + from_chain)[0], expected, rtol=1e-8, atol=1e-8)
        assert not torch.allclose(from_chain[0], expected, rtol=1e-3)  # negative control: no scaling


def test_gradients_reach_every_parameter(make, flow, size):
    estimator, events = make(flow, size, scramble=0.05)
    (objective,) = estimator.objectives()
    names = {id(p) for p in objective.parameters}
    assert names == {id(p) for p in estimator.parameters()}
    objective.loss(events, Stream(4, "loss").at()).total.mean().backward()
    for name, parameter in estimator.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.abs().sum() > 0), name


def test_loss_is_the_negative_log_density(make, likelihood_flow, size):
    estimator, events = make(likelihood_flow, size)
    (objective,) = estimator.objectives()
    with torch.no_grad():
        loss = objective.loss(events, Stream(4, "loss").at()).total
        assert torch.allclose(loss, -estimator.log_prob(events))
        assert not torch.allclose(loss, -estimator.log_prob(events.map(lambda v: v.roll(1, 0))))
