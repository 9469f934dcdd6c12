"""Efficiency from training file to report: lost events teach the efficiency, are drawn, and close."""

import json
import shutil

import numpy as np
import pytest
from castalia_console import here, read, write_config

from castalia.apps.simulate.efficiency import closure, probabilities
from castalia.apps.simulate.model import open_model
from castalia.data.loading import load_arrays
from castalia.data.readers import open_reader
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.data.writers import open_writer
from castalia.metrics.efficiency import closure_chi2, excess_log_loss
from castalia.metrics.gate import judge
from castalia.metrics.width_ratio import WidthCheck
from castalia.rng import Stream

SECTION = '[efficiency]\ncolumn = "reconstructed"\n\n[model]'
TARGETS = ("photon_et", "photon_eta", "photon_phi")
GOOD = WidthCheck("et_1", "all events", 1.0, 0.002, 100_000)


def planted(et, eta):
    """Efficiency of an event: a turn-on of the second photon, and a worse endcap."""
    return 0.9 / (1 + np.exp(-(et[:, 1] - 30) / 5)) * np.where(np.abs(eta).max(axis=1) > 1.5, 0.8, 1.0)


def with_losses(path, events, seed, change=lambda columns: None):
    """Generate toy events, lose some of them, and write the file; the targets of lost events are no numbers."""
    raw = path.with_name(f"raw-{path.name}")
    here("generate", "diphoton", "--process", "toy", "--events", events, "--seed", seed, "-o", raw).good()
    table = read(raw)
    with open_reader(raw) as reader:
        specs = [ColumnSpec(name=n, dtype=c.dtype, shape=c.length or "flat") for n, c in reader.columns().items()]
    columns = {name: np.array(table[name]) for name in table.names}
    chance = Stream(seed, "losses").at().random(len(table))
    found = chance < planted(columns["photon_et_true"], columns["photon_eta_true"])
    for name in TARGETS:
        columns[name][~found] = [np.nan, 1e9]
    columns["reconstructed"] = found.astype(np.int32)
    change(columns)
    specs.append(ColumnSpec(name="reconstructed", dtype=str(columns["reconstructed"].dtype)))
    with open_writer(path, Schema(columns=tuple(specs))) as writer:
        writer.write(Table(columns))
    return path


def configured(path, *files, **replace):
    return write_config(path, *files, **{"[model]": SECTION, **replace})


@pytest.fixture(scope="module")
def lossy(tmp_path_factory):
    """A training file, a run on it, and a file of other events."""
    folder = tmp_path_factory.mktemp("lossy")
    file = with_losses(folder / "a.root", 12_000, 1)
    here("simulate", "train", configured(folder / "c.toml", file), "-o", folder / "run").good()
    return file, folder / "run", with_losses(folder / "b.root", 4000, 2)


def test_lost_events_do_not_train_the_response(lossy, tmp_path):
    """The same training on the reconstructed events alone has the same response, to the last bit."""
    _, run, _ = lossy

    def lose(columns):
        found = columns["reconstructed"] == 1
        for name in list(columns):
            columns[name] = columns[name][found]

    only = with_losses(tmp_path / "only.root", 12_000, 1, lose)
    here("simulate", "train", write_config(tmp_path / "c.toml", only), "-o", tmp_path / "run").good()
    for model in ("response", "rival"):
        names = [folder / "models" / model / "model.safetensors" for folder in (run, tmp_path / "run")]
        assert names[0].read_bytes() == names[1].read_bytes()


def test_sampling_draws_and_keeps_lost_events(lossy, tmp_path):
    _, run, other = lossy
    summary = here("simulate", "sample", run, other, "-o", tmp_path / "out.root", "--json").good().json
    out, given = read(tmp_path / "out.root"), read(other)
    assert len(out) == len(given) == summary["events"]
    found, probability = np.asarray(out["reconstructed"]), np.asarray(out["efficiency"])
    assert found.dtype == bool
    assert (
        summary["reconstructed"]
        == found.sum()
        == json.loads((tmp_path / "out.root.json").read_text())["counts"]["reconstructed"]
    )
    for name in TARGETS:
        values = np.asarray(out[name])
        assert np.isfinite(values[found]).all()
        assert np.isnan(values[~found]).all()
    # Drawn with the probabilities that are written beside.
    error = np.sqrt((probability * (1 - probability)).sum())
    assert abs(found.sum() - probability.sum()) < 5 * error
    below = probability < 0.4
    assert found[below].mean() < 0.5 < found[~below].mean()


def test_the_output_can_be_learned_from_again(lossy, tmp_path):
    _, run, other = lossy
    here("simulate", "sample", run, other, "-o", tmp_path / "out.parquet").good()
    config = configured(tmp_path / "c.toml", tmp_path / "out.parquet", **{'tree = "events"\n': ""})
    assert (
        here("simulate", "train", config, "-o", tmp_path / "run", "--dry-run", "--json").good().json["training_events"]
    )


@pytest.fixture(scope="module")
def judged(lossy):
    _, run, other = lossy
    model = open_model(run)
    arrays = load_arrays([other], model.features).arrays
    return model, arrays


def test_the_planted_efficiency_closes(judged):
    model, arrays = judged
    et, eta = arrays.condition[:, :2], arrays.condition[:, 2:4]
    true = planted(et, eta)
    # Bias budget of 10k events and fifteen epochs: 0.03 nat, a root-mean-square error of 0.1 at an efficiency of 0.7.
    assert excess_log_loss(true, probabilities(model.efficiency, arrays.condition)) < 0.03
    assert excess_log_loss(true, np.full(len(true), true.mean())) > 0.06
    checks = closure(model.efficiency, model.features, arrays.condition, arrays.found)
    assert judge([GOOD], efficiencies=checks).passed


def test_a_constant_and_a_shifted_efficiency_do_not(judged):
    model, arrays = judged
    head = model.efficiency.network.layers[-1]
    saved = {name: values.clone() for name, values in head.state_dict().items()}
    share = arrays.found.mean()
    try:
        head.weight.data.zero_()
        head.bias.data.fill_(float(np.log(share / (1 - share))))
        constant = closure(model.efficiency, model.features, arrays.condition, arrays.found)
        head.load_state_dict(saved)
        head.bias.data += 0.5
        shifted = closure(model.efficiency, model.features, arrays.condition, arrays.found)
    finally:
        head.load_state_dict(saved)
    for checks in (constant, shifted):
        assert not judge([GOOD], efficiencies=checks).passed
    assert abs(constant[0].difference) < 0.001
    assert closure_chi2(constant)["et_2"][0] > 200


@pytest.mark.usefixtures("no_figures")
def test_the_report_has_the_closure(lossy, tmp_path):
    _, run, other = lossy
    verdict = here("simulate", "evaluate", run, other, "-o", tmp_path / "report")
    assert verdict.code in (0, 5), verdict.err
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    events, efficiency = metrics["events"], metrics["efficiency"]
    assert events["lost"] + events["judged"] == events["read"] - events["learned_from"]
    assert efficiency["counted"] == pytest.approx(events["judged"] / (events["judged"] + events["lost"]))
    assert {name: part["ndf"] for name, part in efficiency["closure"].items()} == dict.fromkeys(
        ("et_1", "et_2", "eta_1", "eta_2", "mu"), 10
    )
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Closure in bins of the conditions" in page


def test_an_unfinished_efficiency(lossy, tmp_path):
    _, run, other = lossy
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "models" / "efficiency")
    words = ("simulate", "sample", tmp_path / "run", other, "-o", tmp_path / "out.root")
    assert "has no trained efficiency yet" in here(*words).refused(4)


def trained(tmp_path, file):
    return here("simulate", "train", configured(tmp_path / "c.toml", file), "-o", tmp_path / "run")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(0, "'reconstructed' is 0 in all"), (1, "'reconstructed' is 1 in all"), (3, "must be 0 or 1")],
)
def test_values_that_tell_nothing(tmp_path, value, sentence):
    def change(columns):
        if value == 3:
            columns["reconstructed"][17] = value
        else:
            for name in TARGETS:
                columns[name] = columns[f"{name}_true"].copy()
            columns["reconstructed"][:] = value

    error = trained(tmp_path, with_losses(tmp_path / "a.root", 500, 1, change)).refused(3)
    assert sentence in error
    assert "a.root" in error


def test_a_missing_column(toy, tmp_path):
    assert "'reconstructed'" in trained(tmp_path, toy).refused(3)


@pytest.mark.parametrize(
    ("column", "sentence"),
    [("efficiency", "sampling writes itself"), ("photon_et", "another use"), ("mu", "another use")],
)
def test_a_column_with_another_use(toy, tmp_path, column, sentence):
    config = write_config(tmp_path / "c.toml", toy, **{"[model]": SECTION.replace("reconstructed", column)})
    assert sentence in here("simulate", "train", config, "-o", tmp_path / "run").refused(2)
