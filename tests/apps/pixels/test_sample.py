"""castalia pixels sample: an event for every row of conditions, the same for any number of workers and after a kill."""

import json
import os
import signal

import numpy as np
import pytest
from castalia_console import column_hashes, here, read
from pixel_toys import events, write

from castalia.apps.pixels.sample import SampleRequest, sample
from castalia.data.sidecar import verify
from castalia.detectors.pxd.columns import BASF2_COLUMNS, HIT_COLUMNS, hits_of
from castalia.detectors.pxd.images import occupancy
from castalia.errors import StoppedError

GIVEN = ("run", "luminosityBlock", "event", "luminosity", "pressure")
HITS = tuple(spec.name for spec in HIT_COLUMNS)


def sampled(desk, file, output, *words):
    return here("pixels", "sample", desk / "run", file, "-o", output, *words)


def test_conditions_pass_and_hits_are_new(desk, tmp_path):
    output = tmp_path / "sampled.parquet"
    summary = sampled(desk, desk / "fresh.parquet", output, "--json").good().json
    table, given = read(output), read(desk / "fresh.parquet")
    assert table.names == (*GIVEN, "out_of_support", *HITS)
    for name in GIVEN:
        np.testing.assert_array_equal(table[name], given[name])
    hits = hits_of(table)
    assert (summary["events"], summary["hits"]) == (150, len(hits.event))
    assert summary["flagged"] == int(np.sum(table["out_of_support"])) < 8
    counts, true = occupancy(hits).sum(axis=1), occupancy(hits_of(given)).sum(axis=1)
    assert not np.array_equal(counts, true)
    assert verify(output).passed
    provenance = json.loads((tmp_path / "sampled.parquet.json").read_text())["provenance"]
    assert {"command", "seed", "model", "configuration", "inputs", "castalia"} <= provenance.keys()


def test_hits_are_not_needed_and_a_root_file_is_in_basf2_terms(desk, tmp_path):
    bare = write(tmp_path / "bare.parquet", events(90, seed=4).without(HITS))
    sampled(desk, bare, tmp_path / "a.parquet").good()
    sampled(desk, bare, tmp_path / "a.root").good()
    table, basf2 = read(tmp_path / "a.parquet"), read(tmp_path / "a.root")
    assert basf2.names == (*GIVEN, "out_of_support", *(spec.name for spec in BASF2_COLUMNS))
    for name in ("sensor", "u", "v", "charge"):
        np.testing.assert_array_equal(getattr(hits_of(table), name), getattr(hits_of(basf2), name))
    # Without identifiers, too; then the output has none.
    alone = write(tmp_path / "alone.parquet", events(20, seed=5).select(["luminosity", "pressure"]))
    sampled(desk, alone, tmp_path / "b.parquet").good()
    assert read(tmp_path / "b.parquet").names == (*GIVEN[3:], "out_of_support", *HITS)


def test_workers_seeds_and_resumption(desk, tmp_path):
    file = desk / "fresh.parquet"
    sampled(desk, file, tmp_path / "one.parquet").good()
    sampled(desk, file, tmp_path / "two.parquet", "--workers", 2).good()
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    sampled(desk, file, tmp_path / "seed.parquet", "--seed", 2).good()
    hashes = [column_hashes(tmp_path / f"{name}.parquet") for name in ("one", "seed")]
    assert hashes[0]["luminosity"] == hashes[1]["luminosity"]
    assert hashes[0]["pxd_v"] != hashes[1]["pxd_v"]  # negative control
    assert "--overwrite" in sampled(desk, file, tmp_path / "one.parquet").refused(2)
    sampled(desk, file, tmp_path / "one.parquet", "--resume").good()

    def stop(done, total, seconds_left):
        if done:
            os.kill(os.getpid(), signal.SIGTERM)

    request = SampleRequest(desk / "run", (file,), tmp_path / "stopped.parquet")
    with pytest.raises(StoppedError, match="--resume"):
        sample(request, stop)
    assert (tmp_path / "stopped.parquet.parts").is_dir()
    assert sampled(desk, file, tmp_path / "stopped.parquet", "--resume", "--json").good().json["events"] == 150
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "stopped.parquet").read_bytes()


def test_what_is_outside_is_flagged_or_refused(desk, tmp_path):
    table = events(60, seed=6)
    luminosity = np.clip(table["luminosity"], 0.52, 0.98)
    luminosity[37] = 9.0
    far = write(tmp_path / "far.parquet", table.with_columns({"luminosity": luminosity}))
    ended = sampled(desk, far, tmp_path / "s.parquet", "--json").good()
    assert ended.json["flagged"] == 1
    assert "1 of 60 events lie outside the training range (column out_of_support)" in ended.err
    assert np.flatnonzero(read(tmp_path / "s.parquet")["out_of_support"]).tolist() == [37]
    sentence = sampled(desk, far, tmp_path / "s.parquet", "--overwrite", "--strict").refused(3)
    assert "luminosity = 9 (trained on 0.5" in sentence
    assert "row 37" in sentence
    inside = write(tmp_path / "in.parquet", table.with_columns({"luminosity": np.clip(luminosity, 0.52, 0.98)}))
    sampled(desk, inside, tmp_path / "t.parquet", "--strict").good()


def test_bad_input_is_refused_by_name(desk, tmp_path):
    table = events(30, seed=7)
    nan = np.array(table["luminosity"])
    nan[11] = np.nan
    cases = {
        "nan": (table.with_columns({"luminosity": nan}), "'luminosity' has 1 values that are NaN or infinite"),
        "missing": (table.without(["pressure"]), "'pressure' is not there"),
        "listed": (table.with_columns({"pressure": table["pxd_u"]}), "'pressure' is a list per event"),
        "none": (table.slice(0, 0), "none.parquet"),
    }
    for name, (changed, what) in cases.items():
        path = write(tmp_path / f"{name}.parquet", changed)
        assert what in sampled(desk, path, tmp_path / "s.parquet").refused(3), name
        assert not (tmp_path / "s.parquet").exists()
    words = ("--skip-bad", 1, "--json")
    summary = sampled(desk, tmp_path / "nan.parquet", tmp_path / "s.parquet", *words).good().json
    assert (summary["events"], summary["skipped"]) == (29, 1)
    assert read(tmp_path / "s.parquet")["event"].tolist() == [row for row in range(30) if row != 11]
    bad = write(tmp_path / "bad.parquet", table.with_columns({"luminosity": np.full(30, np.nan)}))
    summary = sampled(desk, bad, tmp_path / "nothing.parquet", "--skip-bad", 30, "--json").good().json
    assert (summary["events"], summary["skipped"]) == (0, 30)
    good = write(tmp_path / "good.parquet", table)
    words = (good, tmp_path / "missing.parquet", "-o", tmp_path / "u.parquet")
    assert "missing.parquet" in here("pixels", "sample", desk / "run", *words).refused(3)
    assert here("pixels", "sample", desk / "run", *words, "--skip-bad-files", "--json").good().json["events"] == 30
    assert "one of the inputs" in sampled(desk, good, good).refused(2)
    renamed = write(
        tmp_path / "r.parquet", type(table)({("lumi" if n == "luminosity" else n): table[n] for n in table})
    )
    sampled(desk, renamed, tmp_path / "v.parquet", "--rename", "luminosity=lumi").good()
    assert "uses no such column" in sampled(desk, renamed, tmp_path / "w.parquet", "--rename", "x=lumi").refused(2)


def test_the_run_of_another_application_is_refused(run, desk, tmp_path):
    sentence = here("pixels", "sample", run, desk / "fresh.parquet", "-o", tmp_path / "s.parquet").refused(4)
    assert "is a run of 'simulate'" in sentence


def test_a_dry_run_writes_nothing(desk, tmp_path):
    summary = sampled(desk, desk / "fresh.parquet", tmp_path / "s.parquet", "--dry-run", "--json").good().json
    assert (summary["dry_run"], summary["entries"]) == (True, 150)
    assert summary["estimated_bytes"] == pytest.approx(150 * 350_000, rel=0.01)
    assert not list(tmp_path.iterdir())
