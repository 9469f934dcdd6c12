"""True images are standard normal in every sensor, unseen ones come back, and the calibration finds its levels."""

import math

import pytest
import torch

from castalia.estimators.pixels.canvas import Canvas
from castalia.estimators.pixels.cell_images import CellImages
from castalia.estimators.pixels.hits import hits_of
from castalia.rng import Stream


@pytest.fixture
def fitted(array, pixel_events):
    coding = CellImages(Canvas.over(array, 8, 2), 20_000)
    coding.fit([pixel_events(300)])
    return coding


def test_true_images_are_normal(fitted, pixel_events):
    rng = Stream(1, "even").at()
    images = fitted.encode(hits_of(pixel_events(300).target), rng).detach()
    assert images.shape == (300, 6, 2, 4, 6)
    cells = 300 * 24
    for sensor in images.unbind(1):
        # Events share a factor, by which cells are not independent: the mean varies by 0.15 from event to event.
        assert abs(float(sensor[:, 0].mean())) < 5 * (0.15 / math.sqrt(300) + 1 / math.sqrt(cells))
        assert abs(float(sensor[:, 1].mean())) < 5 / math.sqrt(cells)
        assert abs(float(sensor.std()) - 1.0) < 5 / math.sqrt(cells)
    # Negative control: with the probabilities of another sensor it is not.
    fitted.exceed.copy_(fitted.exceed.roll(1, 0))
    wrong = fitted.encode(hits_of(pixel_events(300).target), rng)
    assert float(wrong[:, 0, 0].mean()) < -5 * (0.15 / math.sqrt(300) + 1 / math.sqrt(cells))


def test_hits_come_back_but_for_their_places_in_a_cell(fitted, pixel_events):
    truth, rng = hits_of(pixel_events(100, "test").target), Stream(1, "even").at()
    back = fitted.decode(fitted.encode(truth, rng), rng)
    assert abs(len(back) / len(truth) - 1.0) < 0.02
    assert (
        float(torch.corrcoef(torch.stack([back.counts(6).flatten(), truth.counts(6).flatten()]).double())[0, 1]) > 0.98
    )
    pixel = ((back.event * 6 + back.sensor) * 30 + back.u) * 45 + back.v
    assert bool((pixel.diff() > 0).all())
    assert int(back.charge.min()) >= int(truth.charge.min())


def test_calibration_is_minimal_at_the_true_levels(fitted):
    images = torch.randn(40, 6, 2, 4, 6, generator=torch.Generator().manual_seed(3)) * 1.3 + 0.2
    optimiser = torch.optim.Adam([fitted.cuts], lr=0.02)
    for step in range(400):
        optimiser.param_groups[0]["lr"] = 0.02 * (1 - step / 400)
        optimiser.zero_grad()
        fitted.calibration_loss(images).mean().backward()
        optimiser.step()
    scores = (images + fitted.profile)[:, :, 0].transpose(0, 1).flatten(1)
    for level in range(4):
        found = (scores >= fitted.cuts[:, level, None]).float().mean(1)
        wanted = fitted.exceed[:, level]
        # A quantile of 960 scores lies within one of them, and Adam's last steps are of no size.
        assert torch.allclose(found, wanted, atol=0.01)
    # Negative control: without calibration these wide scores make other levels.
    assert not torch.allclose(
        (scores >= -torch.special.ndtri(fitted.exceed[:, :1])).float().mean(1), fitted.exceed[:, 0], atol=0.01
    )


def test_the_loss_is_the_check_function(fitted):
    images = torch.randn(2, 6, 2, 4, 6, generator=torch.Generator().manual_seed(3))
    above = (images + fitted.profile)[:, :, 0].flatten(2)[..., None] - fitted.cuts[:, None]
    losses = above * (1.0 - fitted.exceed)[:, None] - above.clamp(max=0.0)
    assert torch.allclose(fitted.calibration_loss(images), losses.mean(dim=2).sum(dim=(1, 2)), rtol=1e-4)
