"""What counts as outside the training range: a variable, an object of a list, the number of objects."""

import dataclasses

import numpy as np

from castalia.data.feature_arrays import FeatureArrays, ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.metrics.support import ConditionRanges, outside
from castalia.rng import Stream
from castalia.runs.ranges import described, summary_names, summary_of_events

LAYOUT = Layout((Variable("met"),), (Variable("x"),), {"jet": (Variable("pt"), Variable("eta"))})


def arrays(count, seed=1, most=5):
    rng = Stream(seed, "ranges").at()
    mask = np.arange(most) < rng.integers(0, most + 1, count)[:, None]
    values = np.where(mask[:, :, None], rng.normal(0, 1, (count, most, 2)), 0.0)
    row = np.arange(count)
    return FeatureArrays(
        rng.normal(0, 1, (count, 1)), None, np.zeros((count, 1)), np.ones(count), row, 0, None,
        {"jet": ObjectArrays(values, mask)},
    )  # fmt: skip


def seen(training):
    table = summary_of_events(training)
    return ConditionRanges(np.nanmin(table, axis=0), np.nanmax(table, axis=0))


def test_names_and_columns_go_together():
    assert len(summary_names(LAYOUT)) == summary_of_events(arrays(10)).shape[1] == 6


def test_no_events_have_the_same_columns():
    none = summary_of_events(arrays(10).take(np.zeros(10, dtype=bool)))
    assert none.shape == (0, 6)
    assert outside(none, seen(arrays(10))).shape == (0,)


def test_like_events_are_hardly_flagged():
    box = seen(arrays(20_000))
    fresh = arrays(20_000, seed=2)
    assert np.mean(outside(summary_of_events(fresh, box.low), box)) < 0.01


def test_events_without_objects_are_not_outside():
    box = seen(arrays(2_000))
    one = arrays(50)
    empty = dataclasses.replace(one, objects={"jet": ObjectArrays(np.zeros((50, 1, 2)), np.zeros((50, 1), bool))})
    assert not outside(summary_of_events(empty, box.low), box)[np.abs(one.condition[:, 0]) < 2].any()


def test_each_kind_of_excess_is_found():
    box = seen(arrays(2_000))
    far = arrays(3)
    far.condition[0] = 50.0
    far.objects["jet"].mask[1, 0] = True
    far.objects["jet"].values[1, 0, 1] = -50.0
    many = dataclasses.replace(
        far, objects={"jet": ObjectArrays(np.zeros((3, 9, 2)), np.ones((3, 9), bool))}, condition=np.zeros((3, 1))
    )
    assert outside(summary_of_events(far, box.low), box)[:2].all()
    assert outside(summary_of_events(many, box.low), box).all()


def test_what_is_outside_is_said_with_its_unit():
    layout = Layout((Variable("et", "GeV"), Variable("mu")), ())
    box = ConditionRanges(np.array([20.0, 0.0]), np.array([200.0, 80.0]))
    assert described(np.array([350.0, 40.0]), box, layout) == "et = 350 GeV (trained on 20 to 200 GeV)"
    assert described(np.array([30.0, 81.5]), box, layout) == "mu = 81.5 (trained on 0 to 80)"


def test_what_of_an_object_is_outside_is_said_by_its_list():
    layout = Layout(LAYOUT.condition, (), {"jet": (Variable("pt", "GeV"), Variable("eta"))})
    low = np.array([-1.0, 0.0, 20.0, 20.0, -2.0, -2.0])
    box = ConditionRanges(low, np.array([1.0, 4.0, 200.0, 500.0, 2.0, 2.0]))
    inside = np.array([0.0, 2.0, 30.0, 90.0, -1.0, 1.0])
    for column, value, words in (
        (1, 5.0, "number of jet = 5 (trained on 0 to 4)"),
        (3, 900.0, "largest jet pt = 900 GeV (trained on 20 to 500 GeV)"),
        (4, -2.5, "least jet eta = -2.5 (trained on -2 to 2)"),
    ):
        assert described(np.where(np.arange(6) == column, value, inside), box, layout) == words
