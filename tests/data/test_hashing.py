import hashlib
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from castalia.data.hashing import ColumnHasher, file_sha256
from castalia.data.schema import ColumnSpec
from castalia.data.table import jagged
from castalia.errors import DataError


def digest(spec, *pieces):
    hasher = ColumnHasher(spec)
    for piece in pieces:
        hasher.update(piece)
    return hasher.hexdigest()


@given(st.lists(st.integers(0, 40), max_size=5))
def test_chunks_do_not_matter(mixed_cuts):
    counts = np.arange(40) % 3
    columns = {
        "flat": np.arange(40.0),
        "fixed": np.arange(80.0).reshape(40, 2),
        "jagged": jagged(counts, np.arange(counts.sum(), dtype=float)),
    }
    cuts = [0, *sorted(mixed_cuts), 40]
    for name, values in columns.items():
        spec = ColumnSpec(name=name, shape=2 if name == "fixed" else name)
        pieces = [values[a:b] for a, b in itertools.pairwise(cuts)]
        assert digest(spec, *pieces) == digest(spec, values)


def test_byte_order_does_not_matter_but_content_shape_and_number_type_do():
    spec = ColumnSpec(name="x")
    values = np.arange(6.0)
    assert digest(spec, values.astype(">f8")) == digest(spec, values)
    different = {
        digest(spec, values),
        digest(spec, values[::-1]),
        digest(spec, values[:5]),
        digest(ColumnSpec(name="x", dtype="float32"), values),
        digest(ColumnSpec(name="x", shape=2), values.reshape(3, 2)),
        digest(ColumnSpec(name="x", shape="jagged"), jagged(np.array([1, 2, 3]), values)),
        digest(ColumnSpec(name="x", shape="jagged"), jagged(np.array([3, 2, 1]), values)),
        digest(spec),
    }
    assert len(different) == 8


def test_one_flipped_bit_changes_the_hash():
    values = np.arange(1000.0)
    flipped = values.copy()
    flipped.view(np.uint8)[4321] ^= 4
    assert digest(ColumnSpec(name="x"), values) != digest(ColumnSpec(name="x"), flipped)


def test_file_hash(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(DataError, match="cannot be read"):
        file_sha256(tmp_path / "b")
