"""Cuts of the classification benchmarks: no event twice, and controls that are shuffled in just what they say."""

import fcntl

import awkward as ak
import numpy as np
import pytest

from castalia.data.readers import open_reader
from castalia.errors import DataError
from classify_cuts import LABEL, Cuts, digest_of, labelled_files, unlabelled_files, validation_file
from classify_data import UNLABELLED
from collider_samples import alone_with

CUTS = Cuts(400, 100, 400)
ANCESTORS = ("jet_from_w", "jet_from_top", "electron_from_w", "muon_from_w")


def whole(path):
    with open_reader(path) as reader:
        return next(reader.iterate(list(reader.columns()), 10_000))


def events_of(table):
    return set(zip(table["run"].tolist(), table["event"].tolist(), strict=True))


def test_parts_of_seeds_are_disjoint_while_there_are_enough():
    parts = [CUTS.part(100, seed) for seed in (1, 2, 3, 4, 5)]
    assert [one.start for one, _ in parts] == [0, 100, 200, 300, 0]
    assert [one.start for _, one in parts] == [400, 425, 450, 475, 400]
    assert CUTS.part(400, 1) == CUTS.part(400, 2) == (slice(0, 400), slice(400, 500))
    assert CUTS.judged == slice(500, 900)
    with pytest.raises(DataError, match="only 400 are cut"):
        CUTS.part(401, 1)


def test_training_validation_and_test_share_no_event(classify_samples):
    files = labelled_files(classify_samples, CUTS, "heavy_higgs", 100, 2)
    tables = [whole(path) for path in files]
    assert [len(table) for table in tables] == [200, 50, 800]
    assert [np.bincount(table[LABEL]).tolist() for table in tables] == [[100, 100], [25, 25], [400, 400]]
    kept = [events_of(table) for table in tables]
    assert len(kept[0] | kept[1] | kept[2]) == sum(map(len, kept)) == 1050
    other = whole(labelled_files(classify_samples, CUTS, "heavy_higgs", 100, 1)[0])
    assert not events_of(other) & kept[0]
    assert labelled_files(classify_samples, CUTS, "heavy_higgs", 100, 2) == files
    with pytest.raises(DataError, match="has 900 events of 1000"):
        labelled_files(classify_samples, Cuts(400, 100, 500), "heavy_higgs", 100, 1)


def test_only_the_hardest_jets_of_each_kind_are_kept(classify_samples):
    table = whole(labelled_files(classify_samples, CUTS, "heavy_higgs", 100, 1)[0])
    before = whole(classify_samples / "ttbar.parquet")
    for row in range(100):
        for tag in (0, 1):
            all_of_them = before["jet_pt"][row][before["jet_btag"][row] == tag]
            kept = table["jet_pt"][row][table["jet_btag"][row] == tag]
            assert sorted(kept, reverse=True) == sorted(all_of_them, reverse=True)[:2]


def test_shuffled_relations_are_those_of_a_like_event_of_the_class(classify_samples):
    own, shuffled = (
        whole(labelled_files(classify_samples, CUTS, "heavy_higgs", 400, 1, whose)[0]) for whose in ("true", "shuffled")
    )
    rest = [name for name in own.names if "_from_" not in name]
    assert all(ak.array_equal(own[name], shuffled[name]) for name in rest)
    rows = [
        list(zip(*(map(tuple, table[name].tolist()) for name in ANCESTORS), strict=True)) for table in (own, shuffled)
    ]
    assert sorted(rows[0][:400]) == sorted(rows[1][:400])
    assert sorted(rows[0][400:]) == sorted(rows[1][400:])
    # Of some 20 kinds of event with 20 events each one in 20 keeps its own, and some have the same by chance.
    assert np.mean([one == other for one, other in zip(*rows, strict=True)]) < 0.5
    assert rows[0] != rows[1]


def test_random_relations_are_those_of_any_object(classify_samples):
    own, drawn = (
        whole(labelled_files(classify_samples, CUTS, "heavy_higgs", 400, 1, whose)[0]) for whose in ("true", "random")
    )
    pairs = [
        np.column_stack([ak.to_numpy(ak.flatten(table[name])) for name in ("jet_from_w", "jet_from_top")])
        for table in (own, drawn)
    ]
    # An object keeps its ancestors of all kinds together, and the numbers of all objects are as before.
    assert np.array_equal(*(np.sort(one @ [10, 1]) for one in pairs))
    same = np.mean(pairs[0] == pairs[1])
    assert abs(same - 1 / 3) < 5 * np.sqrt(2 / 9 / len(pairs[0]))
    assert ak.array_equal(own["jet_pt"], drawn["jet_pt"])


def test_shuffled_objects_are_in_random_events(classify_samples):
    before, after = (unlabelled_files(classify_samples, shuffled)["files"][0] for shuffled in (False, True))
    own, shuffled = whole(before), whole(after)
    assert ak.array_equal(ak.num(own["jet_pt"]), ak.num(shuffled["jet_pt"]))
    pt, eta = (ak.to_numpy(ak.flatten(own[name])) for name in ("jet_pt", "jet_eta"))
    new_pt, new_eta = (ak.to_numpy(ak.flatten(shuffled[name])) for name in ("jet_pt", "jet_eta"))
    assert sorted(zip(pt, eta, strict=True)) == sorted(zip(new_pt, new_eta, strict=True))
    assert np.mean(pt == new_pt) < 0.01
    assert np.mean(own["met_pt"] == shuffled["met_pt"]) < 0.01
    together = zip(shuffled["met_pt"], shuffled["met_phi"], strict=True)
    assert set(together) == set(zip(own["met_pt"], own["met_phi"], strict=True))


def test_a_pre_training_learns_from_all_but_what_is_checked(classify_samples):
    plain, shuffled = (unlabelled_files(classify_samples, one) for one in (False, True))
    for number, process in enumerate(UNLABELLED):
        every = events_of(whole(classify_samples / f"unlabelled_{process}.parquet"))
        parts = [events_of(whole(plain[key][number])) for key in ("files", "validation_files", "test_files")]
        assert [len(one) for one in parts] == [len(every) - 2 * 22, 22, 22]
        assert set().union(*parts) == every
    assert shuffled["test_files"] == plain["test_files"]
    assert not set(shuffled["files"] + shuffled["validation_files"]) & set(plain["files"] + plain["validation_files"])


def test_trials_are_scored_on_the_events_that_parts_for_validation_come_from(classify_samples):
    found = events_of(whole(validation_file(classify_samples, CUTS, "heavy_higgs")))
    assert len(found) == 2 * CUTS.validation
    for seed in (1, 2, 3, 4):
        training, part, test = (
            events_of(whole(one)) for one in labelled_files(classify_samples, CUTS, "heavy_higgs", 100, seed)
        )
        assert part < found
        assert not found & (training | test)


def test_a_cut_by_other_code_is_made_anew(classify_samples, monkeypatch):
    path = validation_file(classify_samples, CUTS, "heavy_higgs")
    before, digest = path.stat().st_mtime_ns, digest_of([path])
    assert validation_file(classify_samples, CUTS, "heavy_higgs").stat().st_mtime_ns == before
    monkeypatch.setattr("classify_cuts.state_of", lambda _: "other")
    assert validation_file(classify_samples, CUTS, "heavy_higgs").stat().st_mtime_ns > before
    assert digest_of([path]) == digest


def test_what_one_process_makes_another_waits_for(tmp_path):
    path = tmp_path / "runs" / "one"
    with alone_with(path), (tmp_path / "runs" / "one.lock").open("w") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "runs" / "one.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
