"""Trainings of the classification benchmarks: the example with another model, trained once, judged as by the app."""

import pytest

import classify_decay
import classify_run
from architecture import imports_of, module_name
from castalia.apps.classify.config import parse_config, parse_pretraining
from castalia.data.sidecar import make_sidecar, write_sidecar
from castalia.data.writers import open_writer
from castalia.errors import StoppedError
from castalia.estimators.registry import build
from castalia.runs.folder import RunFolder
from classify_cuts import Cuts, labelled_files
from classify_data import SCHEMA
from classify_plan import OBSERVABLES
from classify_run import SOURCES, TRAINED, Arm, Bench, Pretext, judged, seconds_of, validation_loss
from record import ROOT

from .conftest import EVENTS, toy_sample

SMALL = {"width": 8, "heads": 2, "blocks": 1}
TUNED = {"epochs": 2, "batch_size": 100, "learning_rate": 4e-3}
PLAIN = {"backbone": {"pairwise": False}}


@pytest.fixture(scope="module")
def bench(classify_samples):
    return Bench(classify_samples, Cuts(400, 100, 400), SMALL, {"epochs": 1, "batch_size": 200})


def config_of(bench, arm, **settings):
    files = labelled_files(bench.samples, bench.cuts, "heavy_higgs", 100, 3, arm.relations)
    text = bench.configuration(arm, "heavy_higgs", files, 3, settings or TUNED)
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
    assert trees.model.options == {"trees": 7, "seed": 3}
    random = config_of(bench, Arm("random", options={**PLAIN, "decay_weight": 1.0}, relations="random"))
    assert "random" in random.data.files[0]
    assert "random" in random.data.validation_files[0]
    assert "true" in random.data.test_files[0]


@pytest.mark.parametrize("arm", classify_decay.FULL_PLANS[1].arms, ids=lambda arm: arm.name)
def test_the_published_model_is_as_wide_as_published(bench, arm):
    config = config_of(bench, arm)
    name, options = config.estimator().resolve()
    model = build(name, options, config.layout, 1)
    backbone = model.config.backbone
    assert (name, backbone.width, backbone.heads, backbone.blocks, backbone.event_blocks) == (
        "graph_classifier", 256, 2, 4, 2)  # fmt: skip
    assert not backbone.pairwise
    assert (model.relation_head is None) == (arm.name == "published_w0") == (not config.relations)
    assert ("random" in config.data.files[0]) == (arm.name == "published_random")


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
    files = [parse_pretraining(one.config.read_text(), one.config, bench.samples).data for _, one in asked[1::2]]
    assert [len(one.files) for one in files] == [len(one.validation_files) for one in files] == [4, 4]
    assert all("shuffled" in path for path in files[1].files)
    pretrained = asked[1][1].output
    # All but what validation and the test need is learned from.
    assert RunFolder.open(pretrained).record.results["training_events"] == 4 * (EVENTS - 2 * (EVENTS // 40))
    assert seconds_of(runs["scratch"]).keys() == {runs["scratch"].name}
    assert seconds_of(runs["both"]).keys() == {runs["both"].name, pretrained.name}
    assert min(seconds_of(runs["both"]).values()) > 0
    assert len(set(runs.values())) == 3
    assert {name: bench.run(arm, "heavy_higgs", 100, 1, TUNED) for name, arm in arms.items()} == runs
    # What an arm is called is nothing that it depends on: other benchmarks find its run.
    assert bench.run(Arm("another name", options=PLAIN), "heavy_higgs", 100, 1, TUNED) == runs["scratch"]
    assert len(asked) == 5
    losses = {name: validation_loss(run, bench.validation_file("heavy_higgs")) for name, run in runs.items()}
    assert len(set(losses.values())) == 3
    assert all(0.3 < one < 0.8 for one in losses.values())


def test_a_run_is_judged_on_the_test_events(bench):
    pytest.importorskip("xgboost")
    judgement, relations = judged(bench.run(Arm("trees", "boosted_trees"), "heavy_higgs", 400, 1, {"trees": 20}), 7)
    assert relations is None
    assert len(judgement.contests[0].curve.replicas) == 7
    assert len(judgement.mean_auc.influence) == 800
    assert judgement.mean_auc.value > 0.5 + 5 * judgement.mean_auc.error  # signal is half as hard again
    aware = Arm("decay", options={**PLAIN, "decay_weight": 1.0})
    _, relations = judged(bench.run(aware, "heavy_higgs", 100, 1, TUNED), 7)
    assert relations.names == ("same_w", "same_top", "same_h", "same_heavy", "unrelated")


def test_a_run_is_of_its_samples_and_sources(tmp_path, monkeypatch):
    bench, arm = Bench(tmp_path, Cuts(400, 100, 400), SMALL, {}), Arm("scratch", options=PLAIN)

    def trained(first_seed):
        for seed, (name, pt) in enumerate({"ttbar": 40.0, "heavy_higgs": 60.0}.items(), first_seed):
            path = tmp_path / f"{name}.parquet"
            with open_writer(path, SCHEMA) as writer:
                writer.write(toy_sample(seed, pt))
            write_sidecar(path, make_sidecar(path, writer.summary, SCHEMA))
        return bench.run(arm, "heavy_higgs", 100, 1, TUNED)

    run = trained(1)
    assert trained(1) == run
    others = trained(50)
    assert others != run
    weights = [(one / "models" / "classifier" / "model.safetensors").read_bytes() for one in (run, others)]
    assert weights[0] != weights[1]
    monkeypatch.setattr(classify_run, "state_of", lambda paths: "changed")
    assert trained(50) not in (run, others)


def test_a_training_that_was_stopped_has_cost_its_time(bench, monkeypatch):
    arm, made = Arm("scratch", options={"backbone": {"pairwise": False}, "augment": False}), classify_run.train

    def stopped(request):
        raise StoppedError("stopped by SIGTERM")

    clock = iter([0.0, 5.0, 100.0, 102.0])
    monkeypatch.setattr(classify_run.time, "process_time", lambda: next(clock))
    monkeypatch.setattr(classify_run, "train", stopped)
    with pytest.raises(StoppedError):
        bench.run(arm, "heavy_higgs", 100, 1, TUNED)
    monkeypatch.setattr(classify_run, "train", made)
    run = bench.run(arm, "heavy_higgs", 100, 1, TUNED)
    assert seconds_of(run) == {run.name: 7.0}


ROOMS = ("estimators", "metrics", "nn", "training")
# What sources import of these rooms and is none: contracts, files of models, checks of arguments, scalings of targets,
# and measures of a judgement that no row holds.
ELSEWHERE = {
    *(f"estimators/{name}.py" for name in ("base", "cells", "gaussianise", "registry", "storage", "supports")),
    *(f"metrics/{name}.py" for name in ("arrays", "bands", "confusion", "correlation", "mass_dependence")),
    *(f"metrics/{name}.py" for name in ("significance", "support")),
}


def test_sources_are_what_changes_a_number():
    assert all((ROOT / path).exists() for path in SOURCES)
    assert set(TRAINED) < set(SOURCES)
    package = ROOT / "src" / "castalia"
    named = [ROOT / one for one in SOURCES]
    covered = {file for one in named for file in ([one] if one.is_file() else one.rglob("*.py"))}
    reached = set()
    for path in (one for one in covered if one.is_relative_to(package)):
        for one in imports_of(path.read_text(), module_name(path, package.parent), path.name == "__init__.py"):
            parts = one.target.split(".")
            if parts[0] == "castalia" and parts[1] in ROOMS:
                places = [package.joinpath(*parts[1:end]).with_suffix(".py") for end in (None, -1)]
                reached |= {place for place in places if place.exists()}
    assert {str(one.relative_to(package)) for one in reached - covered} <= ELSEWHERE
    # Pages, figures and other measures are none of them.
    for name in ("apps/classify/page.py", "plots", "metrics/pixels", "nn/incremental.py"):
        assert not any(one == package / name or (package / name) in one.parents for one in covered)
