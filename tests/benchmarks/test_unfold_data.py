"""Samples of the unfolding benchmarks: no seed comes twice, and the sizes are those that the goals speak of."""

from dataclasses import replace

import pytest

from castalia.errors import DataError
from collider_samples import Sample, make_samples
from unfold_data import FULL, QUICK, samples_folder, training_files

SELECTED = 0.1297  # of a million top-quark pairs, with a complete truth


def test_no_two_samples_share_events():
    seeds = [sample.seed for sample in (*FULL, *QUICK)]
    assert len(set(seeds)) == len(seeds)
    assert {sample.name for sample in FULL} == {sample.name for sample in QUICK}


def test_enough_is_selected(tmp_path):
    events = {sample.name: SELECTED * sample.events for sample in FULL}
    assert sum(events[path.stem] for path in training_files(tmp_path)) > 300_000
    assert min(events["test"], events["data"]) > 50_000
    assert next(sample for sample in FULL if sample.name == "a14").tune == "a14"


def test_quick_ones_lie_apart(tmp_path):
    assert samples_folder(tmp_path, True) != samples_folder(tmp_path, False) == tmp_path


def test_a_sample_that_names_no_parameter_has_the_default(tmp_path):
    plain = Sample("zprime", "zprime", 10, 1)
    made = make_samples([plain], tmp_path, workers=1)
    assert make_samples([plain, replace(plain, parameters={"m_Zprime": 1000.0})], tmp_path, workers=1) == made
    with pytest.raises(DataError, match="900"):
        make_samples([replace(plain, parameters={"m_Zprime": 900.0})], tmp_path, workers=1)
