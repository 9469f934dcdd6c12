"""Typed objects: the hardest of each type, in the places of their type, masked where an event has fewer."""

import awkward as ak
import numpy as np
import pytest
from pydantic import ValidationError

from castalia.data.feature_config import ConditionVariable, DataConfig, TargetVariable
from castalia.data.features import Features
from castalia.data.loading import load_arrays
from castalia.data.table import Table
from castalia.data.typed_objects import ANCESTRY, OBJECTS, EventColumns, TypedObject, TypedObjects
from castalia.errors import ConfigError, DataError
from castalia.rng import Stream

TYPES = {
    "lepton": TypedObject(collections=("electron", "muon")),
    "b_jet": TypedObject(collections=("jet",), where={"jet_btag": 1}, take=2),
    "light_jet": TypedObject(collections=("jet",), where={"jet_btag": 0}, take=2),
    "met": TypedObject(columns=EventColumns(pt="met_pt", phi="met_phi")),
}
TYPED = TypedObjects(TYPES, {"same_w": "from_w", "same_top": "from_top"})
PLACES = ("lepton", "b_jet", "b_jet", "light_jet", "light_jet", "met")


def events(number=60, seed=1):
    rng = Stream(seed, "typed objects").at()
    columns = {"met_pt": rng.exponential(40.0, number), "met_phi": rng.uniform(-3, 3, number)}
    for name, most in (("electron", 3), ("muon", 3), ("jet", 6)):
        counts = rng.integers(0, most, number)
        total = counts.sum()
        flat = {
            "pt": 20.0 + rng.exponential(40.0, total),
            "eta": rng.normal(0, 1, total),
            "phi": rng.uniform(-3, 3, total),
            "mass": rng.exponential(5.0, total),
            "from_w": rng.integers(0, 3, total),
            "from_top": rng.integers(0, 3, total),
        }
        if name == "jet":
            flat["btag"] = rng.integers(0, 2, total)
        columns |= {f"{name}_{what}": ak.unflatten(values, counts) for what, values in flat.items()}
    return Table(columns)


def by_hand(table, event):
    """Return features and ancestors of the six places of an event, ``None`` where there is no object."""
    names = ("pt", "eta", "phi", "mass", "from_w", "from_top")

    def listed(collection, tag=None):
        columns = [np.asarray(table[f"{collection}_{name}"][event]) for name in names]
        tags = [tag] * len(columns[0]) if tag is None else np.asarray(table[f"{collection}_btag"][event])
        return [row for row, found in zip(zip(*columns, strict=True), tags, strict=True) if found == tag]

    def hardest(objects, take):
        return [*sorted(objects, reverse=True)[:take], None, None][:take]

    met = (table["met_pt"][event], 0.0, table["met_phi"][event], 0.0, 0, 0)
    places = hardest([*listed("electron"), *listed("muon")], 1)
    return [*places, *hardest(listed("jet", 1), 2), *hardest(listed("jet", 0), 2), met]


def test_the_hardest_of_each_type_are_in_its_places():
    table = events()
    found = TYPED.arrays(table)
    kinds = [list(TYPES).index(name) for name in PLACES]
    for event in range(len(table)):
        for place, wanted in enumerate(by_hand(table, event)):
            values = [*found[OBJECTS].values[event, place], *found[ANCESTRY].values[event, place]]
            there = found[OBJECTS].mask[event, place]
            assert there == found[ANCESTRY].mask[event, place] == (wanted is not None)
            expected = np.zeros(7) if wanted is None else [*wanted[:4], kinds[place], *wanted[4:]]
            np.testing.assert_array_equal(values, expected)
    # Events with too many objects and without any of a type were among them.
    assert 0 < found[OBJECTS].mask[:, :5].mean() < 1
    assert max(ak.num(table["jet_pt"])) > 4


def test_the_order_in_the_file_does_not_matter():
    table = events()
    turned = {name: values[:, ::-1] if isinstance(values, ak.Array) else values for name, values in
              ((name, table[name]) for name in table.names)}  # fmt: skip
    one, other = TYPED.arrays(table)[OBJECTS], TYPED.arrays(Table(turned))[OBJECTS]
    np.testing.assert_array_equal(one.values, other.values)
    # Negative control: another momentum puts another object first.
    changed = TYPED.arrays(table.with_columns({"jet_pt": 100.0 / table["jet_pt"]}))[OBJECTS]
    assert not np.array_equal(one.values[:, 1:5, 1:], changed.values[:, 1:5, 1:])


def test_ancestors_are_read_where_the_table_has_all_of_them():
    table = events()
    assert set(TYPED.arrays(table)) == {OBJECTS, ANCESTRY}
    assert set(TYPED.arrays(table.without(["jet_from_top"]))) == {OBJECTS}
    assert set(TYPED.ancestry_columns) == {f"{one}_from_{what}" for one in ("electron", "muon", "jet")
                                           for what in ("w", "top")}  # fmt: skip
    assert not set(TYPED.ancestry_columns) & set(TYPED.columns)


def features(**changes):
    given = {"data": DataConfig(files=("*.parquet",)), "objects": None, "condition": {}, "target": {}, "typed": TYPED}
    return Features(**{**given, **changes})


def test_features_name_their_columns_and_layout():
    known = features()
    assert [v.name for v in known.layout.condition_objects[OBJECTS]] == ["pt", "eta", "phi", "mass", "type"]
    assert known.layout.condition_objects[OBJECTS][4].bounds == (-0.5, 3.5)
    assert set(known.columns) - set(known.columns_to_sample) == set(TYPED.ancestry_columns)
    assert features(condition={"ht": ConditionVariable(column="ht")}).columns_to_sample[3] == "ht"


@pytest.mark.parametrize("chunk", [7, 1000])
def test_from_a_file_whatever_the_chunks(tmp_path, save, chunk):
    save(tmp_path / "a.parquet", events())
    loaded = load_arrays([tmp_path / "a.parquet"], features(), chunk=chunk)
    np.testing.assert_array_equal(loaded.arrays.objects[OBJECTS].values, TYPED.arrays(events())[OBJECTS].values)
    assert loaded.arrays.target is None
    assert loaded.arrays.reference.shape == (60, 0)


@pytest.mark.parametrize(
    ("column", "change", "sentence"),
    [
        ("jet_pt", lambda v: v * 0.0, r"column 'jet_pt' must be above 0 \(a transverse momentum\)"),
        ("jet_pt", lambda v: v * 1e3, "'jet_pt' is declared in GeV, but .*values in MeV"),
        ("met_pt", lambda v: v * 0.0 - 99.0, "column 'met_pt' must be at least 0"),
        ("jet_eta", lambda v: v * np.nan, "'jet_eta' has .* NaN or infinite .*first in row"),
        ("jet_from_w", lambda v: v - 1, "'jet_from_w' has .* outside"),
        ("met_phi", lambda v: v + 20.0, "'met_phi' has 60 values that are outside"),
    ],
)
def test_bad_values_are_refused(tmp_path, save, column, change, sentence):
    table = events()
    save(tmp_path / "a.parquet", table.with_columns({column: change(table[column])}))
    with pytest.raises(DataError, match=sentence):
        load_arrays([tmp_path / "a.parquet"], features())


def test_what_is_no_list_or_has_no_column_is_refused(tmp_path, save):
    table = events()
    with pytest.raises(DataError, match="'jet_mass' is one number per event"):
        TYPED.arrays(table.with_columns({"jet_mass": np.ones(60)}))
    with pytest.raises(DataError, match="'met_pt' is a list for each event"):
        TYPED.arrays(table.with_columns({"met_pt": table["jet_pt"]}))
    save(tmp_path / "a.parquet", table.without(["muon_eta"]))
    with pytest.raises(DataError, match="muon_eta"):
        load_arrays([tmp_path / "a.parquet"], features())


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ({}, "either collections"),
        ({"collections": ["jet"], "columns": {"pt": "a", "phi": "b"}}, "either collections"),
        ({"collections": ["jet", "jet"]}, "name one twice"),
        ({"columns": {"pt": "a", "phi": "b"}, "take": 2}, "every event has one object"),
        ({"collections": ["jet"], "where": {"btag": 1}}, "'btag', which is no column of jet; write jet_NAME"),
        ({"collections": ["jet"], "take": 0}, "greater than or equal to 1"),
    ],
)
def test_contradictions_are_refused(declared, sentence):
    with pytest.raises(ValidationError, match=sentence):
        TypedObject.model_validate(declared)


def test_contradictions_between_sections_are_refused():
    with pytest.raises(ConfigError, match=r"\[objects\] is empty"):
        TypedObjects({})
    with pytest.raises(ConfigError, match=r"\[relations\] are between objects in lists"):
        TypedObjects({"met": TYPES["met"]}, {"same_w": "from_w"})
    with pytest.raises(ConfigError, match=r"also one of \[objects\]"):
        features(target={"x": TargetVariable(column="jet_pt")})


def test_a_condition_on_a_collection_of_a_longer_name_is_its_own():
    both = TypedObject(collections=("jet", "jet_fat"), where={"jet_fat_tag": 1, "jet_tag": 0})
    assert both.conditions("jet") == {"jet_tag": 0}
    assert both.conditions("jet_fat") == {"jet_fat_tag": 1}
