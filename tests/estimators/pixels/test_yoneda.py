"""The set VAE: what order changes, what the teacher does, what training learns, and what sampling keeps."""

import numpy as np
import pytest
import torch

from castalia.errors import ConfigError, ModelError
from castalia.estimators.base import Events
from castalia.estimators.pixels.event_latents import Normal, Posterior, Teacher
from castalia.estimators.pixels.hits import HITS, Hits, SensorArray, hits_of
from castalia.estimators.registry import build, preset
from castalia.estimators.storage import load_model, save_model
from castalia.rng import Stream
from castalia.training.config import TrainingConfig
from castalia.training.fit import fit

ARRAY = SensorArray(4, 40, 60, 256)
SAMPLERS = [
    "negative_binomial_clusters",
    "negative_binomial_common_mode",
    "superposition",
    "yoneda_tiny",
    "set_vae_tiny",
]
SMALL = {"superposition": {"events": 20, "hits": 5000}}
CONFIG = TrainingConfig(epochs=2, batch_size=8, learning_rate=3e-3)


def model(name, toys, names=None, **options):
    estimator, config = preset(name)
    small = SMALL.get(name, {"entries": 64})
    layout = toys.layout() if names is None else toys.layout(names)
    return build(estimator, {**config, **small, "positions": toys.POSITIONS, **options}, layout)


def trained(name, toys, batch, **options):
    made = model(name, toys, **options)
    if made.objectives():
        fit(made, batch, None, CONFIG)
    else:
        made.prepare([batch])
    return made.eval()


def posterior(heads=2):
    with torch.random.fork_rng():
        torch.random.manual_seed(1)
        return Posterior(ARRAY, 2, 8, heads, 3, 2)


def test_order_of_hits_changes_nothing_and_other_hits_do(pixel_toys):
    hits, context = hits_of(pixel_toys.toy_batch(2).target), torch.randn(2, 4, 2)
    mixed = torch.from_numpy(Stream(1, "order").at().permutation(len(hits)))
    mixed = mixed[torch.argsort(hits.event[mixed], stable=True)]
    one, other = posterior()(hits, context), posterior()(hits.map(lambda values: values[mixed]), context)
    less = posterior()(hits.map(lambda values: values[hits.u < 10]), context)
    for part in range(2):
        assert torch.allclose(one[part].mean, other[part].mean, atol=1e-5)
        # Negative control: other hits.
        assert not torch.allclose(one[part].mean, less[part].mean, atol=1e-3)


@pytest.mark.parametrize("heads", [0, 2])
def test_swapped_sensors_are_swapped(pixel_toys, heads):
    hits, context = hits_of(pixel_toys.toy_batch(2).target), torch.randn(2, 4, 2)
    order = torch.tensor([2, 0, 3, 1])
    swapped = Hits(hits.events, hits.event, torch.argsort(order)[hits.sensor], hits.u, hits.v, hits.charge)
    (event, sensor), (event_after, sensor_after) = (
        posterior(heads)(hits, context),
        posterior(heads)(swapped, context[:, order]),
    )
    assert torch.allclose(event.mean, event_after.mean, atol=1e-5)
    assert torch.allclose(sensor.mean[:, order], sensor_after.mean, atol=1e-5)
    # Negative control: hits swapped, but not what is known of the sensors.
    assert not torch.allclose(sensor.mean[:, order], posterior(heads)(swapped, context)[1].mean, atol=1e-3)


def test_a_sensor_knows_of_others_only_by_relations(pixel_toys):
    hits, context = hits_of(pixel_toys.toy_batch(1).target), torch.randn(1, 4, 2)
    others = hits.map(lambda values: values[(hits.sensor == 0) | (torch.arange(len(hits)) % 3 == 0)])
    for heads, same in ((0, True), (2, False)):
        before, after = (posterior(heads)(given, context)[1].mean[0, 0] for given in (hits, others))
        assert torch.allclose(before, after, atol=1e-6) == same
    relations = posterior().relations.relations(torch.randn(3, 4, 8)).detach()
    assert relations.shape == (3, 2, 4, 4)
    assert float(relations.abs().max()) <= 1.0


def test_the_teacher_is_a_moving_average():
    student = posterior()
    teacher = Teacher(student, 0.75)
    before = [p.clone() for p in student.parameters()]
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1.0)
    teacher.follow(student)
    for old, average in zip(before, teacher.average.parameters(), strict=True):
        assert torch.allclose(average, old + 0.25, atol=1e-6)
        assert not average.requires_grad


def test_divergences_are_those_of_normal_distributions():
    one, other = (
        Normal(torch.tensor([[1.0]]), torch.tensor([[0.5]])),
        Normal(torch.tensor([[-0.5]]), torch.tensor([[0.1]])),
    )
    expected = torch.distributions.kl_divergence(
        *(torch.distributions.Normal(n.mean, n.log_width.exp()) for n in (one, other))
    )
    assert torch.allclose(one.divergence(other), expected.flatten())
    assert float(one.divergence(one)) == 0.0


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_draws_what_it_should(pixel_toys, name, tmp_path):
    batch = pixel_toys.toy_batch(24)
    made = trained(name, pixel_toys, batch)
    stream = Stream(1, "sampling")
    drawn = made.sample(batch.condition, 2, stream.at())
    hits = hits_of(drawn)
    assert hits.events == 48
    key = ((hits.event * 4 + hits.sensor) * ARRAY.u + hits.u) * ARRAY.v + hits.v
    assert (key.diff() > 0).all()
    ends = (("sensor", 0, 3), ("u", 0, 39), ("v", 0, 59), ("charge", 7, 255))
    assert all(low <= int(getattr(hits, one).min()) <= int(getattr(hits, one).max()) <= high for one, low, high in ends)
    # The sum over events and sensors is known to the spread of both samples; a cluster has two pixels.
    true = len(hits_of(batch.target)) / 24
    assert abs(len(hits) / 48 / true - 1.0) < 5.0 * np.sqrt(2.0 * (1 / 24 + 1 / 48) / true) + 0.05
    save_model(tmp_path / "model", made, made.layout)
    # One number in double precision would have all networks loaded, and evaluated, in it.
    assert all(values.dtype != torch.float64 for values in made.state_dict().values())
    again = load_model(tmp_path / "model").estimator.sample(batch.condition, 2, stream.at())
    assert torch.equal(again.objects[HITS].values, drawn.objects[HITS].values)
    assert not torch.equal(hits_of(made.sample(batch.condition, 2, stream.at(1))).counts(4), hits.counts(4))


@pytest.mark.parametrize("name", SAMPLERS)
def test_no_conditions_an_empty_event_and_a_missing_sensor(pixel_toys, name):
    batch = pixel_toys.toy_batch(12, names=())
    given = batch.target.objects[HITS]
    mask = given.mask & (given.values[..., 0] != 2)
    mask[3] = False
    batch = batch.map(lambda values: values)
    batch.target.objects[HITS].mask.copy_(mask)
    made = model(name, pixel_toys, names=(), positions=())
    fit(made, batch, None, CONFIG) if made.objectives() else made.prepare([batch])
    hits = hits_of(made.eval().sample(Events(torch.zeros(6, 0)), 1, Stream(1, "x").at()))
    counts = hits.counts(4).sum(0)
    assert int(counts[2]) == 0
    assert int(counts[[0, 1, 3]].min()) > 0
    assert hits_of(made.sample(Events(torch.zeros(0, 0)), 1, Stream(1, "x").at())).events == 0


@pytest.mark.parametrize("name", [one for one in SAMPLERS if one != "superposition"])
def test_given_numbers_are_met(pixel_toys, name):
    batch = pixel_toys.toy_batch(12)
    made = trained(name, pixel_toys, batch)
    counts = Stream(1, "x").at().integers(0, 200, (12, 4))
    hits = hits_of(made.sample_given(batch.condition, counts, Stream(2, "x").at()))
    assert np.array_equal(hits.counts(4).numpy(), counts)


def test_a_resumed_training_has_the_same_bits(pixel_toys, tmp_path):
    batch = pixel_toys.toy_batch(16)
    config = CONFIG.model_copy(update={"checkpoint_seconds": 0.0})
    whole = model("yoneda_tiny", pixel_toys)
    fit(whole, batch, batch, config)

    class Stop(Exception):
        pass

    def stop(progress):
        if progress.step >= 2:
            raise Stop

    state = tmp_path / "state"
    with pytest.raises(Stop):
        fit(model("yoneda_tiny", pixel_toys), batch, batch, config, state=state, progress=stop)
    resumed = model("yoneda_tiny", pixel_toys)
    fit(resumed, batch, batch, config, state=state, resume=True)
    one, other = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    # Negative control: another seed.
    fit(other := model("yoneda_tiny", pixel_toys), batch, batch, config.model_copy(update={"seed": 2}))
    assert any(not torch.equal(one[name], value) for name, value in other.state_dict().items())


def test_the_common_mode_is_learned(pixel_toys):
    """Sensors of an event that share a factor of spread 0.3 share it in what is drawn, but not without relations."""
    batch = pixel_toys.toy_batch(120, common=0.3, low=0.7)
    config = TrainingConfig(epochs=12, batch_size=16, learning_rate=1e-2)
    correlation = {}
    for name in ("yoneda_tiny", "set_vae_tiny"):
        made = model(name, pixel_toys, score_weight=0.0)
        fit(made, batch, None, config)
        counts = hits_of(made.sample(batch.condition, 4, Stream(1, "x").at())).counts(4).double()
        correlation[name] = float(torch.corrcoef(counts.T)[~torch.eye(4, dtype=torch.bool)].mean())
    true = float(torch.corrcoef(hits_of(batch.target).counts(4).double().T)[~torch.eye(4, dtype=torch.bool)].mean())
    assert correlation["yoneda_tiny"] > 0.5 * true > correlation["set_vae_tiny"] + 0.1


def test_the_mean_stays_where_the_regression_has_it(pixel_toys):
    made = trained("yoneda_tiny", pixel_toys, pixel_toys.toy_batch(40))
    far = torch.tensor([[2.0, 1.0, 1.0]]).expand(400, -1)
    hits = hits_of(made.sample(Events(far), 1, Stream(1, "x").at()))
    expected = float(made.counts.mean(far[:1]).sum())
    assert len(hits) / 400 == pytest.approx(expected, rel=0.03)
    with torch.no_grad():
        made.level *= 0.8  # negative control: a factor whose mean is not one
    hits = hits_of(made.sample(Events(far), 1, Stream(1, "x").at()))
    assert len(hits) / 400 != pytest.approx(expected, rel=0.03)


def test_what_does_not_fit_is_named(pixel_toys):
    with pytest.raises(ConfigError, match="2 sensors, not of 4"):
        model("yoneda_tiny", pixel_toys, positions=((1.0,), (2.0,)))
    with pytest.raises(ConfigError, match="several lengths"):
        model("yoneda_tiny", pixel_toys, positions=((1.0,), (2.0, 3.0), (1.0,), (1.0,)))
    with pytest.raises(ConfigError, match="no multiple"):
        model("yoneda_tiny", pixel_toys, width=9)
    for name in SAMPLERS:
        with pytest.raises(ModelError, match="never prepared"):
            model(name, pixel_toys).sample(Events(torch.ones(1, 3)), 1, Stream(1, "x").at())
