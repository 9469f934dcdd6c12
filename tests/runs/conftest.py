import pytest

from castalia.data.schema import ColumnSpec, Schema


@pytest.fixture
def schema():
    return Schema(columns=(ColumnSpec(name="et", unit="GeV", role="target", range=(0.0, 100.0)), ColumnSpec(name="mu")))


@pytest.fixture
def settings(schema):
    return {
        "application": "simulate",
        "config_toml": "[training]\nepochs = 3\n",
        "schema": schema,
        "inputs": {"a.root": "0" * 64},
        "seed": 7,
    }
