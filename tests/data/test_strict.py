import pytest
from pydantic import ValidationError

from castalia.data.feature_config import ConditionVariable, ObjectsConfig, TargetVariable
from castalia.data.strict import StrictModel, config_error


class Whole(StrictModel):
    objects: ObjectsConfig
    condition: dict[str, ConditionVariable] = {}
    target: dict[str, TargetVariable] = {}


GOOD = {"collection": "photon", "take": 2}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"objects": GOOD, "modle": {}}, ["unknown key 'modle'", "condition, objects, target"]),
        (
            {"objects": GOOD, "condition": {"et": {"colum": "x"}}},
            ["[condition.et]", "unknown key 'colum'", "did you mean 'column'", "per, range"],
        ),
        ({"objects": {**GOOD, "take": "all"}}, ["objects.take", "'all'"]),
        ({"objects": {**GOOD, "take": 0}}, ["objects.take"]),
        ({"objects": {"take": 1}}, ["objects.collection", "is required"]),
        ({"objects": GOOD, "target": {"x": {"column": "a", "minus": "b", "over": "c"}}}, ["[target.x] minus and over"]),
        (
            {"objects": GOOD, "target": {"x": {"column": "a", "scale": -1.0}}},
            ["target.x.scale", "greater than 0", "-1"],
        ),
        ({"objects": GOOD, "target": {"x": {"column": 3, "unit": 4}}}, ["target.x.column", "(and 1 more)"]),
    ],
)
def test_every_complaint_is_one_sentence_naming_file_and_key(values, said):
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(values)
    error = config_error(caught.value, "run.toml")
    text = str(error)
    assert text.startswith("run.toml: ")
    assert text.endswith(".")
    assert "\n" not in text
    for part in said:
        assert part in text, text
    assert error.exit_code == 2


def test_right_values_pass_and_stay_as_they_are():
    whole = Whole.model_validate({"objects": GOOD, "condition": {"et": {"column": "x"}}})
    assert whole.objects.take == 2
    with pytest.raises(ValidationError):
        whole.objects = None  # frozen
