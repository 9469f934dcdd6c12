"""`castalia export` of a run of classify: the file gives what `castalia classify predict` writes."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from castalia_console import here, read
from class_toys import config, events, write

import castalia
from castalia.apps.classify.events import event_batch
from castalia.apps.classify.model import ClassifierRun

TRAINING = "[training]\nepochs = 3\nbatch_size = 64\nlearning_rate = 1e-2\n"
FURTHER = """\
[condition]
m_bb = { column = "m_bb", unit = "GeV", transform = "log" }
thrust = { column = "met_phi", unit = "rad", transform = "angle" }
[relations]
same_w = "from_w"
"""
MODELS = {
    "classify": "{ backbone = { width = 8, heads = 2, blocks = 2 }, decay_weight = 1.0 }",
    "decay_aware": "{ backbone = { width = 8, heads = 2, blocks = 1, event_blocks = 1 } }",
    "mlp": "{ hidden = [16] }",
    "boosted_trees": "{ trees = 3 }",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("export")
    for name, heavy in (("light", False), ("heavy", True)):
        write(path / f"{name}.parquet", events(300, heavy))
    write(path / "fresh.parquet", events(400, heavy=True, seed=2))
    return path


@pytest.fixture(scope="module")
def run_of(folder):
    """Train each preset once, with flat variables or without."""
    runs: dict[str, Path] = {}

    def run(preset: str, further: str = FURTHER) -> Path:
        name = f"{preset}_{bool(further)}"
        if name not in runs:
            runs[name] = folder / name
            model = f'[model]\npreset = "{preset}"\noptions = {MODELS[preset]}\n'
            file = config(folder, further=further, model=model, training=TRAINING)
            here("classify", "train", file, "-o", runs[name]).good()
        return runs[name]

    return run


def inputs_of(run: Path, file: Path) -> dict[str, np.ndarray]:
    features = ClassifierRun.open(run).features
    arrays = features.arrays(read(file))
    objects = arrays.objects["objects"]
    given = {"objects": objects.values.astype(np.float32), "mask": objects.mask}
    return given | ({"condition": arrays.condition.astype(np.float32)} if arrays.condition.shape[1] else {})


@pytest.mark.parametrize("preset", [preset for preset in MODELS if preset != "boosted_trees"])
def test_the_file_gives_what_predict_writes(preset, run_of, folder, tmp_path):
    run, output = run_of(preset), tmp_path / "model.onnx"
    summary = here("export", run, "-o", output, "--json").good().json
    assert summary == {"classifier": str(output), "model": ClassifierRun.open(run).sha256}
    here("classify", "predict", run, folder / "fresh.parquet", "-o", tmp_path / "scores.parquet").good()
    scores = read(tmp_path / "scores.parquet")
    session = onnxruntime.InferenceSession(output)
    (found,) = session.run(None, inputs_of(run, folder / "fresh.parquet"))
    expected = np.stack([scores["score_light"], scores["score_heavy"]], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    # Negative control: those of other events differ.
    assert np.abs(found - np.roll(expected, 1, axis=0)).max() > 0.01


def test_the_file_says_what_it_is(run_of, tmp_path):
    run = ClassifierRun.open(run_of("classify"))
    here("export", run.folder.path, "-o", tmp_path / "model.onnx").good()
    found = onnxruntime.InferenceSession(tmp_path / "model.onnx").get_modelmeta().custom_metadata_map
    low, high = (found.pop(f"castalia.training.{end}").split("\n") for end in ("low", "high"))
    assert np.array_equal(np.array(low, dtype=float), run.ranges.low)
    assert np.array_equal(np.array(high, dtype=float), run.ranges.high)
    ends = [f"{end} objects {name}" for name in ("pt", "eta", "phi", "mass", "type") for end in ("least", "largest")]
    assert found == {
        "castalia.format": "1",
        "castalia.version": castalia.__version__,
        "castalia.kind": "classifier",
        "castalia.model": run.sha256,
        "castalia.classes": "light\nheavy",
        "castalia.objects.types": "lepton\nb_jet\nlight_jet\nmet",
        "castalia.objects.taken": "electron, muon: the hardest 1\njet: the hardest 2 where jet_btag = 1\n"
        "jet: the hardest 2 where jet_btag = 0\npt = met_pt, phi = met_phi",
        "castalia.objects.names": "pt\neta\nphi\nmass\ntype",
        "castalia.objects.units": "GeV\n\nrad\nGeV\n",
        "castalia.condition.names": "m_bb\nthrust",
        "castalia.condition.units": "GeV\nrad",
        "castalia.condition.formulas": "m_bb\nmet_phi",
        "castalia.training.names": "\n".join(["m_bb", "thrust", "number of objects", *ends]),
    }


def test_a_run_without_flat_variables_has_no_such_input(run_of, folder, tmp_path):
    run = run_of("mlp", "")
    here("export", run, "-o", tmp_path / "model.onnx").good()
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [one.name for one in session.get_inputs()] == ["objects", "mask"]
    opened = ClassifierRun.open(run)
    batch = event_batch(opened.features.arrays(read(folder / "fresh.parquet")))
    (found,) = session.run(None, inputs_of(run, folder / "fresh.parquet"))
    np.testing.assert_allclose(found, opened.probabilities(batch), atol=1e-5, rtol=0)


def test_boosted_trees_are_a_file_of_xgboost_s(run_of, folder, tmp_path, monkeypatch):
    xgboost = pytest.importorskip("xgboost")
    run = run_of("boosted_trees", "")
    sentence = here("export", run, "-o", tmp_path / "model.onnx").refused(2)
    assert sentence.endswith("as the section Export of docs/classify.md shows.")
    assert "write XGBoost's own model file" in sentence
    assert not list(tmp_path.iterdir())
    # What that section shows.
    page = (Path(__file__).parents[3] / "docs" / "classify.md").read_text()
    (shown,) = (block for block in page.split("```python\n")[1:] if "trees.ubj" in block)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").symlink_to(run)
    exec(shown.split("```")[0], {})
    trees = xgboost.Booster(model_file=str(tmp_path / "trees.ubj"))
    assert trees.num_boosted_rounds() == 3


def test_nothing_is_replaced_unasked(run_of, tmp_path):
    output = tmp_path / "model.onnx"
    output.write_bytes(b"another model")
    words = ("export", run_of("mlp"), "-o", output)
    assert here(*words).refused(2) == f"{output} exists; choose another name or pass --overwrite."
    assert output.read_bytes() == b"another model"
    here(*words, "--overwrite").good()
    assert onnxruntime.InferenceSession(output).get_outputs()[0].name == "probabilities"


def test_what_cannot_be_exported(run_of, folder, tmp_path):
    assert "let it end in .onnx" in here("export", run_of("mlp"), "-o", tmp_path / "model").refused(2)
    pretraining = folder / "pretrain.toml"
    text = config(folder).read_text()
    objects = text[text.index("[objects.") : text.index("[model]")]
    pretraining.write_text(
        f'[data]\nfiles = ["light.parquet"]\n{objects}[model]\nestimator = "toy-pretraining"\n{TRAINING}'
    )
    here("classify", "pretrain", pretraining, "-o", tmp_path / "pretrained").good()
    refused = here("export", tmp_path / "pretrained", "-o", tmp_path / "model.onnx").refused(4)
    assert "knows no classes yet; train one with" in refused
    toy = config(folder, training=TRAINING)
    here("classify", "train", toy, "-o", tmp_path / "toy").good()
    sentence = here("export", tmp_path / "toy", "-o", tmp_path / "model.onnx").refused(2)
    assert (
        "A ToyClassifier cannot be exported; train a classifier of the preset classify, decay_aware or mlp." in sentence
    )
    assert not (tmp_path / "model.onnx").exists()
