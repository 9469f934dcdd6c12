"""The configurations for public collision data: each finds its columns in a file of the schema that it is for."""

import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from castalia_console import here
from real_events import real_events

from castalia.apps.classify.config import parse_pretraining
from castalia.data.catalogue import PUBLIC_SETS
from castalia.data.feature_config import DataConfig
from castalia.data.file_layout import find_layout
from castalia.rng import Stream

EXAMPLES = {path.stem: path for path in (Path(__file__).parents[2] / "examples" / "open_data").glob("*.toml")}
OBJECTS = sorted(set(EXAMPLES) - {"razor"})
# What real events are called where they lie beside the repository; of record 212 there are simulated ones.
REAL = {
    "dimuon": "dimuons_100k.hdf5",
    "hemispheres": "multijet_run2010b_hemispheres.csv",
    "record_212": "heptutorial_ww.root",
    "zmumu": "zmumu_run2011a.csv",
}
TINY = """
[model]
options = { backbone = { width = 8, heads = 2, blocks = 1 } }

[training]
epochs = 1
batch_size = 16384
"""
RAZOR = "Run,Lumi,Event,MR,Rsq,HT,MET,nJets,nBJets\n"


def wanted(section):
    """Columns that a typed object is made of."""
    if "columns" in section:
        return set(section["columns"].values())
    momenta = {f"{one}_{name}" for one in section["collections"] for name in ("pt", "eta", "phi", "mass")}
    return momenta | set(section.get("where", {}))


@pytest.mark.parametrize("name", OBJECTS)
def test_the_layout_gives_every_column_that_the_objects_need(name):
    raw = tomllib.loads(EXAMPLES[name].read_text())
    data = DataConfig.model_validate(raw["data"])
    made = set(find_layout(data.layout).recipes())
    assert set().union(*(wanted(section) for section in raw["objects"].values())) <= made
    assert set(data.identifiers) <= made or not set(data.identifiers) & made, "all identifiers, or none"


@pytest.mark.parametrize("name", OBJECTS)
def test_a_pre_training_is_valid(name, tmp_path):
    config = parse_pretraining(EXAMPLES[name].read_text(), tmp_path / "shown.toml", tmp_path)
    assert ("type_weight" in config.model.options) == (len(config.objects) == 1)


@pytest.mark.parametrize("name", OBJECTS)
def test_a_pre_training_learns_from_real_events(name, tmp_path):
    text = EXAMPLES[name].read_text()
    shutil.copy(real_events(REAL[name]), tmp_path / tomllib.loads(text)["data"]["files"][0])
    own = "{ type_weight = 0.0," if "type_weight = 0.0" in text else "{"
    tiny = TINY.replace("options = {", f"options = {own}")
    (tmp_path / "pretrain.toml").write_text(re.sub(r"^\[model\]\n(.+\n)*", "", text, flags=re.MULTILINE) + tiny)
    words = ("classify", "pretrain", tmp_path / "pretrain.toml", "-o", tmp_path / "run", "--json")
    found = here(*words).good().json
    assert found["training_events"] > 2000
    assert np.isfinite(found["best_value"])


def test_a_fetched_set_has_the_name_that_its_configuration_reads():
    for one in PUBLIC_SETS:
        raw = [tomllib.loads(path.read_text())["data"] for path in EXAMPLES.values()]
        assert [one.file] in [data["files"] for data in raw if data.get("layout") == one.layout]


def test_razor_variables_can_be_learned(tmp_path):
    rng = Stream(1, "razor").at()
    rows = (
        f"1,2,{event},{rng.uniform(100, 900):.3f},{rng.uniform(0.01, 0.9):.4f},{rng.uniform(150, 900):.2f},20,"
        f"{rng.integers(2, 6)},0"
        for event in range(2000)
    )
    (tmp_path / "multijet_run2010b_razor.csv").write_text(RAZOR + "\n".join(rows))
    text = EXAMPLES["razor"].read_text().replace("[model]\n", "[training]\nepochs = 1\n\n[model]\n")
    (tmp_path / "razor.toml").write_text(text)
    here("simulate", "train", tmp_path / "razor.toml", "-o", tmp_path / "run").good()
