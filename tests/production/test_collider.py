"""Collider files: the same events for any number of workers, every event in them, both formats alike."""

import dataclasses
import runpy
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from castalia.data.readers import open_reader
from castalia.data.sidecar import read_sidecar, verify
from castalia.data.table import Table
from castalia.detectors.parametric.card import load_card
from castalia.errors import ConfigError
from castalia.processes.collider import collider_truth
from castalia.processes.hard import find_hard_process
from castalia.production import collider
from castalia.production.collider import ColliderRequest, ColliderTask, generate_collider, reconstructed
from castalia.production.generation import generate_file, settings_units
from castalia.production.units import Unit

pytest.importorskip("pythia8mc")
pytest.importorskip("fastjet")

EVENTS, UNIT_EVENTS = 130, 60


def task(seed=1):
    parameters = {"m_H": (400.0, 500.0), "m_Hpm": (200.0, 300.0)}
    process = find_hard_process("heavy-higgs")
    return ColliderTask(process, parameters, load_card("cms-like"), False, "monash", 40, seed)


def made(path, workers=1, events=EVENTS, of=None):
    of = of or task()
    units = settings_units(of.settings, events, UNIT_EVENTS)
    return generate_file(
        of, units, path, command="generate heavy-higgs", settings=of.settings, workers=workers, resume=False,
        overwrite=False,
    )  # fmt: skip


def hashes(path):
    return {name: column.sha256 for name, column in read_sidecar(path).columns.items()}


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    path = tmp_path_factory.mktemp("collider") / "events.parquet"
    return path, made(path)


def read(path, names=None):
    with open_reader(path) as reader:
        return next(reader.iterate(names or read_sidecar(path).schema_of_file.names, 10_000))


def test_two_workers_make_the_same_file_as_one(parquet, tmp_path):
    _, summary = parquet
    assert made(tmp_path / "two.parquet", workers=2)["sha256"] == summary["sha256"]
    other = made(tmp_path / "other.parquet", events=UNIT_EVENTS, of=task(seed=2))
    assert other["sha256"] != summary["sha256"], "the negative control"


def test_every_event_is_there_with_its_truth(parquet):
    path, summary = parquet
    assert summary["events"] == summary["generated"] == summary["selected"] == EVENTS
    table = read(path)
    assert len(table) == EVENTS
    assert table["luminosityBlock"].tolist() == [1] * 60 + [2] * 60 + [3] * 10
    assert table["event"].tolist() == [*range(1, 61), *range(1, 61), *range(1, 11)]
    assert 0 < summary["semileptonic"] == table["semileptonic"].sum() < EVENTS
    assert ak.all(ak.num(table["particle_pt"])[~table["semileptonic"]] > 5)
    assert np.isfinite(table["m_total"]).sum() >= summary["semileptonic"]
    assert not table["parton_complete"].any(), "there is no top quark"
    assert np.isnan(table["parton_b_lep_pt"]).all()
    fakes, missed = table["semileptonic"] & ~table["fiducial"], table["fiducial"] & ~table["semileptonic"]
    assert 0 < fakes.sum() < missed.sum() < table["fiducial"].sum()
    # Points of 40 events: two in a unit of 60, one in the last.
    assert len(np.unique(table["theta_m_H"])) == 5
    assert (table["theta_m_H"] > table["theta_m_Hpm"] + 85.0).all()


def test_root_holds_what_parquet_holds(parquet, tmp_path):
    path, _ = parquet
    made(tmp_path / "events.root")
    assert hashes(tmp_path / "events.root") == hashes(path)
    assert verify(tmp_path / "events.root").passed
    first, second = read(path), read(tmp_path / "events.root")
    for name in ("jet_pt", "jet_btag", "particle_pdg", "truth_lepton_mother"):
        assert ak.num(first[name]).tolist() == ak.num(second[name]).tolist()
        assert ak.array_equal(first[name], second[name]), name
    assert second["semileptonic"].dtype == np.bool_


def test_a_shorter_file_is_the_beginning_of_a_longer_one(parquet):
    path, _ = parquet
    unit = Unit(index=0, key="", source="", start=0, stop=45)
    short = Table.concatenate([piece.table for piece in task().run(unit)])
    long = read(path)
    for name in ("theta_m_H", "particle_pt", "jet_pt", "m_total"):
        assert ak.array_equal(short[name], long[name][:45], equal_nan=True), name
    assert not ak.array_equal(short["particle_pt"], long["particle_pt"][60:105]), "the negative control"


def test_the_sidecar_has_the_settings_and_the_card(parquet):
    provenance = read_sidecar(parquet[0]).provenance
    assert provenance["process"] == "heavy-higgs"
    assert "37:mWidth = 2." in provenance["definition"]["settings"]
    assert provenance["definition"]["parameters"][0]["lines"] == ["35:m0 = {}"]
    assert provenance["parameters"] == {"m_H": [400.0, 500.0], "m_Hpm": [200.0, 300.0]}
    assert provenance["card"]["name"] == "cms-like"
    before = task().settings
    for change in ({"card": load_card("ideal")}, {"mpi": True}, {"tune": "a14"}, {"point_events": 41}, {"seed": 2}):
        assert dataclasses.replace(task(), **change).settings != before, "what decides the events is in the settings"
    assert before["card_sha256"] == provenance["card_sha256"]


def test_blocks_do_not_depend_on_how_the_truth_is_cut(monkeypatch):
    monkeypatch.setattr(collider, "BLOCK_EVENTS", 30)
    truth = collider_truth("ttbar", 70, 1, 0)

    def jets(cuts, seed=1):
        tables = [truth.slice(low, high) for low, high in zip([0, *cuts], [*cuts, 70], strict=True)]
        pieces = list(reconstructed(tables, load_card("cms-like"), seed, "a"))
        assert [len(piece.table) for piece in pieces] == [30, 30, 10]
        return Table.concatenate([piece.table for piece in pieces])["jet_pt"]

    assert ak.array_equal(jets([30, 60]), jets([1, 29, 65]))
    assert not ak.array_equal(jets([30, 60]), jets([30, 60], seed=2)), "the negative control"


def test_the_process_and_the_card_of_the_documentation(tmp_path):
    examples = Path(__file__).parents[2] / "examples"
    own = runpy.run_path(str(examples / "own_process" / "heavy_w.py"))["HEAVY_W"]
    path = tmp_path / "own.parquet"
    generate_collider(
        ColliderRequest(own, 30, path, {"m_Wprime": (800.0, 1200.0)}, examples / "own_detector" / "small.toml")
    )
    table = read(path)
    assert set(table["process"]) == {own.code}
    mass = ak.to_numpy(ak.flatten(table["particle_mass"][abs(table["particle_pdg"]) == 34]))
    # Its width is some 3 % of its mass, and a Breit-Wigner's median lies within one width of its pole nearly always.
    assert np.median(np.abs(mass / table["theta_m_Wprime"] - 1.0)) < 0.1
    assert read_sidecar(path).provenance["card"]["name"] == "small"
    seen = (ak.num(table["electron_pt"]) + ak.num(table["muon_pt"]) >= 1) & (ak.num(table["jet_pt"]) >= 2)
    assert (ak.to_numpy(seen) == table["selected"]).all()
    assert 0 < table["selected"].sum() < 30


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"process": "ttbb"}, "choose one of ttbar, heavy-higgs"),
        ({"parameters": {"m_X": 1.0}}, "has no parameter 'm_X'; it has m_H, m_Hpm"),
        ({"parameters": {"m_H": 100.0}}, r"outside \[235, 2000\]"),
        ({"tune": "a15"}, "choose one of monash, a14"),
        ({"card": "cms-lik"}, "one of cms-like, ideal"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(wrong, said, tmp_path):
    request = ColliderRequest(**{"process": "heavy-higgs", "events": 10, "output": tmp_path / "a.root", **wrong})
    with pytest.raises(ConfigError, match=said):
        generate_collider(request)
    assert not list(tmp_path.iterdir())
