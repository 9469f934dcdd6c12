"""What is measured of probabilities that are known: of normal scores, of guesses, of too confident ones."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from castalia.apps.classify.comparison import Comparison, Contender, comparison_metrics
from castalia.apps.classify.judging import Expectation, JudgedClasses, Judgement, judge, log_odds
from castalia.apps.classify.relations import recognised_relations
from castalia.apps.classify.results import gate_reasons, numbers_of
from castalia.errors import ConfigError
from castalia.estimators.base import Batch, Events, ObjectSet
from castalia.estimators.classification.relations import relation_classes
from castalia.rng import Stream

SHIFT, EVENTS = 1.0, 4000


def events(number: int = 2, mass: bool = False) -> tuple[JudgedClasses, np.ndarray]:
    """Return events of classes, and one normal variable for each class, shifted for its own events."""
    rng = Stream(91, "judged events", str(number)).at()
    label = np.arange(EVENTS) % number
    found = rng.normal(size=(EVENTS, number)) + SHIFT * np.eye(number)[label]
    names = ("ttbar", "heavy", "zprime")[:number]
    masses = (rng.normal(100.0, 20.0, EVENTS), "m_bb", "GeV") if mass else None
    return JudgedClasses(names, label, np.ones(EVENTS), masses, 1), found


def exact(found: np.ndarray, sharper: float = 1.0) -> np.ndarray:
    """Return the probabilities of classes by Bayes' theorem, or sharper ones."""
    odds = np.exp(sharper * SHIFT * found)
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.statistical
def test_two_classes_against_the_closed_form() -> None:
    judged_events, found = events()
    judged = judge(judged_events, exact(found))
    # The difference of the two variables tells all: a distance of 2 SHIFT with a width of sqrt(2).
    truth = norm.cdf(SHIFT)
    (contest,) = judged.contests
    assert (contest.signal, contest.background) == ("heavy", "ttbar")
    assert judged.mean_auc.value == pytest.approx(contest.auc.value)
    assert judged.mean_auc.value == pytest.approx(truth, abs=5.0 * judged.mean_auc.error)
    assert judged.mean_auc.error == pytest.approx(contest.auc.error)
    (reliability,) = judged.reliabilities
    assert reliability.name == "heavy"
    assert gate_reasons(judged, None) == ()
    assert gate_reasons(judged, 0.99)[0].startswith("its AUC of 0.8")
    assert contest.significance is None
    expected = judge(judged_events, exact(found), Expectation({"ttbar": 100.0, "heavy": 10.0}, 0.2))
    assert expected.contests[0].significance is not None
    assert expected.contests[0].significance.background_events == 100.0
    assert numbers_of(expected, None)["contests"]["heavy against ttbar"]["significance"]["signal_events"] == 10.0


def test_what_the_gate_refuses() -> None:
    judged_events, found = events()
    confident = gate_reasons(judge(judged_events, exact(found, 2.0)), None)
    assert len(confident) == 1
    assert confident[0].startswith("the probability of heavy is off by")
    guess = exact(Stream(91, "guess").at().normal(size=(EVENTS, 2)), 0.01)
    reasons = gate_reasons(judge(judged_events, guess), None)
    assert len(reasons) == 1
    assert reasons[0].endswith("it guesses.")
    exchanged = gate_reasons(judge(judged_events, exact(found)[:, ::-1]), None)
    assert "is below 0.5 beyond 3 errors: it takes one class for the other" in exchanged[0]
    assert not any("guesses" in reason for reason in exchanged)


@pytest.mark.statistical
def test_three_classes_are_judged_against_the_first_and_against_the_rest() -> None:
    judged_events, found = events(3)
    judged = judge(judged_events, exact(found), Expectation({"ttbar": 100.0, "heavy": 10.0}, 0.0))
    names = [f"{one.signal} against {one.background}" for one in judged.contests]
    assert names == [
        "heavy against ttbar", "zprime against ttbar", "ttbar against the rest", "heavy against the rest",
        "zprime against the rest",
    ]  # fmt: skip
    for one in judged.contests[:2]:
        assert one.auc.value == pytest.approx(norm.cdf(SHIFT), abs=5.0 * one.auc.error)
    assert judged.mean_auc.value == pytest.approx(np.mean([one.auc.value for one in judged.contests[2:]]))
    assert [one.significance is None for one in judged.contests] == [False, True, True, True, True]
    assert [one.name for one in judged.reliabilities] == ["ttbar", "heavy", "zprime"]
    assert judged.confusion.accuracy > 1.0 / 3.0 + 5.0 * judged.confusion.accuracy_error
    assert gate_reasons(judged, None) == ()


def test_scores_that_are_all_one_as_probabilities_are_told_apart() -> None:
    certain = np.array([[1e-40, 1.0], [1e-30, 1.0], [0.0, 1.0]])
    assert np.all(np.diff(log_odds(certain, 1)[[1, 0, 2]]) > 0.0)


def test_a_mass_is_judged_for_the_background() -> None:
    judged_events, found = events(mass=True)
    assert judged_events.mass is not None
    free = judge(judged_events, exact(found)).mass
    assert free is not None
    assert abs(free.correlation) < 5.0 * free.error
    following = found + np.outer(0.05 * (judged_events.mass[0] - 100.0), [-1.0, 1.0])
    bound = judge(judged_events, exact(following)).mass
    assert bound is not None
    assert bound.correlation > 5.0 * bound.error, "negative control"
    assert judge(replace(judged_events, mass=None), exact(found)).mass is None


def contender(judged: Judgement, recipe: str = "", size: float = 1000.0) -> Contender:
    return Contender(judged, None, recipe, size, 10)


@pytest.mark.statistical
def test_a_comparison_knows_that_the_events_are_the_same() -> None:
    judged_events, found = events()
    noises = Stream(91, "noise").at().normal(size=(3, EVENTS, 2))
    models = {
        name: contender(judge(judged_events, exact(found + width * noise)))
        for name, width, noise in zip(("best", "near", "far"), (0.0, 0.1, 1.0), noises, strict=True)
    }
    comparison = Comparison(judged_events, models)
    assert comparison.ranking[-1] == "far"
    behind = comparison.ahead("best", "far")
    assert behind.value > 5.0 * behind.error
    near = comparison.ahead("best", "near")
    assert abs(near.value) < 5.0 * near.error
    alone = models["near"].judged.mean_auc.error
    assert near.error < 0.3 * alone, "the paired error is far below that of one"
    assert comparison.curves == comparison.saved == {}


def test_runs_of_a_recipe_make_a_learning_curve_and_the_data_saved_is_read_from_it() -> None:
    judged_events, found = events()
    models = {}
    for seed, noise in enumerate(Stream(91, "curves").at().normal(size=(2, EVENTS, 2))):
        for recipe, widths in {"scratch": (3.0, 2.0, 1.0), "pretrained": (2.0, 1.0, 0.5)}.items():
            for size, width in zip((1000.0, 4000.0, 16000.0), widths, strict=True):
                judged = judge(judged_events, exact(found + width * noise))
                models[f"{recipe}_{size}_{seed}"] = contender(judged, recipe, size)
    comparison = Comparison(judged_events, models)
    curve = comparison.curves["scratch"]
    assert curve.seeds.tolist() == [2, 2, 2]
    assert np.all(np.diff(curve.value) > 0.0)
    (saved,) = comparison.saved.values()
    # Each width of the better recipe is that of the other at four times the size.
    assert saved[0].factor == pytest.approx(4.0)
    assert saved[1].factor == pytest.approx(4.0)
    assert np.isnan(saved[2].factor)
    assert saved[2].least == pytest.approx(1.0)
    metrics = comparison_metrics(comparison, {"judged": EVENTS})
    assert metrics["data_saved"]["pretrained"][0]["factor"] == pytest.approx(4.0)
    assert metrics["models"]["pretrained_16000.0_0"]["rank"] <= 2


class Knowing:
    """An estimator that knows the relations of objects, or claims to have learned none."""

    def __init__(self, ancestry: torch.Tensor, learned: bool = True) -> None:
        every = torch.ones(ancestry.shape[:2], dtype=torch.bool)
        self.true, self.learned = relation_classes(ObjectSet(ancestry, every)), learned

    def relation_logits(self, given: Events) -> torch.Tensor:
        if not self.learned:
            raise ConfigError("This model was trained without relations; train with them.")
        return torch.nn.functional.one_hot(self.true[given.flat[:, 0].long()], 3).double()


def test_relations_are_judged_of_objects_that_have_ancestors() -> None:
    count = 100
    rng = Stream(91, "ancestors").at()
    ancestry = torch.from_numpy(rng.integers(0, 3, (count, 4, 2)))
    ancestry[:, 3] = 0  # missing momentum has none
    values = torch.zeros((count, 4, 5))
    values[..., 4] = torch.tensor([0.0, 1.0, 1.0, 2.0])
    mask = torch.ones((count, 4), dtype=torch.bool)
    mask[:50, 2] = False
    rows = torch.arange(count)
    condition = Events(rows[:, None].double(), {"objects": ObjectSet(values, mask)})
    target = Events(torch.zeros((count, 0)), {"ancestry": ObjectSet(ancestry.double(), mask)})
    batch = Batch(condition, target, torch.ones(count), rows)
    config = SimpleNamespace(objects={"lepton": 0, "jet": 0, "met": 0}, relations={"same_w": "w", "same_top": "top"})
    found = recognised_relations(SimpleNamespace(estimator=Knowing(ancestry), config=config), batch)
    assert found is not None
    assert found.names == ("same_w", "same_top", "unrelated")
    assert found.found.accuracy == 1.0
    assert found.found.pairs.sum() == 50 * 2 + 50 * 6, "ordered pairs of lepton and jets that exist"
    assert found.found.baseline_accuracy < 0.9
    wrong = recognised_relations(SimpleNamespace(estimator=Knowing(ancestry.flip(0)), config=config), batch)
    assert wrong is not None
    assert wrong.found.accuracy < 0.6, "negative control: the relations of other events"
    for estimator in (Knowing(ancestry, learned=False), object()):
        assert recognised_relations(SimpleNamespace(estimator=estimator, config=config), batch) is None
