"""The GAN trains both networks, resumes to the bit, and its arms share between sensors what they say."""

import json
from dataclasses import replace

import pytest
import torch

from castalia.data.layout import Layout
from castalia.errors import ConfigError, DataError, ModelError
from castalia.estimators.base import Events
from castalia.estimators.pixels.gan_presets import GAN_ARMS, GAN_PRESETS
from castalia.estimators.pixels.hits import SensorArray, hits_of
from castalia.estimators.registry import build, preset
from castalia.estimators.storage import load_model, save_model
from castalia.rng import Stream
from castalia.training import TrainingConfig, fit
from castalia.training.checkpoint import load_checkpoint

POSITIONS = tuple((float(n % 2), n / 5.0) for n in range(6))
SETTINGS = TrainingConfig(
    epochs=2,
    batch_size=10,
    learning_rate=2e-3,
    ema=0.9,
    schedule="cosine",
    final_learning_rate=1e-3,
    checkpoint_seconds=0,
)


class PlannedStop(Exception):
    pass


@pytest.fixture
def tiny(layout):
    def make(arm="intra_event_aware", **options):
        name, config = preset("iea_gan_tiny")
        return build(name, {**config, **GAN_ARMS[arm], "positions": POSITIONS, **options}, layout)

    return make


def _images(gan, noise, condition=None):
    gan.eval()
    with torch.no_grad():
        given = torch.zeros(len(noise.event), 2) if condition is None else condition
        return gan.generator(given, noise, torch.ones(2))


def test_both_networks_move_and_only_by_their_own_objective(tiny, pixel_events):
    gan, train = tiny(), pixel_events(20)
    named = {objective.name: objective for objective in gan.objectives()}
    owned = {name: {id(parameter) for parameter in one.parameters} for name, one in named.items()}
    assert owned["generator"] == {id(p) for p in gan.generator.parameters()}
    assert owned["discriminator"] == {id(p) for p in gan.discriminator.parameters()}
    assert not owned["generator"] & owned["discriminator"]
    assert {name: one.betas for name, one in named.items()} == {
        "discriminator": (0.0, 0.999),
        "generator": (0.0, 0.999),
        "calibration": (0.9, 0.999),
    }
    before = {name: p.detach().clone() for name, p in gan.named_parameters()}
    result = fit(gan, train, pixel_events(5, "validation"), SETTINGS)
    assert result.steps == 8
    still = [name for name, p in gan.named_parameters() if torch.equal(p, before[name])]
    # An offset of all scores has no gradient while none is beyond the hinge's margin.
    assert set(still) <= {"discriminator.score.layers.1.bias"}
    # Negative control: with a rate of nothing nothing moves, so that the check above can fail.
    frozen = tiny()
    fit(frozen, train, None, SETTINGS.model_copy(update={"learning_rate": 1e-12, "final_learning_rate": 1e-12}))
    moved = [
        n for n, p in frozen.generator.named_parameters() if not torch.allclose(p, before[f"generator.{n}"], atol=1e-6)
    ]
    assert moved == []


def test_resume_has_the_same_bits(tiny, pixel_events, tmp_path, monkeypatch):
    monkeypatch.setattr("castalia.training.loop.SECONDS_BETWEEN_REPORTS", 0.0)
    train, validation = pixel_events(20), pixel_events(5, "validation")

    def run(name, stop=None, resume=False):
        reports = 0

        def progress(state):
            nonlocal reports
            reports += 1
            if reports == stop:
                raise PlannedStop

        gan, folder = tiny(), tmp_path / name
        fit(
            gan,
            train,
            validation,
            SETTINGS,
            state=folder,
            history=tmp_path / f"{name}.jsonl",
            resume=resume,
            progress=progress,
        )
        lines = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        return {n: t.numpy().tobytes() for n, t in load_checkpoint(folder).tensors.items()}, [
            {k: v for k, v in line.items() if k != "seconds"} for line in lines
        ]

    whole = run("whole")
    for number, stop in enumerate((2, 8)):  # among the networks, and among the calibration
        with pytest.raises(PlannedStop):
            run(f"broken{number}", stop)
        assert run(f"broken{number}", resume=True) == whole
    assert [line["phase"] for line in whole[1]] == [0, 0, 1, 1]
    assert set(whole[1][0]["train"]) >= {"generator/intra_event", "discriminator/uniformity", "generator/contrastive"}


@pytest.mark.parametrize("name", GAN_PRESETS)
def test_a_gan_is_saved_whole(name, layout, tmp_path):
    estimator, config = preset(name)
    gan = build(estimator, {**config, "positions": POSITIONS}, layout)
    save_model(tmp_path, gan, layout)
    saved = load_model(tmp_path).estimator.state_dict()
    assert saved.keys() == gan.state_dict().keys()
    assert all(torch.equal(values, saved[name]) for name, values in gan.state_dict().items())


def test_swapped_sensors_have_swapped_images(tiny):
    gan, rng = tiny(), Stream(1, "noise").at()
    noise = gan.generator.draw_noise(2, rng, torch.device("cpu"))
    order = torch.tensor([0, 4, 2, 3, 1, 5])
    first = _images(gan, noise)
    tokens = gan.generator.tokens
    with torch.no_grad():
        tokens.embedding.copy_(tokens.embedding[order])
        tokens.positions.copy_(tokens.positions[order])
    swapped = replace(
        noise,
        sensor=noise.sensor[:, order],
        maps=tuple(one[:, order] for one in noise.maps),
        texture=noise.texture[:, order],
    )
    assert torch.allclose(_images(gan, swapped), first[:, order], atol=1e-5)
    assert not torch.allclose(_images(gan, noise), first[:, order], atol=1e-3)  # negative control: noise not swapped


@pytest.mark.parametrize(("arm", "shares"), [("independent", False), ("shared_latent", False), ("relational", True)])
def test_who_is_told_of_a_sensors_noise(tiny, arm, shares):
    gan = tiny(arm)
    noise = gan.generator.draw_noise(3, Stream(1, "noise").at(), torch.device("cpu"))
    first = _images(gan, noise)
    sensor = noise.sensor.clone()
    sensor[:, 2] += 1.0
    changed = (_images(gan, replace(noise, sensor=sensor)) - first).abs().amax(dim=(0, 2, 3, 4))
    assert float(changed[2]) > 1e-4
    others = changed[[0, 1, 3, 4, 5]]
    assert bool((others > 1e-6).all()) if shares else bool((others == 0.0).all())
    # The shared vector reaches all sensors, where there is one.
    if noise.event.shape[1]:
        moved = (_images(gan, replace(noise, event=noise.event + 1.0)) - first).abs().amax(dim=(0, 2, 3, 4))
        assert bool((moved > 1e-6).all())
    else:
        assert arm == "independent"


def test_events_of_a_batch_do_not_see_each_other(tiny):
    gan = tiny()
    noise = gan.generator.draw_noise(3, Stream(1, "noise").at(), torch.device("cpu"))
    alone = replace(
        noise,
        event=noise.event[:1],
        sensor=noise.sensor[:1],
        maps=tuple(m[:1] for m in noise.maps),
        texture=noise.texture[:1],
    )
    assert torch.allclose(_images(gan, noise)[:1], _images(gan, alone), atol=1e-5)


def test_samples_are_events_of_the_array(tiny, pixel_events):
    gan, events = tiny(), pixel_events(100)
    with pytest.raises(ModelError, match="not been prepared"):
        gan.sample(events.condition, 1, Stream(1, "").at())
    gan.prepare([events])
    some = events.condition.map(lambda values: values[:3])
    hits = hits_of(gan.sample(some, 2, Stream(1, "draw").at()))
    assert hits.events == 6
    pixel = ((hits.event * 6 + hits.sensor) * 30 + hits.u) * 45 + hits.v
    assert bool((pixel.diff() > 0).all())
    assert int(hits.u.max()) < 30
    assert int(hits.v.max()) < 45
    assert int(hits_of(events.target).charge.min()) <= int(hits.charge.min())
    again = hits_of(gan.sample(some, 2, Stream(1, "draw").at()))
    assert torch.equal(hits.charge, again.charge)
    one = hits_of(gan.sample(some.map(lambda values: values[:1]), 2, Stream(1, "draw").at()))
    assert torch.equal(one.charge, hits.charge[hits.event < 2])
    assert not torch.equal(hits.counts(6), hits_of(gan.sample(some, 2, Stream(1, "draw").at(1))).counts(6))
    with pytest.raises(DataError, match="luminosity, constant"):
        gan.sample(Events(torch.zeros(1, 3)), 1, Stream(1, "").at())


def test_calibrated_occupancies_are_unbiased(tiny, pixel_events):
    gan, train = tiny(), pixel_events(60)
    fit(gan, train, pixel_events(10, "validation"), SETTINGS.model_copy(update={"epochs": 4, "batch_size": 4}))
    events = pixel_events(200, "test")
    truth, drawn = hits_of(events.target), hits_of(gan.sample(events.condition, 1, Stream(1, "draw").at()))
    counts = torch.stack([truth.counts(6).sum(1), drawn.counts(6).sum(1)]).double()
    errors = counts.std(1) / counts.mean(1)
    # Five standard errors of both samples and of the training sample, and 3 % that a calibration may be off.
    noise = 5 * float(torch.cat([errors**2 / 200, errors[:1] ** 2 / 60]).sum().sqrt())
    assert abs(float(counts[1].mean() / counts[0].mean()) - 1.0) < 0.03 + noise
    # Negative control: cuts moved by half a standard deviation.
    with torch.no_grad():
        gan.coding.cuts += 0.5
    wrong = hits_of(gan.sample(events.condition, 1, Stream(1, "draw").at()))
    assert len(wrong) / len(truth) < 1.0 - 0.03 - noise


def test_images_of_pixels(layout, pixel_events):
    name, config = preset("iea_gan_full")
    gan = build(name, {**config, "features": [8, 8, 8], "discriminator_features": [8, 8], "width": 16}, layout)
    assert [objective.name for objective in gan.objectives()] == ["discriminator", "generator"]
    fit(gan, pixel_events(4), None, SETTINGS.model_copy(update={"epochs": 1, "batch_size": 2}))
    hits = hits_of(gan.sample(pixel_events(2).condition, 1, Stream(1, "").at()))
    assert hits.events == 2
    assert len(hits) == 0 or int(hits.charge.min()) >= int(gan.coding.smallest)


def test_the_full_preset_has_the_published_size():
    layout = Layout((), SensorArray(40, 250, 768, 256).variables)
    gan = build(*preset("iea_gan_full"), layout)
    sizes = [sum(p.numel() for p in one.parameters()) / 1e6 for one in (gan.generator, gan.discriminator)]
    assert sizes[0] == pytest.approx(11.7, rel=0.1)
    assert sizes[1] == pytest.approx(4.5, rel=0.2)
    assert (gan.coding.canvas.rows, gan.coding.canvas.columns, gan.coding.canvas.pad_u) == (256, 768, 3)
    assert set(GAN_PRESETS) == {"iea_gan_full", "iea_gan_small", "iea_gan_tiny"}


def test_positions_are_one_row_a_sensor(layout):
    with pytest.raises(ConfigError, match="each of the 6 sensors"):
        build("intra_event_aware_gan", {"positions": [[1.0], [2.0]]}, layout)
    with pytest.raises(ConfigError, match="equal length"):
        build("intra_event_aware_gan", {"positions": [[1.0]] * 5 + [[1.0, 2.0]]}, layout)
    build("intra_event_aware_gan", {}, layout)
