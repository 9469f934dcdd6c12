"""Trainings of the classification benchmarks: the example with another model, trained once, judged as by the app."""

import pytest

import classify_run
from castalia.apps.classify.config import parse_config, parse_pretraining
from classify_cuts import Cuts
from classify_plan import OBSERVABLES
from classify_run import Arm, Bench, Pretext, judged, validation_loss

SMALL = {"width": 8, "heads": 2, "blocks": 1}
TUNED = {"epochs": 2, "batch_size": 100, "learning_rate": 4e-3}
PLAIN = {"backbone": {"pairwise": False}}


@pytest.fixture(scope="module")
def bench(classify_samples):
    return Bench(classify_samples, Cuts(400, 100, 400), SMALL, {"epochs": 1, "batch_size": 200})


def config_of(bench, arm, **settings):
    text = bench.configuration(arm, "heavy_higgs", 100, 3, settings or TUNED)
    return parse_config(text, bench.samples / "c.toml", bench.samples)


def test_the_configuration_is_the_example_with_other_files_and_another_model(bench):
    config = config_of(bench, Arm("decay", options={**PLAIN, "decay_weight": 1.0}, training={"schedule": "cosine"}))
    assert dict(config.classes) == {"ttbar": 0, "heavy_higgs": 1}
    assert list(config.objects) == ["lepton", "b_jet", "light_jet", "met"]
    assert list(config.relations) == ["same_w", "same_top", "same_h", "same_heavy"]
    assert config.model.resolve()[1]["backbone"] == {**SMALL, "pairwise": False}
    assert (config.training.epochs, config.training.seed, config.training.schedule) == (2, 3, "cosine")
    assert "200_300" in config.data.files[0]
    assert all("500_900" in path for path in config.data.test_files)
    assert not config.condition
    assert not config_of(bench, Arm("scratch", options=PLAIN)).relations
    trees = config_of(bench, OBSERVABLES, trees=7)
    assert len(trees.condition) == 12
    assert trees.model.options == {"trees": 7}
    random = config_of(bench, Arm("random", options={**PLAIN, "decay_weight": 1.0}, relations="random"))
    assert "random" in random.data.files[0]
    assert "random" in random.data.validation_files[0]
    assert "true" in random.data.test_files[0]


def test_a_training_begins_from_its_pretext_and_is_made_once(bench, monkeypatch):
    arms = {
        "scratch": Arm("scratch", options=PLAIN),
        "both": Arm("both", options=PLAIN, pretext=Pretext()),
        "shuffled": Arm("shuffled", options=PLAIN, pretext=Pretext(shuffled=True)),
    }
    asked = []
    made = {name: getattr(classify_run, name) for name in ("train", "pretrain")}
    for name in made:
        monkeypatch.setattr(
            classify_run, name, lambda request, of=name: (asked.append((of, request)), made[of](request))[1]
        )
    runs = {name: bench.run(arm, "heavy_higgs", 100, 1, TUNED) for name, arm in arms.items()}
    assert [of for of, _ in asked] == ["train", "pretrain", "train", "pretrain", "train"]
    assert asked[0][1].pretrained is None
    for (_, before), (_, after) in ((asked[1], asked[2]), (asked[3], asked[4])):
        assert after.pretrained == before.output
    files = [parse_pretraining(one.config.read_text(), one.config, bench.samples).data.files for _, one in asked[1::2]]
    assert [len(one) for one in files] == [4, 4]
    assert all("shuffled" in path for path in files[1])
    assert len(set(runs.values())) == 3
    assert {name: bench.run(arm, "heavy_higgs", 100, 1, TUNED) for name, arm in arms.items()} == runs
    # What an arm is called is nothing that it depends on: other benchmarks find its run.
    assert bench.run(Arm("another name", options=PLAIN), "heavy_higgs", 100, 1, TUNED) == runs["scratch"]
    assert len(asked) == 5
    losses = {name: validation_loss(run) for name, run in runs.items()}
    assert len(set(losses.values())) == 3
    assert all(0.3 < one < 0.8 for one in losses.values())


def test_a_run_is_judged_on_the_test_events(bench):
    pytest.importorskip("xgboost")
    judgement, relations = judged(bench.run(Arm("trees", "boosted_trees"), "heavy_higgs", 400, 1, {"trees": 20}))
    assert relations is None
    assert len(judgement.mean_auc.influence) == 800
    assert judgement.mean_auc.value > 0.5 + 5 * judgement.mean_auc.error  # signal is half as hard again
    aware = Arm("decay", options={**PLAIN, "decay_weight": 1.0})
    _, relations = judged(bench.run(aware, "heavy_higgs", 100, 1, TUNED))
    assert relations.names == ("same_w", "same_top", "same_h", "same_heavy", "unrelated")
