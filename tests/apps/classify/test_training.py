"""What a training of classify reads, and what it refuses: classes by files or by a column, weights, relations."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from castalia_console import here, read
from class_toys import CLASSES, MODEL, OBJECTS, TRAINING, config, events, write

from castalia.apps.classify.config import parse_config, parse_pretraining
from castalia.apps.classify.events import balanced, event_batch, labelled, object_keys
from castalia.apps.classify.model import ClassifierRun
from castalia.apps.classify.pretrain import open_backbone
from castalia.data.loading import load_arrays
from castalia.data.strict import StrictModel
from castalia.data.table import Table
from castalia.errors import ConfigError, DataError
from castalia.estimators import registry

SHORT = TRAINING.replace("epochs = 4", "epochs = 1")
RELATIONS = '[relations]\nsame_w = "from_w"\nsame_top = "from_top"\n'
BOTH = '[data]\nfiles = ["both.parquet"]\n'
BY_LABEL = 'label = "process"\n[classes]\nlight = 3\nheavy = 7\n'


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    for name, heavy, count in (("light", False, 300), ("heavy", True, 100)):
        write(folder / f"{name}.parquet", events(count, heavy))
    tables = [read(folder / f"{name}.parquet") for name in ("light", "heavy")]
    write(folder / "both.parquet", Table.concatenate(tables))
    return folder


def loaded(folder, **changes):
    """Return the configuration and the events of all its classes, both splits and test together."""
    path = config(folder, **changes)
    made = parse_config(path.read_text(), path, folder)
    found = {name: load_arrays(one.data.paths(folder), one) for name, one in made.samples().items()}
    return made, labelled(found, made)


def test_labels_by_file_and_by_column_are_the_same(samples):
    _, by_file = loaded(samples)
    _, by_column = loaded(samples, data='[data]\nfiles = ["both.parquet"]\nweight = "weight"\n', classes=BY_LABEL)
    assert by_file.arrays.target[:, 0].tolist() == [0.0] * 300 + [1.0] * 100
    for what in ("target", "condition", "weight", "row"):
        np.testing.assert_array_equal(getattr(by_file.arrays, what), getattr(by_column.arrays, what))
    np.testing.assert_array_equal(by_file.arrays.objects["objects"].values, by_column.arrays.objects["objects"].values)
    assert [by_file.locate(row)[1] for row in (0, 299, 300, 399)] == [0, 299, 0, 99]
    assert by_file.locate(300)[0].endswith("heavy.parquet")
    # Negative control: the classes in the other order.
    turned = "".join(reversed(CLASSES.splitlines(keepends=True)[1:]))
    _, other = loaded(samples, classes=f"[classes]\n{turned}")
    assert other.arrays.target[:, 0].tolist() == [0.0] * 100 + [1.0] * 300
    assert len(set(object_keys(by_file.arrays))) == 400


def test_every_class_has_the_same_sum_of_weights(samples):
    made, joined = loaded(samples)
    weight, label = balanced(joined, made, "test").arrays.weight, joined.arrays.target[:, 0]
    assert [weight[label == number].sum() for number in (0, 1)] == pytest.approx([200.0, 200.0])
    np.testing.assert_allclose(weight[:300] / weight[0], joined.arrays.weight[:300] / joined.arrays.weight[0])
    # Negative control: as they come, they differ by more than their spread of 0.29 can do.
    assert abs(joined.arrays.weight[label == 0].sum() / joined.arrays.weight[label == 1].sum() - 1) > 1


def test_a_batch_has_labels_mass_and_ancestors(samples):
    made, joined = loaded(samples, further=RELATIONS + '[decorrelation]\ncolumn = "m_bb"\n')
    batch = event_batch(joined.arrays)
    assert [v.name for v in made.layout.target] == ["class", "mass"]
    assert made.layout.target[0].bounds == (-0.5, 1.5)
    np.testing.assert_allclose(batch.target.flat[:300, 1], read(samples / "light.parquet")["m_bb"], rtol=1e-6)
    assert batch.target.objects["ancestry"].values.shape == (400, 6, 2)
    assert set(batch.condition.objects) == {"objects"}
    assert bool((batch.target.objects["ancestry"].mask == batch.condition.objects["objects"].mask).all())


def test_relations_and_mass_are_wanted_for_training_only(samples, tmp_path):
    further = RELATIONS + '[decorrelation]\ncolumn = "m_bb"\n[condition]\nmet = { column = "met_pt", unit = "GeV" }\n'
    path = config(samples, further=further, training=SHORT)
    here("classify", "train", path, "-o", tmp_path / "run").good()
    run = ClassifierRun.open(tmp_path / "run")
    assert run.estimator.config.relations == 2
    assert run.estimator.config.left_out == ((0, 3), (1, 3), (2, 3), (3, 3))  # with missing momentum
    assert run.events().batch.target.objects["ancestry"].values.shape[2] == 2
    table = read(samples / "light.parquet")
    gone = [name for name in table.names if "_from_" in name] + ["m_bb"]
    data = write(tmp_path / "data.parquet", table.without(gone))
    words = ("classify", "predict", tmp_path / "run", data, "-o", tmp_path / "s.parquet")
    here(*words).good()
    assert "met_pt" in read(tmp_path / "s.parquet").names
    unrelated = write(tmp_path / "unrelated.parquet", table.without(gone[:-1]))
    path.write_text(path.read_text().replace('"light.parquet"', json.dumps(str(unrelated))))
    assert "_from_" in here("classify", "train", path, "-o", tmp_path / "other").refused(3)


def test_a_selection_holds_everywhere(samples, tmp_path):
    path = config(samples, data='[data]\nselection = "good"\n', training=SHORT)
    summary = here("classify", "train", path, "-o", tmp_path / "run", "--json").good().json
    assert 0 < summary["unselected"] < 80
    words = ("classify", "predict", tmp_path / "run", samples / "light.parquet", "-o", tmp_path / "s.parquet", "--json")
    counts = here(*words).good().json
    good = np.asarray(read(samples / "light.parquet")["good"])
    assert (counts["events"], counts["unselected"]) == (good.sum(), (~good).sum())
    np.testing.assert_array_equal(read(tmp_path / "s.parquet")["event_index"], np.flatnonzero(good))


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        ({"classes": '[classes]\nlight = ["light.parquet"]\n'}, 2, "at least 2 items"),
        ({"classes": CLASSES.replace('"heavy.parquet"', "")}, 2, "classes.heavy"),
        ({"classes": CLASSES.replace("heavy.parquet", "none*.parquet")}, 3, "correct 'heavy' in [classes]"),
        ({"classes": CLASSES.replace("heavy.parquet", "empty.parquet")}, 3, "empty.parquet"),
        ({"classes": CLASSES.replace("heavy.parquet", "light.parquet")}, 3, "of class 'heavy' and, as"),
        ({"classes": '[classes]\nlight = ["light.parquet"]\nheavy = 7\n'}, 2, "the column of these numbers"),
        ({"classes": '[classes]\n"a b" = ["light.parquet"]\nheavy = ["heavy.parquet"]\n'}, 2, "letters, digits"),
        ({"classes": '[classes]\na = ["light.parquet"]\na_member_1 = ["heavy.parquet"]\n'}, 2, "of an ensemble"),
        ({"classes": BY_LABEL}, 2, "name these files"),
        ({"classes": BY_LABEL.replace("= 7", "= 3"), "data": BOTH}, 2, "same number"),
        ({"classes": BY_LABEL.replace("= 7", "= 8"), "data": BOTH}, 3, "no class of"),
        ({"classes": BY_LABEL + "third = 9\n", "data": BOTH}, 3, "is of class 'third'"),
        ({"classes": BY_LABEL.replace('"process"', '"kind"'), "data": BOTH}, 3, "'kind'"),
        ({"data": BOTH}, 2, "both name files"),
        ({"data": '[data]\nselection = "none"\n'}, 3, "class 'light': "),
        ({"data": '[data]\nweight = "zero"\n'}, 3, "training events of class 'light' sum to 0"),
        ({"data": '[data]\nweight = "negative"\n'}, 2, "positive_reweighting knows no objects; train on events of"),
        ({"objects": OBJECTS.replace("jet_btag = 0", "jet_btag = 4")}, 3, "no training event has an object of type"),
        ({"objects": OBJECTS.replace("muon", "tau")}, 3, "tau_pt"),
        ({"objects": OBJECTS.replace("jet_btag = 0", "btag = 0")}, 2, "which is no column of jet"),
        ({"objects": ""}, 2, "objects"),
        ({"model": '[model]\nestimator = "toy-pretraining"\n'}, 2, "is no classifier"),
        ({"model": '[model]\npreset = "compact"\n'}, 2, "takes no lists"),
        ({"training": SHORT + "positive_reweighting = true\n"}, 2, "knows no objects"),
        ({"model": MODEL + "options = { relations = 2 }\n"}, 2, "declares 0, but"),
        ({"model": '[model]\noptions = { freeze = true }\n'}, 2, "begin from a pre-training with --from"),
        ({"further": "[relation]\n"}, 2, "did you mean 'relations'"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused(samples, tmp_path, changes, code, sentence):
    number = np.arange(300)
    flags = {"none": number < 0, "zero": np.zeros(300), "negative": np.where(number % 10 == 5, -1.0, 1.0)}
    for name, count in (("light", 300), ("heavy", 100)):
        table = read(samples / f"{name}.parquet")
        extra = {what: values[:count] for what, values in flags.items()}
        if name == "heavy":
            extra["zero"] = np.ones(100)
        write(tmp_path / f"{name}.parquet", table.with_columns(extra))
    write(tmp_path / "empty.parquet", read(tmp_path / "heavy.parquet").slice(0, 0))
    write(tmp_path / "both.parquet", read(samples / "both.parquet"))
    path = config(tmp_path, **{"training": SHORT, **changes})
    assert sentence in here("classify", "train", path, "-o", tmp_path / "run").refused(code)
    assert not (tmp_path / "run").exists()


def test_a_class_without_events_is_named(samples):
    made, joined = loaded(samples)
    half = joined.take(joined.arrays.target[:, 0] == 0)
    with pytest.raises(DataError, match="0 test events of class 'heavy' sum to 0"):
        balanced(half, made, "test")


def test_a_class_of_few_events_is_named(samples, caplog):
    made, joined = loaded(samples)
    label = joined.arrays.target[:, 0]
    for kept, named in ((20, 0), (19, 1)):
        few = joined.take((label == 0) | (np.cumsum(label) <= kept))
        balanced(few, made, "validation")
        assert caplog.text.count("class 'heavy' has only 19 validation events") == named
        balanced(few, made, "training")  # of which there may be few: that is what pre-training is for
    assert len(caplog.records) == 1


def test_the_class_of_a_file_that_is_left_out_is_named(samples, tmp_path):
    (tmp_path / "light.parquet").write_bytes((samples / "light.parquet").read_bytes())
    (tmp_path / "heavy.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    path = config(tmp_path, training=SHORT)
    said = here("classify", "train", path, "-o", tmp_path / "run", "--skip-bad-files").refused(3)
    assert "class 'heavy': none of the 1 files can be used" in said
    run = here("classify", "train", config(samples, training=SHORT), "-o", tmp_path / "whole").good() and "whole"
    files = [f"{name}={tmp_path / name}.parquet" for name in ("light", "heavy")]
    judged = ("classify", "evaluate", tmp_path / run, *files, "-o", tmp_path / "report", "--skip-bad-files")
    assert "class 'heavy': none of the 1 files can be used" in here(*judged).refused(3)


def test_negative_weights_are_no_dead_end(samples, tmp_path):
    signs = np.where(np.arange(300) % 10 == 5, -1.0, 1.0)
    for name, count in (("light", 300), ("heavy", 100)):
        table = read(samples / f"{name}.parquet")
        write(tmp_path / f"{name}.parquet", table.with_columns({"sign": signs[:count]}))
    text = f'[data]\nfiles = ["light.parquet"]\nweight = "sign"\n{OBJECTS}[model]\nestimator = "toy-pretraining"\n'
    (tmp_path / "p.toml").write_text(text + SHORT)
    said = here("classify", "pretrain", tmp_path / "p.toml", "-o", tmp_path / "p").refused(2)
    assert "training events have negative weights" in said
    assert "set positive_reweighting = true" not in said
    made, joined = loaded(tmp_path, data='[data]\nweight = "sign"\n')
    weight = balanced(joined, made, "test").arrays.weight
    assert weight.min() < 0
    assert [weight[part].sum() for part in (slice(300), slice(300, 400))] == pytest.approx([200.0, 200.0])
    turned = replace(joined, arrays=replace(joined.arrays, weight=-joined.arrays.weight))
    with pytest.raises(DataError, match="of class 'light' sum to -240"):
        balanced(turned, made, "test")
    broken = replace(joined, arrays=replace(joined.arrays, weight=np.full(400, np.nan)))
    with pytest.raises(DataError, match="not finite"):
        balanced(broken, made, "test")


class WithBackbone(StrictModel):
    width: int = 64
    kind: str = "toy"


class BackboneConfig(StrictModel):
    backbone: WithBackbone = WithBackbone()


def test_a_pre_training_trains_the_backbone_of_a_preset(tmp_path, monkeypatch):
    monkeypatch.setitem(registry.PRESETS, "classify", ("toy-classifier", {"backbone": {"width": 32}}))
    monkeypatch.setattr("castalia_classifiers.ToyClassifier.Config", BackboneConfig)
    text = f'[data]\nfiles = ["light.parquet"]\n{OBJECTS}[model]\noptions = {{ hidden_share = 0.5 }}\n'
    name, options = parse_pretraining(text, tmp_path / "p.toml", tmp_path).estimator()
    assert (name, options) == ("object_pretraining", {"hidden_share": 0.5, "backbone": {"width": 32, "kind": "toy"}})
    own = text.replace("hidden_share = 0.5", "backbone = { width = 8 }")
    _, options = parse_pretraining(own, tmp_path / "p.toml", tmp_path).estimator()
    assert options == {"backbone": {"width": 8, "kind": "toy"}}


def test_a_pre_training_needs_a_backbone_and_has_no_members(samples, tmp_path):
    text = f'[data]\nfiles = ["light.parquet"]\n{OBJECTS}MODEL{SHORT}'
    for model, sentence in (
        ('[model]\npreset = "compact"\n', "has no backbone"),
        ('[model]\nestimator = "toy-pretraining"\nmembers = 3\n', "a pre-training has one model"),
    ):
        (tmp_path / "p.toml").write_text(text.replace("MODEL", model))
        assert sentence in here("classify", "pretrain", tmp_path / "p.toml", "-o", tmp_path / "p").refused(2)


TINY = "backbone = { width = 8, heads = 2, blocks = 1 }"
B_JETS, LIGHT_JETS = (f"[objects.{part}" for part in OBJECTS.split("[objects.")[2:4])


def test_a_pre_training_of_some_types_serves_a_classifier_of_more(samples):
    model, ours = f"[model]\noptions = {{ {TINY} }}\n", samples / "p.toml"
    for name, objects in (
        ("jets", B_JETS + LIGHT_JETS),
        ("turned", LIGHT_JETS + B_JETS),
        ("others", (B_JETS + LIGHT_JETS).replace("[objects.b_jet]", "[objects.bottom]")),
    ):
        ours.write_text(f'[data]\nfiles = ["light.parquet"]\n{objects}{model}{SHORT}')
        here("classify", "pretrain", ours, "-o", samples / name).good()
    path = config(samples, model=model, training=f"{SHORT.replace('1e-2', '1e-9')}final_learning_rate = 1e-9\n")
    words = ("classify", "train", path, "-o", samples / "tuned", "--from")
    told = here(*words, samples / "jets").good()
    assert "knows no objects of the types lepton, met; theirs begins untrained" in told.err
    assert json.loads((samples / "tuned" / "run.json").read_text())["results"]["new_types"] == ["lepton", "met"]
    theirs = open_backbone(samples / "jets").estimator.backbone.embedding.weight
    found = ClassifierRun.open(samples / "tuned").estimator.backbone.embedding.weight  # hardly trained
    assert torch.allclose(found[:, [6, 7]], theirs[:, [5, 6]], atol=1e-6)
    assert not torch.allclose(found[:, [5, 6]], theirs[:, [5, 6]], atol=1e-2)  # negative control
    for name in ("turned", "others"):
        assert "in the same order" in here(*words, samples / name, "--overwrite").refused(4)
    path.write_text(path.read_text().replace("options = {", "options = { freeze = true,"))
    assert "keep the untrained embedding of 'lepton'" in here(*words, samples / "jets", "--overwrite").refused(2)


def test_samples_must_agree_with_the_classes(samples):
    made, _ = loaded(samples)
    with pytest.raises(ConfigError):
        made.model_copy(update={"objects": {}}).features()
