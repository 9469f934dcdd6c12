"""Training of a scan: it learns what is known here, resumes to the same bits, and names what is wrong."""

import json
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from castalia_console import here
from scan_toys import BACKGROUND, YIELD, background, config, cross_section, efficiency, signal, write

from castalia.apps.scan.density import BackgroundDensity
from castalia.apps.scan.goodness import load_held_out
from castalia.apps.scan.model import open_model
from castalia.errors import MachineError, ModelError
from castalia.estimators.storage import load_model
from castalia.rng import Stream
from castalia.runs import fitting

SECTIONS = BACKGROUND + "\n" + YIELD.format('"sigma"')
POINTS = np.array([[-1.5, 1.0], [0.0, 1.05], [1.2, 0.95]])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan")
    write(folder)
    here("scan", "train", config(folder, SECTIONS, "members = 3"), "-o", folder / "run").good()
    return folder / "run"


def divergence(model) -> tuple[float, float]:
    """Kullback-Leibler divergence per event of p(x, y | theta), over some points, and its standard error."""
    rng, found = Stream(5, "fresh events").at(), []
    for theta, scale in POINTS:
        x = np.stack([scale * rng.normal(theta, 1, 2000), rng.standard_normal(2000)], axis=1)
        pulls = np.stack([(x[:, 0] / scale - theta), x[:, 1]])
        exact = -0.5 * (pulls**2).sum(axis=0) - np.log(2 * np.pi) - np.log(scale)
        point = torch.tensor([[theta, scale]], dtype=torch.float64)
        found.append(exact - model.signal.log_prob(torch.from_numpy(x), point)[0].numpy())
    every = np.concatenate(found)
    return float(every.mean()), float(every.std() / np.sqrt(len(every)))


# What x tells of theta, uniform in a range of 4 with a resolution of 1: that of a normal theta of the same width.
INFORMATION = 0.5 * np.log(1 + 16 / 12)


def test_the_density_is_learned(trained, tmp_path):
    value, error = divergence(open_model(trained))
    assert value - 5 * error < 0.15 * INFORMATION
    # Negative control: with shuffled parameters there is nothing to learn about x but its marginal distribution.
    order = Stream(6, "shuffle").at().permutation(5000)
    columns = signal(5000)
    write(tmp_path, true_theta=columns["true_theta"][order])
    here("scan", "train", config(tmp_path), "-o", tmp_path / "run").good()
    value, error = divergence(open_model(tmp_path / "run"))
    assert value + 5 * error > 0.5 * INFORMATION


def test_the_background_may_have_a_network_of_its_own(trained, tmp_path):
    write(tmp_path, 1500)
    path = config(tmp_path, BACKGROUND + "\noptions = { blocks = 3 }")
    here("scan", "train", path, "-o", tmp_path / "run").good()
    for run, blocks in ((tmp_path / "run", {"signal": 1, "background": 3}), (trained, {"signal": 1, "background": 1})):
        records = {name: json.loads((run / "models" / name / "model.json").read_text()) for name in blocks}
        assert {name: record["config"]["blocks"] for name, record in records.items()} == blocks
    path = config(tmp_path, BACKGROUND + "\noptions = { block = 3 }")
    assert "did you mean 'blocks'" in here("scan", "train", path, "-o", tmp_path / "other").refused(2)


def test_the_background_may_be_the_mean_of_several_networks(tmp_path):
    write(tmp_path, 1500)
    path = config(tmp_path, BACKGROUND + "\naverage = 3")
    here("scan", "train", path, "-o", tmp_path / "run").good()
    models = tmp_path / "run" / "models"
    names = ["background", "background-01", "background-02"]
    alone = [BackgroundDensity(load_model(models / name).estimator) for name in names]
    mean = open_model(tmp_path / "run").background
    x = torch.from_numpy(Stream(3, "mean of networks").at().normal(0, 2, (200, 2)))
    each = torch.stack([one.log_prob(x).exp() for one in alone])
    assert torch.allclose(mean.log_prob(x).exp(), each.mean(0))
    assert not torch.allclose(mean.log_prob(x), alone[0].log_prob(x), atol=1e-3), "networks of other seeds differ"
    drawn = mean.sample(3000, Stream(4, "mean of networks").at())
    assert drawn.shape == (3000, 2)
    centre = torch.from_numpy(drawn.mean(axis=0) - background(750)["x"].mean() * np.array([1, 0]))
    assert abs(float(centre[0])) < 5 * 3 * np.sqrt(1 / 3000 + 1 / 750) + 0.3
    # One that is missing is not passed over.
    (models / names[2] / "model.safetensors").unlink()
    with pytest.raises(ModelError):
        open_model(tmp_path / "run")


def test_what_a_fit_needs_is_there(trained):
    model = open_model(trained)
    names = [(p.name, p.unit, p.constraint, p.kind) for p in model.parameters]
    assert names == [("theta", "GeV", None, "theta"), ("scale", "", (1.0, 0.05), "theta")]
    assert -2 < model.parameters[0].low < -1.9
    assert 1.9 < model.parameters[0].high < 2
    assert [v.name for v in model.observables] == ["x", "y"]
    assert len(model.members) == 2
    assert model.background_yield == (300.0, 20.0)
    assert model.support.shape[1] == 2
    events = model.signal.sample(np.array([1.0, 1.0]), 2000, Stream(1, "sample").at())
    assert abs(events[:, 0].mean() - 1.0) < 5 / np.sqrt(2000) + 0.1  # and a tenth of a width for the training
    pair = model.signal.sample(np.array([[-1.0, 1.0], [1.0, 1.0]]), 2000, Stream(1, "sample").at())
    assert pair.shape == (4000, 2)
    assert pair[:2000, 0].mean() < 0 < pair[2000:, 0].mean()
    held_out = load_held_out(trained / "models" / "signal")
    assert held_out.x.shape == held_out.theta.shape  # two observables and two parameters
    assert load_held_out(trained / "models" / "background").theta.shape[1] == 0
    drawn = model.background.sample(2000, Stream(2, "sample").at())
    assert abs(drawn[:, 0].std() - 3.0) < 5 * 3 / np.sqrt(2 * 2000) + 0.3
    x = torch.from_numpy(events)
    exact = torch.from_numpy(-0.5 * (events[:, 0] / 3) ** 2 - np.log(3) - 0.5 * (events[:, 1] - 1) ** 2)
    assert abs(float((exact - np.log(2 * np.pi) - model.background.log_prob(x)).mean())) < 0.3


def test_the_expected_number_of_events(trained):
    model = open_model(trained)
    theta = torch.from_numpy(POINTS)
    found, exact = model.efficiency(theta).detach().numpy(), efficiency(POINTS[:, 0])
    # Of 4,000 training events in a range of 4 some 1,000 lie within half a unit of each point; as much for the network.
    assert (abs(found - exact) < 2 * 5 * 0.5 / np.sqrt(1000)).all()
    np.testing.assert_allclose(model.cross_section(theta).numpy(), cross_section(POINTS[:, 0]), rtol=1e-8)
    expected = model.expected_signal(theta).detach().numpy()
    np.testing.assert_allclose(expected, 10.0 * 1000 * cross_section(POINTS[:, 0]) * found, rtol=1e-8)


def test_the_gradient_of_the_density_is_right(trained):
    model = open_model(trained)
    x = torch.from_numpy(model.signal.sample(np.array([0.5, 1.0]), 200, Stream(3, "sample").at()))
    theta = torch.from_numpy(POINTS).requires_grad_()
    values = model.signal.log_prob(x, theta)
    assert values.shape == (3, 200)
    assert values.dtype == torch.float64
    (slopes,) = torch.autograd.grad(values.sum(), theta)
    for i in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[i] = 1e-6
        with torch.no_grad():
            ahead, behind = (model.signal.log_prob(x, theta + sign * step).sum(1) for sign in (1, -1))
        # Rounding of sums of order 1e3 over a step of 1e-6, and the next order of the difference.
        np.testing.assert_allclose(slopes[:, i].numpy(), (ahead - behind).numpy() / 2e-6, rtol=1e-5, atol=1e-4)
        assert not np.allclose(slopes[:, i].numpy(), 1.01 * (ahead - behind).numpy() / 2e-6, rtol=1e-5, atol=1e-4)
    one = torch.stack([model.signal.log_prob(x, point[None])[0] for point in theta.detach()])
    np.testing.assert_allclose(values.detach().numpy(), one.numpy(), rtol=1e-12)
    member = model.members[0].log_prob(x, theta.detach())
    assert not np.allclose(member.numpy(), values.detach().numpy())


def test_stopped_and_resumed_has_the_same_bits(trained, tmp_path):
    write(tmp_path)
    path, save = config(tmp_path, SECTIONS, "members = 3"), fitting.save_model

    def full(folder, *rest):
        if folder.name == "efficiency":
            raise MachineError("the disk is full.")
        save(folder, *rest)

    with mock.patch.object(fitting, "save_model", full):
        here("scan", "train", path, "-o", tmp_path / "run").refused(1)
    with pytest.raises(ModelError, match="not trained to the end"):
        open_model(tmp_path / "run")
    here("scan", "train", path, "-o", tmp_path / "run", "--resume").good()
    for model in sorted((trained / "models").glob("*/*.safetensors")):
        assert (tmp_path / "run" / "models" / model.parent.name / model.name).read_bytes() == model.read_bytes()


def test_the_summary_counts_what_was_not_selected(trained):
    results = json.loads((trained / "run.json").read_text())["results"]
    assert results["training_events"] + results["validation_events"] + results["unselected"] < 5000
    assert results["unselected"] > 1000
    assert results["background_unselected"] == 0


def test_without_yield_the_selection_only_selects(tmp_path):
    write(tmp_path, count=1500)
    here("scan", "train", config(tmp_path), "-o", tmp_path / "run").good()
    model = open_model(tmp_path / "run")
    assert model.background is model.efficiency is model.cross_section is model.expected_signal is None
    assert model.members == ()


def test_an_estimate_is_made_without_writing(tmp_path):
    write(tmp_path, count=1500)
    ended = here("scan", "train", config(tmp_path, SECTIONS), "-o", tmp_path / "run", "--dry-run", "--json").good()
    assert ended.json["training_events"] > 500
    assert not (tmp_path / "run").exists()


def test_another_applications_run_is_refused(trained, tmp_path):
    record = json.loads((trained / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**record, "application": "simulate"}))
    with pytest.raises(ModelError, match="run of 'simulate'"):
        open_model(tmp_path)


SIGNAL = signal(1500)
BAD = {
    "a constant parameter": (
        {"true_theta": np.full(1500, 3.0)},
        "",
        "column 'true_theta' of [parameters] theta is 3 in all",
    ),
    "NaN": ({"true_scale": np.where(np.arange(1500) == 7, np.nan, 1.0)}, "", "true_scale"),
    "a cross section of zero": ({"sigma": np.zeros(1500)}, SECTIONS, "'sigma' is 0"),
    "too few points": (
        {"true_theta": np.arange(1500) % 2.0, "true_scale": 1.0 + np.arange(1500) % 2},
        SECTIONS,
        "fix 2 of the 6 coefficients",
    ),
    "nothing but selected events": (
        {"selected": np.ones(1500, bool), "x": SIGNAL["true_theta"] + 0.1 * np.arange(1500)} | {"y": np.arange(1500.0)},
        SECTIONS,
        "take selection from",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(tmp_path, name):
    changed, sections, sentence = BAD[name]
    write(tmp_path, count=1500, **changed)
    assert sentence in here("scan", "train", config(tmp_path, sections), "-o", tmp_path / "run").refused(3)
    assert not (tmp_path / "run").exists()


def test_columns_that_do_not_match(tmp_path):
    write(tmp_path, count=1500)
    columns = background(700)
    pq.write_table(pa.table({"x": columns["x"], "selected": columns["selected"]}), tmp_path / "background.parquet")
    path = config(tmp_path, BACKGROUND)
    assert "'y'" in here("scan", "train", path, "-o", tmp_path / "run").refused(3)
    (tmp_path / "background.parquet").write_bytes((tmp_path / "signal.parquet").read_bytes())
    assert "is a file of [background]" in here("scan", "train", path, "-o", tmp_path / "run").refused(3)


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        (BACKGROUND + "\n[yield]\nluminosity = 1.0\ncross_section = 1.0", "needs background_events"),
        (YIELD.format(1.0), "needs [background]"),
        ("[yield]\nluminosity = 1.0\ncross_section = -1.0", "cross_section"),
        ("[yield]\nluminosity = 1.0\ncross_section = 1.0\nbackground_error = 3.0", "background_events"),
        ('[model]\npreset = "smearing"', "model"),
        ("[yields]", "did you mean 'yield'"),
    ],
)
def test_sections_that_do_not_go_together(tmp_path, sections, sentence):
    write(tmp_path, count=100)
    assert sentence in here("scan", "train", config(tmp_path, sections), "-o", tmp_path / "run").refused(2)
