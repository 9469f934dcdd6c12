"""A trained run draws events, knows its range, and tells events that it learned from."""

import shutil

import numpy as np
import pytest
from pixel_toys import MODEL, config, events, write

from castalia.apps.pixels.events import joined
from castalia.apps.pixels.model import DRAWN_AT_ONCE, open_model
from castalia.apps.pixels.train import TrainRequest, train
from castalia.detectors.pxd.columns import hits_of
from castalia.detectors.pxd.images import occupancy
from castalia.errors import DataError, MachineError, ModelError
from castalia.rng import Stream


def rng(number=0):
    return Stream(1, "drawn").at(number)


def test_draws_are_of_their_conditions_and_in_order(desk):
    model = open_model(desk / "run")
    condition = np.array([[0.5, 1.0], [1.0, 1.0]]).repeat(50, axis=0)
    drawn = model.draw(condition, rng(), draws=2)
    assert drawn.events == 200
    counts = occupancy(drawn).sum(axis=1)
    low, high = counts[:100].mean(), counts[100:].mean()
    # Poisson numbers of mean m and 2 m: half the larger mean is off the smaller by at most five standard errors.
    assert abs(high / 2 - low) < 5 * np.sqrt(low / 100 + high / 400)
    assert abs(high - low) > 5 * np.sqrt(low / 100 + high / 100)  # negative control: no other way round
    # A few events at a time: the first ones do not depend on those after them.
    few = model.draw(condition[:DRAWN_AT_ONCE], rng())
    many = model.draw(condition[: 2 * DRAWN_AT_ONCE], rng())
    np.testing.assert_array_equal(occupancy(many)[:DRAWN_AT_ONCE], occupancy(few))


def test_a_range_is_known(desk):
    model = open_model(desk / "run")
    far = np.array([[0.75, 1.0], [2.0, 1.0], [0.1, 1.0], [0.75, 1.1], [np.nan, 1.0]])
    assert model.outside(far).tolist() == [False, True, True, True, True]


def test_faults_of_a_model_are_named(desk, tmp_path):
    for fault, what in (("order", "out of order"), ("charge", "charge from")):
        text = f'{MODEL}options = {{ fault = "{fault}" }}\n'
        train(TrainRequest(config(tmp_path / "a.toml", desk / "training.parquet", model=text), tmp_path / fault))
        with pytest.raises(MachineError, match=what):
            open_model(tmp_path / fault).draw(np.array([[1.0, 1.0]]), rng())


def test_events_that_it_learned_from_are_left_out(desk, tmp_path):
    model = open_model(desk / "run")
    own = model.events()
    assert len(own.sample) == pytest.approx(20, abs=13)  # five standard deviations of a tenth of 200
    assert own.counts["learned_from"] == 0
    table, fresh = events(200), events(60, seed=2)
    copied = write(tmp_path / "copied.parquet", type(table).concatenate([fresh, table.slice(0, 100)]))
    found = model.events([copied])
    assert found.counts["learned_from"] == pytest.approx(90, abs=15)
    assert len(found.sample) == 160 - found.counts["learned_from"]
    assert joined([hits_of(fresh)]).charge.tolist() == found.sample.hits.charge[: len(hits_of(fresh).charge)].tolist()
    assert found.checksums.keys() == {str(copied)}
    few = model.events([desk / "fresh.parquet"], most=10)
    assert (len(few.sample), few.counts["learned_from"]) == (10, 0)
    far = write(tmp_path / "far.parquet", events(30, seed=3, luminosity=(1.5, 2.0)))
    assert model.events([far]).counts["outside_training_range"] == 30
    seen = write(tmp_path / "seen.parquet", table.take(~np.isin(np.arange(200), own.sample.index)))
    with pytest.raises(DataError, match="learned from every event"):
        model.events([seen])
    with pytest.raises(DataError, match="but not on the other files"):
        model.events([desk / "training.parquet", desk / "fresh.parquet"])


def test_what_is_no_finished_run_is_refused(desk, tmp_path, run):
    with pytest.raises(ModelError, match="is a run of 'simulate'; give one written by `castalia pixels train`"):
        open_model(run)
    with pytest.raises(ModelError, match="no such run folder"):
        open_model(tmp_path / "nowhere")
    shutil.copytree(desk / "run", tmp_path / "unfinished")
    shutil.rmtree(tmp_path / "unfinished" / "models")
    with pytest.raises(ModelError, match="no trained model yet; finish it with"):
        open_model(tmp_path / "unfinished")
    shutil.copytree(desk / "run", tmp_path / "changed")
    text = (tmp_path / "changed" / "config.toml").read_text()
    (tmp_path / "changed" / "config.toml").write_text(text.replace("[condition.pressure]", "[condition.current]"))
    with pytest.raises(ModelError, match="the run folder was changed"):
        open_model(tmp_path / "changed")
