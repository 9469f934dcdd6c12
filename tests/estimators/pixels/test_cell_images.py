"""Scores are shown as truth is, true images come back, and the calibration finds its levels."""

import pytest
import torch

from castalia.estimators.pixels.canvas import Canvas
from castalia.estimators.pixels.cell_images import CellImages
from castalia.estimators.pixels.hits import hits_of
from castalia.rng import Stream


def _correlation(one, other):
    counts = torch.stack([one.counts(6).flatten(), other.counts(6).flatten()]).double()
    return float(torch.corrcoef(counts)[0, 1])


@pytest.fixture
def fitted(array, pixel_events):
    coding = CellImages(Canvas.over(array, 8, 2), 20_000)
    coding.fit([pixel_events(300)])
    return coding


def test_scores_are_shown_as_truth_is(fitted, pixel_events):
    truth = fitted.encode(hits_of(pixel_events(300).target), Stream(1, "even").at())
    made = torch.randn(300, 6, 2, 4, 6, generator=torch.Generator().manual_seed(1))
    shown = fitted.shown(made)
    assert truth.shape == shown.shape == made.shape
    # Events share a factor, by which the means of events vary; five standard errors of both samples, and 0.02 for
    # profiles by rows and columns, which are not quite additive in scores.
    for own, true in zip(shown.unbind(1), truth.unbind(1), strict=True):
        means = [one.mean(dim=(2, 3)) for one in (own, true)]
        error = 5 * ((means[0].var(0) + means[1].var(0)) / 300).sqrt() + 0.02
        assert bool(((means[0] - means[1]).mean(0).abs() < error).all())
    # Negative control: scores that are shifted are shown so.
    shifted = fitted.shown(made + 0.3)
    assert bool((shifted[:, :, 0].mean(dim=(0, 2, 3)) > truth[:, :, 0].mean(dim=(0, 2, 3)) + 0.1).all())


def test_nothing_is_shown_of_what_makes_no_hit(fitted):
    made = torch.full((1, 6, 2, 4, 6), -3.0)
    other = torch.full((1, 6, 2, 4, 6), -4.0)
    assert torch.equal(fitted.shown(made), fitted.shown(other))
    assert bool((fitted.shown(made)[:, :, 1] == 0).all())
    assert len(fitted.decode(made)) == 0
    assert not torch.equal(fitted.shown(made), fitted.shown(-made))  # negative control


def test_the_gradient_points_to_more_hits(fitted):
    made = torch.randn(50, 6, 2, 4, 6, generator=torch.Generator().manual_seed(2)).requires_grad_()
    (gradient,) = torch.autograd.grad(fitted.shown(made)[:, :, 0].mean(), made)
    total = float(gradient[:, :, 0].sum())
    with torch.no_grad():
        step = torch.tensor([0.2, 0.0])[:, None, None]
        found = float((fitted.shown(made + step) - fitted.shown(made - step))[:, :, 0].mean()) / 0.4
    # Only the cuts next to a score count, and their smearing is a choice: the size is right to a factor of two.
    assert 0.5 * found < total < 2.0 * found
    assert bool((gradient[:, :, 0] >= 0).all())


def test_hits_come_back_but_for_their_places_in_a_cell(fitted, pixel_events):
    truth, rng = hits_of(pixel_events(100, "test").target), Stream(1, "even").at()
    sizes = fitted.encode(truth, rng)
    heights = fitted._heights()
    number = (sizes[:, :, 0, ..., None] - heights[:, None, None]).abs().argmin(-1)
    edges = torch.cat([torch.full((6, 1), -6.0), fitted.cuts.detach(), torch.full((6, 1), 6.0)], 1)
    flat = number.transpose(0, 1).flatten(1)
    middle = (0.5 * (edges.gather(1, flat) + edges.gather(1, flat + 1))).view(6, 100, 4, 6).transpose(0, 1)
    back = fitted.decode(torch.stack([middle - fitted.profile, sizes[:, :, 1]], 2))
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
    scores = (images[:, :, 0] + fitted.profile).transpose(0, 1).flatten(1)
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
    above = (images[:, :, 0] + fitted.profile).flatten(2)[..., None] - fitted.cuts[:, None]
    losses = above * (1.0 - fitted.exceed)[:, None] - above.clamp(max=0.0)
    assert torch.allclose(fitted.calibration_loss(images), losses.mean(dim=2).sum(dim=(1, 2)), rtol=1e-4)
