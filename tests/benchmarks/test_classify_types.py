"""What is told of types of jets: by bins of a jet's own features, and by a pre-training on its test events."""

import numpy as np
import pytest
import torch

import classify_types as module
from castalia.errors import ConfigError, ModelError
from castalia.estimators.classification.pretraining import ObjectPretraining
from castalia.rng import Stream
from classify_cuts import Cuts
from classify_run import Arm, Bench, Pretext
from classify_types import most_frequent, types_of_jets

SMALL = {"width": 8, "heads": 2, "blocks": 1}


def test_own_features_tell_what_they_tell():
    rng = Stream(1, "own features").at()
    known, asked = rng.normal(size=(20_000, 3)), rng.normal(size=(5_000, 3))
    kinds, true = (np.where(one[:, 1] + one[:, 2] > 0.5, 1, 2) for one in (known, asked))
    assert np.mean(most_frequent(known, kinds, asked) == true) > 0.85  # bins have edges
    # Negative control: of features that tell nothing, the most frequent kind is named, and not much else.
    found = most_frequent(known, rng.permutation(kinds), asked)
    assert abs(np.mean(found == true) - np.mean(true == 2)) < 0.06
    assert set(most_frequent(known[:10], kinds[:10], asked)) <= {1, 2}  # where nothing is known, too


@pytest.fixture(scope="module")
def pretrained(classify_samples):
    bench = Bench(classify_samples, Cuts(400, 100, 400), SMALL, {"epochs": 1, "batch_size": 200})
    arm = Arm("both", options={"backbone": {"pairwise": False}})
    return {one: bench.pretrained(arm, Pretext(type_weight=one)) for one in (1.0, 0.0)}


def test_hidden_types_of_jets_are_asked_of_the_test_events(pretrained, monkeypatch):
    asked, told = [], ObjectPretraining.type_logits

    def knowing(self, events, hidden):
        asked.append(hidden)
        own = torch.nn.functional.one_hot(events.objects["objects"].values[..., -1].long(), 4)
        return own + 0.0 * told(self, events, hidden)

    found = types_of_jets(pretrained[1.0])
    guess = found["most_frequent"]
    assert 0.3 < guess < 0.7  # the toy's tags are random
    assert abs(found["accuracy"] - 0.5) < 0.2
    assert found["accuracy_error"] == pytest.approx(
        (found["accuracy"] * (1 - found["accuracy"]) / found["jets"]) ** 0.5
    )
    monkeypatch.setattr(ObjectPretraining, "type_logits", knowing)
    assert types_of_jets(pretrained[1.0])["accuracy"] == 1.0
    (hidden,) = asked
    assert len(hidden) == 4 * 22
    assert 0.4 < float(hidden.double().mean()) < 0.65  # of objects that exist 0.65
    assert 0 < found["jets"] < int(hidden.sum())


def test_a_pre_training_without_types_is_refused(pretrained, monkeypatch):
    with pytest.raises(ConfigError, match="tells no types"):
        types_of_jets(pretrained[0.0])
    monkeypatch.setattr(module, "ObjectPretraining", int)
    with pytest.raises(ModelError, match="tells no types; give a pre-training on types"):
        types_of_jets(pretrained[1.0])
