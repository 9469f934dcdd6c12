"""Images of pixels hold all hits, with whole charges, inside their padding."""

import torch

from castalia.estimators.pixels.canvas import Canvas
from castalia.estimators.pixels.hits import SensorArray, hits_of, padded
from castalia.estimators.pixels.images import PixelImages
from castalia.rng import Stream


def test_the_canvas_of_the_pixel_detector():
    array = SensorArray(40, 250, 768, 256)
    full, small = Canvas.over(array, 1, 64), Canvas.over(array, 8, 8)
    assert (full.rows, full.columns, full.pad_u, full.pad_v) == (256, 768, 3, 0)
    assert (small.rows, small.columns, small.pad_u, small.pad_v) == (32, 96, 3, 0)


def test_hits_come_back(array, pixel_events):
    batch = pixel_events(3)
    coding, rng = PixelImages(Canvas.over(array, 1, 4)), Stream(1, "").at()
    coding.fit([batch])
    assert int(coding.smallest) == int(hits_of(batch.target).charge.min()) >= 7
    images = coding.encode(hits_of(batch.target), rng)
    assert images.shape == (3, 6, 1, 32, 48)
    assert float(images.min()) == -1.0
    assert float(images.max()) <= 1.0
    assert torch.equal(
        padded(coding.decode(images)).objects["hits"].values, padded(hits_of(batch.target)).objects["hits"].values
    )
    # Padding is empty, and what a generator puts there or below the smallest charge is no hit.
    assert bool((images[..., 0, :] == -1.0).all())
    images[:] = -0.6
    assert len(coding.decode(images)) == 0
    images[:] = 2.0
    full = coding.decode(images)
    assert len(full) == 3 * 6 * 30 * 45
    assert int(full.charge.max()) == 255
