import json

import numpy as np
import pytest

from castalia.apps.unfold.sample_file import read_unfolded, write_unfolded
from castalia.apps.unfold.unfolded_sample import BinCovariance, Replica, TruthColumn, UnfoldedSample
from castalia.data.sidecar import sidecar_path, verify
from castalia.errors import ConfigError, DataError
from castalia.rng import Stream

COLUMNS = (TruthColumn("pt", "GeV"), TruthColumn("eta"))


def sample(draws: int = 3, seed: int = 1) -> UnfoldedSample:
    rng = Stream(seed, "sample file").at()
    values = rng.normal(0.0, 1.0, (200, draws, 2)).astype(np.float32)
    return UnfoldedSample(
        COLUMNS,
        values,
        rng.uniform(-0.5, 1.5, 200),
        draw_weights=rng.uniform(0.5, 1.5, (200, draws)),
        replicas=(
            Replica("data", "bootstrap", weights=rng.uniform(0.5, 1.5, 200)),
            Replica("data", "bootstrap", weights=rng.uniform(0.5, 1.5, 200)),
            Replica("seed", "ensemble", values=values + 1, draw_weights=np.ones((200, draws))),
            Replica("nothing", "systematic"),
        ),
        bin_covariances=(BinCovariance("pt", np.array([0.0, 1.0, 2.0]), np.array([[0.1, 0.2], [0.2, 1 / 3]])),),
        inputs={"data.root": "ab" * 32},
        model="cd" * 32,
        provenance={"method": "test", "seed": seed},
    )


def same(first: UnfoldedSample, second: UnfoldedSample) -> bool:
    def arrays(one):
        kept = [one.values, one.weights, one.draw_weights]
        kept += [a for r in one.replicas for a in (r.weights, r.draw_weights, r.values)]
        return kept + [a for c in one.bin_covariances for a in (c.edges, c.covariance)]

    def words(one):
        replicas = [(r.source, r.kind) for r in one.replicas]
        return one.columns, replicas, [c.column for c in one.bin_covariances], one.inputs, one.model, one.provenance

    def equal(a, b):
        return (a is None and b is None) or (np.array_equal(a, b) and a.dtype == b.dtype)

    return words(first) == words(second) and all(
        equal(a, b) for a, b in zip(arrays(first), arrays(second), strict=True)
    )


@pytest.mark.parametrize("ending", ["parquet", "root"])
@pytest.mark.parametrize("draws", [1, 3])
def test_everything_comes_back(tmp_path, ending, draws):
    path = tmp_path / f"unfolded.{ending}"
    write_unfolded(path, sample(draws))
    assert same(read_unfolded(path), sample(draws))
    assert not same(read_unfolded(path), sample(draws, seed=2))
    assert verify(path).passed


def test_the_same_sample_gives_the_same_bytes(tmp_path):
    first, again, other = (tmp_path / name / "unfolded.parquet" for name in "abc")
    write_unfolded(first, sample())
    write_unfolded(again, read_unfolded(first))
    write_unfolded(other, sample(seed=2))
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    assert sidecar_path(first).read_bytes() == sidecar_path(again).read_bytes() != sidecar_path(other).read_bytes()


@pytest.mark.parametrize("ending", ["parquet", "root"])
def test_no_flipped_bit_passes(tmp_path, ending):
    path = tmp_path / f"unfolded.{ending}"
    write_unfolded(path, sample())
    content, rng = path.read_bytes(), Stream(3, "flipped bits").at()
    for position in rng.integers(0, len(content), 30):
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        with pytest.raises(DataError, match="is not the file that"):
            read_unfolded(path)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="is not the file that"):
        read_unfolded(path)


def test_a_file_with_another_sidecar_or_none_is_refused(tmp_path):
    path, other = tmp_path / "a.parquet", tmp_path / "b.parquet"
    write_unfolded(path, sample())
    write_unfolded(other, sample(seed=2))
    sidecar_path(path).write_bytes(sidecar_path(other).read_bytes())
    with pytest.raises(DataError, match=r"a\.parquet: is not the file that a\.parquet\.json describes"):
        read_unfolded(path)
    sidecar_path(path).unlink()
    with pytest.raises(DataError, match="copy both files together"):
        read_unfolded(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.update(format=2), "'unfolded_sample' is wrong"),
        (lambda record: record.update(columns=["pt", "phi"]), "lacks a column that its sidecar names"),
        (lambda record: record.update(draws=7), "has not 7 draws"),
        (lambda record: record.update(extra=1), "unknown key 'extra'"),
    ],
)
def test_a_sidecar_that_was_edited_is_refused(tmp_path, change, message):
    path = tmp_path / "a.parquet"
    write_unfolded(path, sample())
    content = json.loads(sidecar_path(path).read_text())
    change(content["provenance"]["unfolded_sample"])
    sidecar_path(path).write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        read_unfolded(path)


def test_names_that_are_taken_and_other_endings_are_refused(tmp_path):
    taken = UnfoldedSample((TruthColumn("unfolded_weight"),), np.zeros((2, 1, 1)), np.ones(2))
    with pytest.raises(DataError, match="'unfolded_weight' is taken twice"):
        write_unfolded(tmp_path / "a.parquet", taken)
    with pytest.raises(ConfigError, match=r"name the output \.root or \.parquet"):
        write_unfolded(tmp_path / "a.csv", sample())
    assert list(tmp_path.iterdir()) == []
