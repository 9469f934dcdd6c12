"""Layouts: Cartesian momenta turned, columns side by side, flags, constants; shipped and a configuration's own."""

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
from pydantic import ValidationError

from castalia.data.feature_config import ConditionVariable, DataConfig, TargetVariable
from castalia.data.features import Features
from castalia.data.file_layout import FileLayout, find_layout, shipped_layouts
from castalia.data.loading import load_arrays
from castalia.data.readers import StoredColumn, open_reader
from castalia.errors import ConfigError, DataError
from castalia.physics.four_vectors import to_cartesian
from castalia.rng import Stream

ROWS = 60
HEMISPHERES = "Run,Lumi,Event,MR,Rsq,E1,Px1,Py1,Pz1,E2,Px2,Py2,Pz2,HT,MET,nJets,nBJets\n"
ZMUMU = "Run,Event,pt1,eta1,phi1,Q1,dxy1,iso1,pt2,eta2,phi2,Q2,dxy2,iso2\n"


def objects(seed, most=3):
    """Random momenta in lists, as (pt, eta, phi, mass) and as (px, py, pz, E) in single precision."""
    rng = Stream(seed, "layout").at()
    counts = rng.integers(0, most + 1, ROWS)
    size = counts.sum()
    polar = [rng.uniform(20, 200, size), rng.normal(0, 1, size), rng.uniform(-3, 3, size), rng.uniform(1, 20, size)]
    parts = to_cartesian(*polar).astype(np.float32)
    names = ("pt", "eta", "phi", "mass")
    return (
        {name: ak.unflatten(values, counts) for name, values in zip(names, polar, strict=True)},
        {name: ak.unflatten(parts[:, i], counts) for i, name in enumerate(("Px", "Py", "Pz", "E"))},
    )


def record_212(path):
    """A file of the schema of CMS open-data record 212; returns its jets, and the tags that it should give."""
    branches, jets = {}, None
    for number, kind in enumerate(("Jet", "Muon", "Electron", "Photon")):
        polar, cartesian = objects(number)
        jets = polar if kind == "Jet" else jets
        counts = ak.num(cartesian["Px"])
        branches |= {f"N{kind}": counts, **{f"{kind}_{name}": values for name, values in cartesian.items()}}
        if kind in ("Muon", "Electron"):
            branches[f"{kind}_Charge"] = ak.unflatten(np.ones(ak.sum(counts), dtype=np.int32), counts)
    counts = ak.num(jets["pt"])
    score = Stream(9, "tags").at().choice([-1.0, 1.7, 1.8], ak.sum(counts)).astype(np.float32)
    branches |= {"Jet_btag": ak.unflatten(score, counts), "MET_px": np.full(ROWS, 3.0), "MET_py": np.full(ROWS, -4.0)}
    branches["EventWeight"] = np.linspace(0.5, 1.5, ROWS)
    with uproot.recreate(path) as file:
        kinds = {name: f"var * {v.layout.content.dtype}" if v.ndim == 2 else "float64" for name, v in
                 ((name, ak.Array(v)) for name, v in branches.items())}  # fmt: skip
        file.mktree("events", kinds).extend(branches)
    return jets, ak.unflatten((score > 1.74).astype(int), counts)


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    path = tmp_path_factory.mktemp("record") / "data.root"
    return path, *record_212(path)


def same(found, wanted):
    return np.allclose(ak.flatten(found), ak.flatten(wanted), rtol=2e-3, atol=2e-3)


def test_momenta_of_record_212_come_in_the_names_of_configurations(tutorial):
    path, jets, tags = tutorial
    with open_reader(path, layout="cms-record-212") as reader:
        assert reader.count() == ROWS
        columns = reader.columns()
        table = next(
            reader.iterate(["jet_pt", "jet_eta", "jet_phi", "jet_mass", "jet_btag", "met_phi", "Jet_Px"], ROWS)
        )
        other = next(reader.iterate(["muon_mass", "met_pt", "weight", "muon_pt"], ROWS))
    for name, values in jets.items():
        assert same(table[f"jet_{name}"], values), name
        assert columns[f"jet_{name}"] == StoredColumn("float64", "jagged")
    assert not same(table["jet_pt"], jets["pt"] * 1.01), "the negative control"
    assert table["jet_btag"].tolist() == tags.tolist()
    assert (other["met_pt"].tolist(), table["met_phi"][0]) == ([5.0] * ROWS, np.arctan2(-4.0, 3.0))
    assert set(ak.flatten(other["muon_mass"]).tolist()) == {0.10566}
    assert ak.num(other["muon_mass"]).tolist() == ak.num(other["muon_pt"]).tolist()
    assert other["weight"][-1] == 1.5
    assert "photon_eta" in columns
    assert "Jet_Px" in columns, "the file's own columns stay"


def test_any_rows_in_any_chunks_are_the_same(tutorial):
    with open_reader(tutorial[0], layout="cms-record-212") as reader:
        whole = next(reader.iterate(["electron_eta", "met_pt"], ROWS))
        parts = list(reader.iterate(["met_pt", "electron_eta"], 7, 11, 43))
    assert [value for part in parts for value in part["electron_eta"].tolist()] == whole["electron_eta"][11:43].tolist()
    assert all(part.names == ("met_pt", "electron_eta") for part in parts)


def test_a_column_of_the_layout_can_be_renamed(tutorial):
    with open_reader(tutorial[0], rename={"lepton": "muon_pt"}, layout="cms-record-212") as reader:
        table = next(reader.iterate(["lepton", "jet_pt"], ROWS))
    assert same(table["jet_pt"], tutorial[1]["pt"])
    assert len(table["lepton"]) == ROWS


def test_hemispheres_and_muons_side_by_side_are_lists(tmp_path):
    momenta = to_cartesian([50.0, 40.0], [1.0, -0.5], [0.3, 2.0], [10.0, 5.0])
    row = ",".join(f"{p[3]!r},{p[0]!r},{p[1]!r},{p[2]!r}" for p in momenta.astype(object))
    (tmp_path / "a.csv").write_text(HEMISPHERES + f"1,2,3,200,0.1,{row},300,20,2,1\n" * 2)
    (tmp_path / "b.csv").write_text(ZMUMU + "7,8,54.7,-0.4,2.5,1,0.1,0,34.2,-0.9,-0.5,-1,0.1,3\n")
    with open_reader(tmp_path / "a.csv", layout="cms-hemispheres") as reader:
        table = next(reader.iterate(["hemisphere_pt", "hemisphere_mass", "luminosityBlock", "btags"], 9))
    assert np.allclose(table["hemisphere_pt"].to_numpy(), [[50.0, 40.0]] * 2)
    assert np.allclose(table["hemisphere_mass"].to_numpy(), [[10.0, 5.0]] * 2)
    assert (table["luminosityBlock"].tolist(), table["btags"].tolist()) == ([2, 2], [1, 1])
    with open_reader(tmp_path / "b.csv", layout="cms-zmumu") as reader:
        table = next(reader.iterate(["muon_eta", "muon_mass", "muon_charge", "run"], 9))
    assert table["muon_eta"].tolist() == [[-0.4, -0.9]]
    assert table["muon_mass"].tolist() == [[0.10566, 0.10566]]
    assert (table["muon_charge"].tolist(), table["run"].tolist()) == ([[1, -1]], [7])


def test_muons_of_hepfile_are_read(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        group = file.create_group("muons")
        group.attrs["counter"] = "muons/nmuons"
        for name, values in {
            "nmuons": [2, 0, 1],
            "px": [3.0, 0.0, 1.0],
            "py": [4.0, 2.0, 0.0],
            "pz": [0.0] * 3,
        }.items():
            group[name] = values
        group["q"] = [1, -1, 1]
    with open_reader(tmp_path / "a.hdf5", layout="cms-dimuon") as reader:
        table = next(reader.iterate(["muon_pt", "muon_charge", "muon_mass"], 9))
    assert table["muon_pt"].tolist() == [[5.0, 2.0], [], [1.0]]
    assert table["muon_charge"].tolist() == [[1, -1], [], [1]]
    assert table["muon_mass"].tolist() == [[0.10566] * 2, [], [0.10566]]


def test_a_section_of_a_configuration_is_a_layout_and_is_loaded_by(tutorial):
    data = DataConfig.model_validate(
        {
            "files": ["data.root"],
            "layout": {"objects": {"met": {"px": "MET_px", "py": "MET_py"}}, "columns": {"heavy": "EventWeight"}},
        }
    )
    features = Features(
        data, None, {"pt": ConditionVariable(column="met_pt")}, {"heavy": TargetVariable(column="heavy")}
    )
    loaded = load_arrays([tutorial[0]], features)
    assert loaded.arrays.condition[:, 0].tolist() == [5.0] * ROWS
    assert DataConfig.model_validate(data.model_dump(mode="json", exclude_none=True)) == data
    bare = Features(data.model_copy(update={"layout": None}), None, features.condition, features.target)
    with pytest.raises(DataError, match="'met_pt' is not there"):
        load_arrays([tutorial[0]], bare)


def test_every_shipped_layout_is_sound():
    assert set(shipped_layouts()) == {"cms-record-212", "cms-dimuon", "cms-hemispheres", "cms-zmumu"}
    for name in shipped_layouts():
        layout = find_layout(name)
        assert layout.description.strip()
        assert all(recipe.sources for recipe in layout.recipes().values())


# --- faults -----------------------------------------------------------------------------------------------------------


def test_an_unknown_layout_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"no layout 'cms'; choose one of cms-dimuon, .*\[data\.layout\]"):
        find_layout("cms")
    with pytest.raises(ValidationError, match="no layout 'cms'"):
        DataConfig(files=("a.root",), layout="cms")


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ({"px": "a"}, "has px only"),
        ({"px": "a", "pz": "b"}, "has px, pz only"),
        ({"py": "a", "px": "b", "energy": "c"}, "px, py, energy only"),
        ({"px": "a", "py": "b", "pt": "c"}, "has pt beside px and py"),
        ({"px": "a", "py": "b", "pz": "c", "energy": "d", "mass": 0.1}, "has mass beside"),
        ({"px": 1.0, "py": "b"}, "needs columns for px"),
        ({"mass": 0.1}, "has no column"),
        ({}, "has no column"),
        ({"btag": {"column": "a", "over": 1}}, "unknown key 'over'"),
    ],
)
def test_half_a_momentum_is_refused(features, said):
    with pytest.raises(ValidationError, match=said):
        FileLayout.model_validate({"objects": {"jet": features}})


def test_columns_that_do_not_fit_are_named(tutorial, tmp_path):
    path = tutorial[0]
    with pytest.raises(DataError, match=r"data\.root: has no column 'Jet_PX', of which \[data\] layout makes 'jet_pt'"):
        open_reader(path, layout=FileLayout(objects={"jet": {"px": "Jet_PX", "py": "Jet_Py"}}))
    for px, said in (("MET_px", "columns of one kind"), ("Muon_Px", "lists of one collection have")):
        layout = FileLayout(objects={"jet": {"px": px, "py": "Jet_Py"}})
        with (
            pytest.raises(DataError, match=rf"'jet_pt' of the layout: .*{said}"),
            open_reader(path, layout=layout) as r,
        ):
            list(r.iterate(["jet_pt"], ROWS))
    layout = FileLayout(objects={"jet": {"pt": ["Jet_Px", "MET_px"]}})
    with pytest.raises(DataError, match="'Jet_Px' is a list per event"), open_reader(path, layout=layout) as reader:
        reader.columns()
