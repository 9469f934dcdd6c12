import numpy as np
import pytest
from pydantic import ValidationError

from castalia.data.schema import ColumnSpec, Schema
from castalia.errors import DataError


def test_json_round_trip(mixed_schema):
    assert Schema.model_validate_json(mixed_schema.model_dump_json()) == mixed_schema
    assert mixed_schema.column("photon_et").shape == 2
    assert mixed_schema.column("jet_pt").numpy_dtype == np.float32


def test_columns_are_selected_replaced_and_added(mixed_schema):
    assert mixed_schema.select(["mu", "event"]).names == ("mu", "event")
    changed = mixed_schema.with_columns(ColumnSpec(name="mu", unit="x"), ColumnSpec(name="new"))
    assert changed.column("mu").unit == "x"
    assert changed.names == (*mixed_schema.names, "new")
    with pytest.raises(DataError, match="'absent' is not declared"):
        mixed_schema.column("absent")


@pytest.mark.parametrize(
    "wrong",
    [{"dtype": "complex64"}, {"range": (1.0, 1.0)}, {"shape": 0}, {"shape": "square"}, {"name": ""}, {"rang": (0, 1)}],
)
def test_wrong_declarations_are_refused(wrong):
    with pytest.raises(ValidationError):
        ColumnSpec(**{"name": "x", **wrong})


def test_a_name_is_declared_once():
    with pytest.raises(ValidationError, match="'x' is declared twice"):
        Schema(columns=(ColumnSpec(name="x"), ColumnSpec(name="x")))
