"""Samples of the classification benchmarks: no seed comes twice, the mixture is that stated, and copies are true."""

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest

import classify_data
import scan_heavy_higgs_data as scan
import unfold_data
from castalia.data.readers import open_reader
from castalia.data.sidecar import verify
from castalia.detectors.ancestry import ANCESTRY_COLUMNS
from castalia.detectors.parametric.card import load_card
from castalia.errors import DataError
from classify_data import FULL, QUICK, SCHEMA, UNLABELLED, Part, make_parts, parts_folder
from collider_samples import Sample


def test_no_two_samples_share_events():
    of_others = [*scan.FULL.every, *scan.QUICK.every, *unfold_data.FULL, *unfold_data.QUICK]
    own = [sample for part in (*FULL, *QUICK) for sample in part.samples]
    seeds = [sample.seed for sample in own]
    assert len(set(seeds)) == len(seeds)
    assert not set(seeds) & {sample.seed for sample in of_others}
    assert [part.name for part in FULL] == [part.name for part in QUICK]


def test_the_labelled_pairs_of_top_quarks_are_those_of_the_scan_and_a_few_more():
    assert FULL[0].of_scan == (scan.FULL.background,)
    assert QUICK[0].of_scan == (scan.QUICK.background,)
    assert sum(bool(part.of_scan) for part in FULL) == 1
    (more,) = FULL[0].samples
    assert (more.process, more.parameters) == ("ttbar", scan.FULL.background.parameters)
    assert more.events < 0.02 * scan.FULL.background.events


def test_sizes_and_fractions_are_those_stated():
    events = {part.name: part.events for part in FULL}
    assert all(events[name] >= 130_000 for name in ("ttbar", "heavy_higgs", "zprime"))
    assert sum(UNLABELLED.values()) == pytest.approx(1.0)
    mixture = {name: events[f"unlabelled_{name}"] for name in UNLABELLED}
    assert sum(mixture.values()) >= 600_000
    for name, fraction in UNLABELLED.items():
        assert mixture[name] == fraction * sum(mixture.values())


def test_unlabelled_events_have_another_shower_and_another_detector():
    labelled, loose = FULL[:3], FULL[3:]
    assert {(s.tune, str(s.card)) for part in labelled for s in part.samples} == {("monash", "cms-like")}
    (card,) = {sample.card for part in loose for sample in part.samples}
    assert {sample.tune for part in loose for sample in part.samples} == {"a14"}
    other = load_card(card)
    assert (other.selection.leptons_min, other.selection.jets_min, other.selection.btags_min) == (1, 1, 0)
    for section in ("electrons", "muons", "jets", "missing"):
        assert getattr(other, section) != getattr(load_card("cms-like"), section)


def test_quick_ones_lie_apart(tmp_path):
    assert parts_folder(tmp_path, True) != parts_folder(tmp_path, False) == tmp_path


# --- small files ------------------------------------------------------------------------------------------------------


def whole(path, names):
    with open_reader(path) as reader:
        return next(reader.iterate(list(names), 10_000))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    pytest.importorskip("pythia8mc")
    pytest.importorskip("fastjet")
    folder = tmp_path_factory.mktemp("classify")
    samples = tuple(
        Sample(f"wjets_{seed}", "wjets", 60, seed, tune="a14", card=classify_data._CARD) for seed in (701, 702)
    )
    part = Part("both", samples[1:], "selected", 20, samples[:1])
    return part, folder, make_parts([part], folder, folder / "scan", 1)["both"]


def test_selected_events_are_copied_with_their_ancestors(made):
    part, folder, path = made
    assert verify(path).passed
    found = whole(path, SCHEMA.names)
    assert len(found) == 20
    samples = {"scan": part.of_scan, "samples": part.samples}
    sources = [(one, whole(folder / where / f"{one.name}.parquet", SCHEMA.names)) for where in samples
               for one in samples[where]]  # fmt: skip
    place = 0
    for sample, source in sources:
        rows = np.flatnonzero(source["selected"])[: 20 - place]
        piece = found.slice(place, place + len(rows))
        assert piece["run"].tolist() == [sample.seed] * len(rows)
        for name in ("event", "jet_pt", "met_phi", *(spec.name for spec in ANCESTRY_COLUMNS)):
            assert ak.array_equal(ak.Array(piece[name]), ak.Array(source[name][rows])), name
        place += len(rows)
    assert place == 20
    assert 0 < len(set(found["run"].tolist())) <= 2
    leptons = ak.num(found["electron_pt"]) + ak.num(found["muon_pt"])
    assert ak.all(leptons >= 1)
    assert ak.all(ak.num(found["jet_pt"]) >= 1)
    assert (found["met_from_w"] > 0).all(), "each W boson has a neutrino"


def test_a_file_that_is_there_is_kept_and_another_is_made_anew(made):
    part, folder, path = made
    before = path.stat().st_mtime_ns
    make_parts([part], folder, folder / "scan", 1)
    assert path.stat().st_mtime_ns == before
    fewer = replace(part, events=5)
    assert len(whole(make_parts([fewer], folder, folder / "scan", 1)["both"], ["event"])) == 5
    make_parts([part], folder, folder / "scan", 1)


def test_too_few_selected_events_and_another_card_are_refused(made):
    part, folder, _ = made
    with pytest.raises(DataError, match="selected events of 1000; generate more"):
        make_parts([replace(part, name="more", events=1000)], folder, folder / "scan", 1)
    assert not (folder / "more.parquet").exists()
    plain = Sample(part.samples[0].name, "wjets", 60, 701, tune="a14")
    with pytest.raises(DataError, match="is wanted; move it away"):
        make_parts([Part("both", (plain,), "selected", 5)], folder, folder / "scan", 1)
