import json

import numpy as np
import pytest

from castalia.data.sidecar import Truth, input_sha256, make_sidecar, read_sidecar, sidecar_path, verify, write_sidecar
from castalia.errors import DataError
from castalia.rng import Stream

ENDINGS = ("root", "parquet")
TRUTH = Truth(process="toy", scenario="correlated", rho=0.5, parametrisation="repaired", mixture="amplitude")


@pytest.fixture
def saved(save, mixed_of, mixed_schema, tmp_path):
    def make(ending, rows=600):
        path = tmp_path / f"a.{ending}"
        written = save(path, mixed_of(rows), mixed_schema)
        provenance = {"seed": 3, "configuration": {"a": [1, None]}}
        write_sidecar(
            path, make_sidecar(path, written, mixed_schema, counts={"read": 700}, provenance=provenance, truth=TRUTH)
        )
        return path

    return make


@pytest.mark.parametrize("ending", ENDINGS)
def test_everything_comes_back(saved, mixed_schema, ending):
    path = saved(ending)
    assert sidecar_path(path).name == f"a.{ending}.json"
    sidecar = read_sidecar(path)
    assert sidecar.schema_of_file == mixed_schema
    assert sidecar.truth == TRUTH
    assert sidecar.counts == {"read": 700, "written": 600}
    assert sidecar.provenance == {"seed": 3, "configuration": {"a": [1, None]}}
    assert (sidecar.format, sidecar.file.name, sidecar.file.entries) == (1, f"a.{ending}", 600)
    verification = verify(path)
    assert verification.passed
    assert (verification.differences, verification.entries) == ((), 600)
    assert input_sha256(path) == sidecar.file.sha256


def test_a_column_that_was_changed_is_named(saved, save, mixed_of, mixed_schema):
    path = saved("root")
    table = mixed_of(600)
    et = table["photon_et"].copy()
    et[17, 1] = np.nextafter(et[17, 1], 0.0)
    save(path, table.with_columns({"photon_et": et}), mixed_schema)
    verification = verify(path)
    assert not verification.passed
    assert [d for d in verification.differences if "column" in d] == [
        "the content of column 'photon_et' has changed (SHA-256 differs)"
    ]
    with pytest.raises(DataError, match=r"a\.root: is not the file that a\.root\.json describes"):
        input_sha256(path)


def test_missing_rows_and_columns_are_named(saved, save, mixed_of, mixed_schema):
    path = saved("parquet")
    schema = mixed_schema.select([name for name in mixed_schema.names if name != "mu"])
    save(path, mixed_of(600).without(["mu"]).slice(0, 599), schema)
    text = " ".join(verify(path).differences)
    for part in ("599 entries instead of 600", "column 'mu' is missing instead of float64", "'jet_pt' has changed"):
        assert part in text


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_flipped_bit_passes(saved, ending):
    path = saved(ending)
    content = path.read_bytes()
    rng = Stream(5, "flipped bits").at()
    for position in rng.integers(0, len(content), 40):
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        verification = verify(path)
        assert not verification.passed
        assert any("SHA-256" in difference for difference in verification.differences)
        with pytest.raises(DataError):
            input_sha256(path)
    path.write_bytes(content)
    assert verify(path).passed


def test_a_file_that_cannot_be_read_at_all_is_a_difference(saved):
    path = saved("root")
    path.write_bytes(path.read_bytes()[:1000])
    verification = verify(path)
    assert (verification.passed, verification.entries) == (False, 0)
    assert "1000 bytes instead of" in verification.differences[0]
    assert any("cut short" in difference for difference in verification.differences)


def test_without_a_sidecar_there_is_nothing_to_verify(tmp_path, mixed, mixed_schema, save):
    save(tmp_path / "a.root", mixed, mixed_schema)
    assert read_sidecar(tmp_path / "a.root") is None
    assert len(input_sha256(tmp_path / "a.root")) == 64
    with pytest.raises(DataError, match="nothing to verify it against"):
        verify(tmp_path / "a.root")


@pytest.mark.parametrize("change", [{"format": 2}, {"unknown": 1}, {"columns": 3}])
def test_a_sidecar_that_is_none_is_refused(saved, change):
    path = saved("root")
    place = sidecar_path(path)
    place.write_text(json.dumps({**json.loads(place.read_text()), **change}))
    with pytest.raises(DataError, match=r"a\.root\.json: is no sidecar of format 1"):
        read_sidecar(path)
    place.write_text("<html>")
    with pytest.raises(DataError, match="is no sidecar"):
        read_sidecar(path)
