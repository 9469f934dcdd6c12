"""Hits of files become batches and come back; what is damaged is refused with file and row."""

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import torch
from pixel_toys import events, hits, write

from castalia.apps.pixels.config import ARRAY, PixelsConfig
from castalia.apps.pixels.events import PixelSample, from_events, joined, read_events, to_batch
from castalia.apps.pixels.reading import ordered_cells
from castalia.data.feature_config import ConditionVariable
from castalia.detectors.pxd.columns import HIT_COLUMNS, hits_of
from castalia.errors import DataError, MachineError
from castalia.estimators.pixels.hits import HIT_FEATURES, HITS

NAMES = ("luminosity", "pressure")
FEATURES = PixelsConfig.model_validate(
    {
        "data": {"files": ["any"]},
        "condition": {name: ConditionVariable(column=name) for name in NAMES},
        "training": {},
    }
).features()
ALL = ("event", *HIT_FEATURES)


def same(one, other):
    return one.events == other.events and all(np.array_equal(getattr(one, n), getattr(other, n)) for n in ALL)


def sample_of(*counts):
    """Events with about so many hits each."""
    condition = np.linspace([0.5, 1.0], [1.0, 1.0], len(counts))
    return PixelSample(hits(np.array(counts)), condition, NAMES, np.ones(len(counts)), np.arange(len(counts)))


def test_files_of_both_kinds_are_read_as_they_were_written(tmp_path):
    tables = [events(70, seed=1), events(45, seed=2)]
    ours = write(tmp_path / "a.parquet", tables[0])
    basf2 = write(tmp_path / "b.root", events(45, seed=2, basf2=True))
    found = read_events([ours, basf2], FEATURES)
    assert same(found.hits, joined([hits_of(table) for table in tables]))
    assert found.names == NAMES
    np.testing.assert_array_equal(found.condition[:, 0], np.concatenate([table["luminosity"] for table in tables]))
    np.testing.assert_array_equal(found.index, np.arange(115))
    assert (found.weight == 1.0).all()
    few = read_events([ours, basf2], FEATURES, most=75)
    assert len(few) == 75
    assert same(few.hits, joined([hits_of(tables[0]), hits_of(tables[1].slice(0, 5))]))
    # Events of a split, in whatever pieces they are read.
    mask = np.isin(np.arange(70), [0, 3, 33, 69])
    some = read_events([ours], FEATURES, lambda keys: mask)
    assert same(some.hits, hits_of(tables[0].take(mask)))
    np.testing.assert_array_equal(some.index, [0, 3, 33, 69])


def test_batches_come_back():
    sample = replace(sample_of(5, 0, 40, 3), weight=np.array([1.0, 2.0, 0.5, 1.0]))
    batch = to_batch(sample)
    lists = batch.target.objects[HITS]
    assert lists.values.dtype == torch.int16
    assert lists.mask.sum(dim=1).tolist() == np.bincount(sample.hits.event, minlength=4).tolist()
    assert batch.target.flat.shape == (4, 0)
    np.testing.assert_array_equal(batch.condition.flat, sample.condition.astype(np.float32))
    assert batch.weight.tolist() == [1.0, 2.0, 0.5, 1.0]
    back = from_events(batch.target)
    assert same(back, sample.hits)
    assert [getattr(back, name).dtype for name in ALL] == [getattr(sample.hits, name).dtype for name in ALL]
    taken = sample.take(np.array([True, False, True, True]))
    assert same(taken.hits, from_events(batch.take(torch.tensor([0, 2, 3])).target))
    nothing = replace(sample, hits=hits(np.zeros(4, dtype=int)))
    assert len(from_events(to_batch(nothing).target).event) == 0


def test_an_event_has_one_key_in_whatever_file_and_order(tmp_path):
    table = events(40, seed=3)
    keys = read_events([write(tmp_path / "a.parquet", table)], FEATURES).contents()
    assert len(set(keys.tolist())) == 40
    rows = np.arange(40)[::-1].copy()
    lists = {spec.name: table[spec.name][rows][:, ::-1] for spec in HIT_COLUMNS}  # hits the other way round
    other = read_events([write(tmp_path / "b.parquet", table.take(rows).with_columns(lists))], FEATURES)
    np.testing.assert_array_equal(other.contents(), keys[rows])
    assert (np.diff(ordered_cells(other.hits)) > 0).all()
    basf2 = read_events([write(tmp_path / "c.root", events(40, seed=3, basf2=True))], FEATURES)
    np.testing.assert_array_equal(basf2.contents(), keys)
    # Negative control: one ADU more in one hit of one event, and another luminosity of one.
    charge = ak.to_numpy(ak.flatten(table["pxd_charge"])).copy()
    charge[0] = charge[0] % 255 + 1
    luminosity = np.array(table["luminosity"])
    luminosity[7] = 0.123
    counts = ak.num(table["pxd_charge"])
    changed = table.with_columns({"pxd_charge": ak.unflatten(charge, counts), "luminosity": luminosity})
    found = read_events([write(tmp_path / "d.parquet", changed)], FEATURES).contents()
    assert np.flatnonzero(found != keys).tolist() == [0, 7]


def altered(table, name, change):
    """Return a table with the values of one list of the event in row 40 changed."""
    lists = table[name].to_list()
    lists[40] = change(lists[40])
    return table.with_columns({name: ak.values_astype(ak.Array(lists), np.int64)})


DAMAGE = {
    "lengths": ("pxd_u", lambda values: values[:-1], "row 40: The lists of pixel hits differ in length"),
    "u": ("pxd_u", lambda values: [250, *values[1:]], "row 40: Pixel hits have u from"),
    "sensor": ("pxd_sensor", lambda values: [*values[:-1], 40], "row 40: Pixel hits have sensor from"),
    "charge": ("pxd_charge", lambda values: [256, *values[1:]], "row 40: Pixel hits have charge from"),
    "negative": ("pxd_charge", lambda values: [-1, *values[1:]], "row 40: Pixel hits have charge from -1"),
    "no charge": ("pxd_charge", lambda values: [0, *values[1:]], "row 40: Pixel hits have charge 0"),
    "VxdID": ("VxdID", lambda values: [7, *values[1:]], "row 40: VxdID 7 is no sensor"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_hits_are_refused_with_file_and_row(name, tmp_path):
    column, change, what = DAMAGE[name]
    table = altered(events(60, basf2=column == "VxdID"), column, change)
    path = write(tmp_path / "bad.parquet", table)
    with pytest.raises(DataError, match=f"bad.parquet: {what}.*--skip-bad"):
        read_events([path], FEATURES)
    found = read_events([path], FEATURES, skip_bad=1)
    assert found.counts["skipped"] == 1
    assert found.index.tolist() == [row for row in range(60) if row != 40]
    assert same(found.hits, hits_of(table.take(np.arange(60) != 40)))


def test_a_pixel_that_comes_twice_is_refused(tmp_path):
    table = events(60)
    lists = {spec.name: ak.concatenate([table[spec.name], table[spec.name][:, :1]], axis=1) for spec in HIT_COLUMNS}
    with pytest.raises(DataError, match="row 0, and 31 more: Pixel hits name the same pixel 1 times again"):
        read_events([write(tmp_path / "twice.parquet", table.with_columns(lists))], FEATURES)


def test_the_limit_on_bad_rows_holds_for_conditions_and_hits_together(tmp_path):
    table = altered(events(60), "pxd_u", lambda values: values[:-1])
    luminosity = np.array(table["luminosity"])
    luminosity[3] = np.nan
    path = write(tmp_path / "bad.parquet", table.with_columns({"luminosity": luminosity}))
    with pytest.raises(DataError, match="'luminosity' has 1 values that are NaN or infinite .first in row 3"):
        read_events([path], FEATURES)
    with pytest.raises(DataError, match="row 40: "):
        read_events([path], FEATURES, skip_bad=1)
    found = read_events([path], FEATURES, skip_bad=2)
    assert (len(found), found.counts["skipped"]) == (58, 2)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda table: table.without([spec.name for spec in HIT_COLUMNS]), "has no pixel hits"),
        (lambda table: table.without(["pxd_v"]), "'pxd_v' is not there"),
        (lambda table: table.with_columns({"pxd_v": np.ones(len(table))}), "'pxd_v' .float64, flat. holds no lists"),
        (
            lambda table: table.with_columns({"pxd_v": ak.values_astype(table["pxd_v"], np.float32)}),
            "'pxd_v' .float32, jagged. holds no lists of whole numbers",
        ),
        (lambda table: table.without(["luminosity"]), "'luminosity' is not there"),
    ],
)
def test_columns_that_are_missing_or_of_another_kind_are_refused(change, what, tmp_path):
    with pytest.raises(DataError, match=f"other.parquet: .*{what}"):
        read_events([write(tmp_path / "other.parquet", change(events(40)))], FEATURES)


def test_hits_that_no_detector_reports_are_refused():
    batch = to_batch(sample_of(5, 0, 40, 3))
    values = batch.target.objects[HITS].values
    for column, value in ((0, ARRAY.sensors), (1, ARRAY.u), (2, ARRAY.v), (3, ARRAY.charges), (3, 0), (2, -1)):
        before = values[2, 7].clone()
        values[2, 7, column] = value
        with pytest.raises(MachineError, match=f"drew hits with {HIT_FEATURES[column]} from"):
            from_events(batch.target)
        values[2, 7] = before
    for other in (6, 8):  # the same pixel twice, and out of order
        values[2, 7] = values[2, other] if other == 6 else values[2, 9]
        with pytest.raises(MachineError, match="out of order, or two in a pixel"):
            from_events(batch.target)
        values[2, 7] = before
    from_events(batch.target)
