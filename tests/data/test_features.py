import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from castalia.data.feature_config import ConditionVariable, DataConfig, ObjectsConfig, TargetVariable
from castalia.data.features import Features
from castalia.data.readers import StoredColumn, open_reader
from castalia.data.table import Table, jagged, jagged_parts
from castalia.errors import ConfigError, DataError
from castalia.physics.angles import delta_phi
from castalia.rng import Stream

EPSILON = np.finfo(np.float64).eps
RECONSTRUCTED = ("photon_et", "photon_eta", "photon_phi")
PLAIN = DataConfig(files=("x.root",))


def largest_error(found, expected, angle=False):
    """Largest difference in units of the rounding of the numbers that were added."""
    difference = delta_phi(found, expected) if angle else found - expected
    return np.max(np.abs(difference) / (EPSILON * np.maximum(np.abs(expected), 2 * np.pi if angle else 1.0)))


def shuffled_lists(table, seed=3):
    """Turn the photons of each event into a jagged list in random order, with a third photon here and there."""
    rng = Stream(seed, "shuffle").at()
    counts = rng.integers(0, 4, len(table))
    columns = {}
    order = np.argsort(rng.random((len(table), 3)), axis=1)
    keep = np.arange(3) < counts[:, None]
    for name in table.names:
        if name.startswith("photon_"):
            values = np.concatenate([table[name], 0.5 * table[name][:, 1:]], axis=1)
            columns[name] = jagged(counts, np.take_along_axis(values, order, axis=1)[keep])
    return table.with_columns(columns), counts


def test_the_layout_of_two_photons(features_of):
    features = features_of()
    layout = features.layout
    assert [v.name for v in layout.condition] == ["et_1", "et_2", "eta_1", "eta_2", "mu"]
    assert [v.name for v in layout.target] == ["et_1", "eta_1", "phi_1", "et_2", "eta_2", "phi_2"]
    assert [v.object_index for v in layout.condition] == [0, 1, 0, 1, None]
    assert [v.group for v in layout.target] == ["et", "eta", "phi"] * 2
    assert [v.transform for v in layout.condition] == ["log", "log", "none", "none", "none"]
    assert (layout.target[3].unit, layout.target[3].scale, layout.objects) == ("GeV", 20.0, 2)
    assert set(features.columns) - set(features.columns_to_sample) == set(RECONSTRUCTED)
    assert "photon_phi_true" in features.columns_to_sample


def test_the_layout_of_single_objects(features_of):
    layout = features_of("each").layout
    assert [v.name for v in layout.condition] == ["et", "eta", "mu"]
    assert [v.name for v in layout.target] == ["et", "eta", "phi"]
    assert layout.objects == 1


@pytest.mark.parametrize("take", [1, 2, "each"])
def test_true_targets_give_the_file_back(features_of, diphoton, take):
    features = features_of(take)
    arrays = features.arrays(diphoton)
    back = features.outputs(diphoton, arrays, arrays.target)
    for name in RECONSTRUCTED:
        expected = diphoton[name][:, : 1 if take == 1 else 2]
        # One rounding of the difference, one of the sum, and two of the wrap.
        assert largest_error(back[name], expected, "phi" in name) <= 4, name
    assert np.array_equal(back["photon_phi_true"], diphoton["photon_phi_true"][:, : 1 if take == 1 else 2])
    for name in ("run", "event", "weight", "mu"):
        assert np.array_equal(back[name], diphoton[name])
    wrong = features.outputs(diphoton, arrays, arrays.target[::-1])
    assert largest_error(wrong["photon_et"], diphoton["photon_et"][:, : 1 if take == 1 else 2]) > 1e6


def test_angles_are_wrapped_both_ways(features_of, diphoton):
    arrays = features_of().arrays(diphoton)
    crossed = np.abs(diphoton["photon_phi"] - diphoton["photon_phi_true"]) > np.pi
    assert crossed.any()
    assert np.abs(arrays.target[:, [2, 5]]).max() < 1.0
    found = features_of().outputs(diphoton, arrays, arrays.target + 6 * np.pi)["photon_phi"]
    assert np.abs(found).max() <= np.pi


def test_arrays_hold_what_the_layout_says(features_of, diphoton):
    arrays = features_of().arrays(diphoton)
    expected = [
        *diphoton["photon_et_true"].T,
        *diphoton["photon_eta_true"].T,
        diphoton["mu"],
    ]
    assert np.array_equal(arrays.condition, np.stack(expected, axis=1))
    assert np.array_equal(arrays.target[:, 3], diphoton["photon_et"][:, 1] - diphoton["photon_et_true"][:, 1])
    assert np.array_equal(arrays.reference[:, 4], diphoton["photon_eta_true"][:, 1])
    assert np.array_equal(arrays.weight, diphoton["weight"])
    assert arrays.row.tolist() == list(range(400))
    assert arrays.incomplete == 0


@pytest.mark.parametrize("take", [1, 2, "each"])
def test_jagged_lists_are_ordered_counted_and_given_back(features_of, diphoton, take):
    table, counts = shuffled_lists(diphoton)
    features = features_of(take)
    arrays = features.arrays(table)
    back = features.outputs(table, arrays, arrays.target)
    lists = table["photon_et_true"].to_list()
    ordered = [sorted(one, reverse=True) for one in lists]
    if take == "each":
        assert arrays.incomplete == 0
        assert arrays.row.tolist() == np.repeat(np.arange(400), counts).tolist()
        assert np.array_equal(arrays.condition[:, 2], table["mu"][arrays.row])
        assert back["photon_et_true"].to_list() == ordered
        assert jagged_parts(back["photon_et"])[0].tolist() == counts.tolist()
        assert len(back) == 400
    else:
        assert arrays.incomplete == (counts < take).sum() > 0
        assert arrays.row.tolist() == np.flatnonzero(counts >= take).tolist()
        assert back["photon_et_true"].tolist() == [one[:take] for one in ordered if len(one) >= take]
        assert back["event"].tolist() == table["event"][counts >= take].tolist()
    pairs = {
        (round(a, 9), round(b, 6)) for e in range(400) for a, b in zip(lists[e], table["photon_et"][e], strict=True)
    }
    truth, reconstructed = (
        jagged_parts(back[n])[1] if take == "each" else back[n].ravel() for n in ("photon_et_true", "photon_et")
    )
    assert all((round(a, 9), round(b, 6)) in pairs for a, b in zip(truth, reconstructed, strict=True))


def test_without_targets_there_is_something_to_sample_from(features_of, diphoton):
    features = features_of()
    arrays = features.arrays(diphoton.without(RECONSTRUCTED))
    assert arrays.target is None
    assert np.array_equal(arrays.reference, features.arrays(diphoton).reference)
    with pytest.raises(DataError, match="3 rows of targets for 400 rows"):
        features.outputs(diphoton, arrays, np.zeros((3, 6)))


def whole_events(**target):
    return Features(
        PLAIN, None, {"x": ConditionVariable(column="x", unit="GeV")}, {"y": TargetVariable(column="y", **target)}
    )


@pytest.mark.parametrize("target", [{}, {"minus": "x"}, {"over": "x"}, {"over": "z"}, {"integer": True}])
def test_events_as_a_whole(target):
    rng = Stream(2, "plain").at()
    table = Table({"x": rng.uniform(1, 9, 50), "y": rng.integers(0, 9, 50), "z": rng.uniform(-9, -1, 50)})
    features = whole_events(**target)
    arrays = features.arrays(table)
    back = features.outputs(table, arrays, arrays.target)["y"]
    assert largest_error(back, table["y"]) <= 4
    assert back.dtype == (np.int64 if "integer" in target else np.float64)
    variable = features.layout.target[0]
    assert (variable.name, variable.group, variable.object_index, variable.integer) == (
        "y",
        "y",
        None,
        "integer" in target,
    )
    if "over" in target:
        assert np.array_equal(arrays.target[:, 0], table["y"] / table[target["over"]])
    assert np.array_equal(features.reconstructed(arrays.reference, arrays.target)[:, 0].round(9), table["y"])


def test_a_ratio_to_zero_is_refused():
    with pytest.raises(DataError, match="column 'x' is 0 in row 1"):
        whole_events(over="x").arrays(Table({"x": [1.0, 0.0], "y": [1.0, 1.0]}))


def test_the_input_schema_holds_what_logarithms_and_ratios_need(features_of):
    schema = features_of().input_schema
    assert [need.value for need in schema.column("photon_et_true").needs] == ["above 0"]
    assert schema.column("photon_eta_true").needs == schema.column("photon_et").needs == ()
    ratio = whole_events(over="x").input_schema.column("x").needs
    assert [(need.value, need.why) for need in ratio] == [("other than 0", "'y' is taken over it")]
    assert whole_events(minus="x").input_schema.column("x").needs == ()
    stored = {"photon_et_true": StoredColumn("float64", "fixed", 2)}
    assert all(spec.needs == () for spec in features_of().output_schema(stored).columns)


@given(st.lists(st.lists(st.integers(-3, 3), max_size=4), min_size=1, max_size=8))
@settings(max_examples=60)
def test_order_is_descending_and_stable_for_any_lists(lists):
    counts, flat = np.array([len(x) for x in lists]), np.array([v for x in lists for v in x], dtype=float)
    serial = np.arange(len(flat), dtype=float)
    table = Table({"pt": jagged(counts, flat), "serial": jagged(counts, serial)})
    features = Features(
        PLAIN,
        ObjectsConfig(collection="c", take="each", order_by="pt"),
        {"pt": ConditionVariable(column="pt")},
        {"serial": TargetVariable(column="serial")},
    )
    arrays = features.arrays(table)
    back = features.outputs(table, arrays, arrays.target)
    numbered = table["serial"].to_list()
    expected = [
        [s for _, s in sorted(zip(x, n, strict=True), key=lambda p: (-p[0], p[1]))]
        for x, n in zip(lists, numbered, strict=True)
    ]
    assert back["serial"].to_list() == expected


@pytest.mark.parametrize("take", [2, "each"])
@pytest.mark.parametrize("ending", ["root", "parquet"])
@pytest.mark.parametrize("kind", ["fixed", "jagged"])
def test_the_output_schema_fits_the_output(tmp_path, features_of, diphoton, save, take, ending, kind):
    table = diphoton if kind == "fixed" else shuffled_lists(diphoton)[0]
    table = table.with_columns({"mu": table["mu"].astype(np.float32)})
    save(tmp_path / f"in.{ending}", table)
    features = features_of(take)
    with open_reader(tmp_path / f"in.{ending}") as reader:
        schema = features.output_schema(reader.columns())
        found = next(reader.iterate(features.columns_to_sample, 10**6))
    arrays = features.arrays(found)
    back = features.outputs(found, arrays, np.zeros((len(arrays.row), len(features.layout.target))))
    save(tmp_path / f"out.{ending}", back, schema)
    assert (schema.column("mu").dtype, schema.column("mu").role) == ("float32", "condition")
    assert (schema.column("event").role, schema.column("weight").role) == ("identifier", "weight")
    column = schema.column("photon_et")
    shape = "jagged" if kind == "jagged" and take == "each" else 2
    assert (column.shape, column.role, column.unit, column.collection) == (shape, "target", "GeV", "photon")


def test_an_input_is_checked_by_declared_units_and_ranges(features_of):
    schema = features_of().input_schema
    assert (schema.column("photon_et_true").unit, schema.column("photon_et").unit) == ("GeV", "GeV")
    assert "weight" in schema.names
    assert whole_events(range=(0.0, 9.0)).input_schema.column("y").range == (0.0, 9.0)


def test_identifiers_may_be_absent_together(features_of, diphoton, save, tmp_path):
    bare = diphoton.without(["run", "luminosityBlock", "event"])
    save(tmp_path / "a.root", bare)
    features = features_of()
    with open_reader(tmp_path / "a.root") as reader:
        names = features.readable(features.columns, reader.columns(), "a.root")
        assert set(names) == set(bare.names)
        assert "event" not in features.output_schema(reader.columns()).names
    arrays = features.arrays(bare)
    assert "event" not in features.outputs(bare, arrays, arrays.target)


def test_lists_that_do_not_fit_are_named(features_of, diphoton):
    features = features_of()
    for change, said in (
        ({"photon_eta_true": np.ones((400, 3))}, "'photon_et' and 'photon_eta_true' have lists of 2 and 3 in row 0"),
        ({"photon_eta": np.ones(400)}, "'photon_eta' is one number per event, not a list"),
        ({"mu": np.ones((400, 2))}, "'mu' is a list per event, but declared as one number"),
    ):
        with pytest.raises(DataError, match=said):
            features.arrays(diphoton.with_columns(change))
    with pytest.raises(DataError, match="2 objects per event, but take = 3"):
        features_of(3).arrays(diphoton)


@pytest.mark.parametrize(
    ("objects", "condition", "target", "said"),
    [
        (None, {}, {}, r"\[target\] is empty"),
        (None, {"x": {"column": "x", "per": "object"}}, {"y": {"column": "y"}}, r"there is no \[objects\]"),
        (None, {"x": {"column": "y"}}, {"y": {"column": "y"}}, r"column 'y' of \[target\]"),
        (None, {}, {"y": {"column": "event"}}, "'event' is a target and also"),
        (None, {}, {"y": {"column": "y", "minus": "x"}, "x": {"column": "x"}}, "'x' is a target and also"),
        (None, {}, {"y": {"column": "y"}, "x": {"column": "y"}}, "two variables with the same column"),
        (
            None,
            {"x": {"column": "x", "unit": "MeV"}},
            {"y": {"column": "y", "minus": "x", "unit": "GeV"}},
            "unit MeV and",
        ),
        ({"collection": "c", "take": 1, "order_by": "y"}, {}, {"y": {"column": "y"}}, "order_by = 'y' is a target"),
    ],
)
def test_contradictions_are_refused(objects, condition, target, said):
    with pytest.raises(ConfigError, match=said):
        Features(
            PLAIN,
            None if objects is None else ObjectsConfig(**objects),
            {name: ConditionVariable(**values) for name, values in condition.items()},
            {name: TargetVariable(**values) for name, values in target.items()},
        )


def test_bounds_may_have_one_end_and_contradict_themselves():
    half = Features(PLAIN, None, {}, {"m": TargetVariable(column="m", bounds=(0.0, np.inf))})
    assert half.layout.target[0].bounds == (0.0, np.inf)
    for bounds in ((1.0, 0.0), (np.nan, 1.0), (0.0, np.nan)):
        with pytest.raises(ValueError, match="are empty"):
            TargetVariable(column="m", bounds=bounds)


def test_errors_name_the_sections_of_the_users_file():
    with pytest.raises(ConfigError, match=r"\[parameters\] x has the column 'y' of \[observables\]"):
        Features(
            PLAIN,
            None,
            {"x": ConditionVariable(column="y")},
            {"y": TargetVariable(column="y")},
            sections=("[parameters]", "[observables]"),
        )


def test_a_target_without_a_section_may_be_empty(diphoton):
    features = Features(PLAIN, None, {"x": ConditionVariable(column="mu")}, {}, sections=("[condition]", None))
    found = features.arrays(diphoton)
    assert found.target is None
    assert found.reference.shape == (len(diphoton), 0)
    np.testing.assert_array_equal(found.condition[:, 0], diphoton["mu"])
    assert features.columns == ("run", "luminosityBlock", "event", "mu")
