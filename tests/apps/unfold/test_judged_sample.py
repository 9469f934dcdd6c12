"""Which events posteriors are judged on, where events have weights or no object that azimuths are relative to."""

from dataclasses import replace

import numpy as np
import pytest
from castalia_console import here
from z_toys import config, events, write

from castalia.apps.unfold.judged_sample import JudgeRequest, read_test_sample
from castalia.apps.unfold.model import open_model
from castalia.errors import DataError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was trained on weighted events, of which a few have no lepton that azimuths are relative to."""
    folder = tmp_path_factory.mktemp("weighted")
    table = events(1_500)
    write(folder / "z.parquet", table.with_columns({"weight": np.ones(len(table))}))
    path = config(folder, data='weight = "weight"', truth='frame = ["lepton"]', epochs=1)
    here("unfold", "train", path, "-o", folder / "run").good()
    return folder / "run"


def test_weighted_events_are_judged_as_events_that_count_alike(run, tmp_path):
    table = events(6_000, seed=2)
    pt = table["true_plus_pt"]
    heavy = 2.0 * pt / pt.mean()
    write(tmp_path / "weighted.parquet", table.with_columns({"weight": heavy}))
    model = open_model(run)
    sample = read_test_sample([model], JudgeRequest((run,), (tmp_path / "weighted.parquet",), tmp_path), fewest=100)
    names = list(model.coordinates.tree.numbers)
    judged = np.hypot(*(sample.events.truth[:, names.index(f"plus_{axis}")] for axis in ("px", "py")))
    error = judged.std() / np.sqrt(len(judged))
    assert abs(judged.mean() - np.average(pt, weights=heavy)) < 4 * error
    # Negative control: all events alike would have another mean.
    assert abs(pt.mean() - np.average(pt, weights=heavy)) > 10 * error
    assert sample.counts["left_out_for_weight"] == 6_000 - len(judged) > 1_000


def test_negative_weights_cannot_be_judged_by(run, tmp_path):
    table = events(500, seed=3)
    signs = np.where(np.arange(500) % 5 == 0, -1.0, 1.0)
    path = write(tmp_path / "signed.parquet", table.with_columns({"weight": signs}))
    with pytest.raises(DataError, match="100 of 500 events have a negative weight"):
        read_test_sample([open_model(run)], JudgeRequest((run,), (path,), tmp_path), fewest=100)
    # Nor can they be learned from where events have lists: the advice is none that would be refused in its turn.
    given = config(tmp_path, data='weight = "weight"', epochs=1)
    given.write_text(given.read_text().replace("z.parquet", path.name))
    sentence = here("unfold", "train", given, "-o", tmp_path / "other").refused(2)
    assert "train on a sample without: positive_reweighting knows no lists of objects" in sentence


def test_an_event_without_the_object_of_the_frame_is_flagged_where_training_had_none(run, tmp_path):
    model = open_model(run)
    path = write(tmp_path / "more.parquet", events(400, seed=4).with_columns({"weight": np.ones(400)}))
    arrays = read_test_sample([model], JudgeRequest((run,), (path,), tmp_path), fewest=100).arrays
    without = ~arrays.objects["lepton"].mask.any(axis=1)
    assert 0 < without.sum() < 40
    assert 0 < model.without_frame < 60
    assert not model.outside(arrays)[without].all()
    strict = replace(model, without_frame=0)
    assert strict.outside(arrays)[without].all()
    assert np.array_equal(strict.outside(arrays)[~without], model.outside(arrays)[~without])
    inside = arrays.take(without & ~model.outside(arrays))
    assert strict.outlier(inside) == "a missing lepton"
