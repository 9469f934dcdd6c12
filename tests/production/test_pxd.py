"""Files of pixel background: the same events for any number of workers, both formats alike, knobs by event."""

import numpy as np
import pytest

from castalia.data.readers import open_reader
from castalia.data.sidecar import read_sidecar
from castalia.detectors.pxd.columns import hits_of
from castalia.detectors.pxd.conditions import KNOBS
from castalia.errors import ConfigError
from castalia.production.generation import generate_file, settings_units
from castalia.production.pxd import PxdRequest, PxdTask, generate_pxd

EVENTS, UNIT_EVENTS = 7, 4
FEW = {**{name: 0.05 for name in KNOBS}, "luminosity": (0.05, 0.1)}


def made(path, workers=1, events=EVENTS, seed=1):
    task = PxdTask(FEW, seed, basf2=path.suffix == ".root")
    return generate_file(
        task, settings_units(task.settings, events, UNIT_EVENTS), path, command="generate pxd", settings=task.settings,
        workers=workers, resume=False, overwrite=False,
    )  # fmt: skip


def read(path):
    with open_reader(path) as reader:
        return next(reader.iterate(read_sidecar(path).schema_of_file.names, 100))


def hashes(path):
    return {name: column.sha256 for name, column in read_sidecar(path).columns.items()}


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    path = tmp_path_factory.mktemp("pxd") / "events.parquet"
    return path, made(path)


def test_two_workers_make_the_same_file_as_one(parquet, tmp_path):
    path, summary = parquet
    assert made(tmp_path / "two.parquet", workers=2)["sha256"] == summary["sha256"]
    made(tmp_path / "other.parquet", seed=2)
    assert hashes(tmp_path / "other.parquet")["pxd_u"] != hashes(path)["pxd_u"], "the negative control"


def test_a_longer_file_begins_like_a_shorter_one(parquet, tmp_path):
    path, summary = parquet
    made(tmp_path / "short.parquet", events=3)
    long, short = read(path), read(tmp_path / "short.parquet")
    for name in short.names:
        assert short[name].tolist() == long[name][:3].tolist(), name
    assert summary["hits"] == len(hits_of(long).u) > len(hits_of(short).u)


def test_a_root_file_holds_the_same_hits_in_the_terms_of_basf2(parquet, tmp_path):
    path = tmp_path / "events.root"
    made(path)
    table, ours = read(path), read(parquet[0])
    assert table.names[-4:] == ("VxdID", "uCellID", "vCellID", "charge")
    one, two = hits_of(table), hits_of(ours)
    for name in ("event", "sensor", "u", "v", "charge"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    assert one.events == EVENTS


def test_what_was_set_is_recorded_with_every_event(parquet):
    table = read(parquet[0])
    assert np.all(table["pressure"] == 0.05)
    assert np.all((table["luminosity"] > 0.05) & (table["luminosity"] < 0.1))
    assert len(set(table["luminosity"])) == EVENTS
    assert len(set(table["common_factor"])) == EVENTS
    assert table["event"].tolist() == list(range(1, EVENTS + 1))
    assert table["luminosityBlock"].tolist() == [1] * 4 + [2] * 3
    assert read_sidecar(parquet[0]).provenance["knobs"]["luminosity"] == [0.05, 0.1]


def test_a_dry_run_writes_nothing(tmp_path):
    found = generate_pxd(PxdRequest(1000, tmp_path / "a.parquet", FEW, dry_run=True))
    assert found["units"] == 10
    # At a twentieth of the reference, 5 bytes for each of some 4,000 hits.
    assert 5e6 < found["estimated_bytes"] < 5e7
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("events", "knobs", "sentence"),
    [
        (0, {}, "at least 1"),
        (5, {"luminosity": -1.0}, "from 0 to 10"),
        (5, {"luminosity": (0.5, 20.0)}, "from 0 to 10"),
        (5, {"luminosity": (1.0, 0.5)}, "lower value first"),
        (5, {"brightness": 1.0}, "no knob 'brightness'"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, events, knobs, sentence):
    with pytest.raises(ConfigError, match=sentence):
        generate_pxd(PxdRequest(events, tmp_path / "a.parquet", knobs))
    assert list(tmp_path.iterdir()) == []
