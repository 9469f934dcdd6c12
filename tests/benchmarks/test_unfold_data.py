"""Samples of the unfolding benchmarks: no seed comes twice, and the sizes are those that the goals speak of."""

from unfold_data import FULL, QUICK, samples_folder

SELECTED = 0.137 * 0.996  # of top-quark pairs, as generated, with a complete truth


def test_no_two_samples_share_events():
    seeds = [sample.seed for sample in (*FULL, *QUICK)]
    assert len(set(seeds)) == len(seeds)
    assert {sample.name for sample in FULL} == {sample.name for sample in QUICK}


def test_enough_is_selected():
    events = {sample.name: SELECTED * sample.events for sample in FULL}
    assert 0.9 * events["train"] > 300_000  # a tenth is for validation and test
    assert min(events["test"], events["data"]) > 50_000
    assert next(sample for sample in FULL if sample.name == "a14").tune == "a14"


def test_quick_ones_lie_apart(tmp_path):
    assert samples_folder(tmp_path, True) != samples_folder(tmp_path, False) == tmp_path
