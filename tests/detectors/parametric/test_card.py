"""Detector cards: those that are shipped agree with what they cite; a bad one is refused in one sentence."""

import numpy as np
import pytest

from castalia.detectors.parametric.card import load_card, parse_card, shipped_cards
from castalia.detectors.parametric.limits import ask, object_variables
from castalia.errors import ConfigError, DataError


def test_two_cards_are_shipped():
    assert shipped_cards() == ("cms-like", "ideal")
    for name in shipped_cards():
        found = load_card(name)
        assert found.name == name
        assert parse_card(found.to_toml(), "again") == found


# Section, key, pt [GeV], eta, mu, and the interval that the abstract of the paper named in the card gives, with a tenth
# on either side where it gives one number.
PUBLISHED = [
    ("electrons", "pt_resolution", 45.0, 0.5, 0.0, (0.018, 0.05)),
    ("electrons", "pt_resolution", 45.0, 2.0, 0.0, (0.02, 0.05)),
    ("jets", "pt_resolution", 30.0, 0.5, 20.0, (0.15, 0.20)),
    ("jets", "pt_resolution", 100.0, 0.5, 20.0, (0.09, 0.11)),
    ("jets", "pt_resolution", 1000.0, 0.5, 20.0, (0.045, 0.055)),
    ("btag", "b", 80.0, 0.5, 0.0, (0.61, 0.75)),
    ("btag", "light", 80.0, 0.5, 0.0, (0.009, 0.011)),
]


@pytest.mark.parametrize(("section", "key", "pt", "eta", "mu", "interval"), PUBLISHED)
def test_cms_like_has_the_figures_it_was_read_from(section, key, pt, eta, mu, interval):
    cms = load_card("cms-like")
    place = cms.jets.btag if section == "btag" else getattr(cms, section)
    kind = "resolution" if "resolution" in key else "efficiency"
    one = object_variables(*(np.array([x]) for x in (pt, eta, 0.0, mu)))
    value = ask(getattr(place, key), kind, "test", one)[0]
    assert interval[0] <= value <= interval[1]


BAD = {
    "an unknown section": ({"taus.pt_min": 20.0}, "unknown key 'taus'"),
    "an unknown key": ({"electrons.pt_mim": 20.0}, r"\[electrons\] unknown key 'pt_mim'; did you mean 'pt_min'"),
    "a negative threshold": ({"jets.pt_min": -1.0}, "jets.pt_min"),
    "no formula": ({"jets.response": True}, "jets.response"),
    "jets that are lost": ({"jets.truth_pt_min": 21.0}, r"\[jets\] key 'truth_pt_min': must not exceed"),
    "an unknown variable": ({"muons.efficiency": "0.9 * ET"}, r"\[muons\] key 'efficiency': 'ET' is not known"),
    "no formula at all": ({"muons.efficiency": "0.9 *"}, r"\[muons\] key 'efficiency': .* is not a formula"),
    "a variable of another place": ({"missing.resolution": "pt"}, "'pt' is not known; the variables are sumet, mu"),
    "a division by zero": ({"muons.pt_resolution": "1/0"}, r"\[muons\] key 'pt_resolution': '1/0' has no finite value"),
    "a division by zero somewhere": ({"jets.pt_resolution": "1/mu"}, "no finite value at .* mu = 0"),
    "a negative resolution": ({"jets.eta_resolution": "0.1 - pt/1e3"}, "every resolution is at least 0"),
    "an efficiency above one": ({"electrons.efficiency": "1 + pt/1e3"}, r"every efficiency is in \[0, 1\]"),
    "a tag above one": ({"jets.btag.light": "pt / 100"}, r"\[jets\] key 'btag.light'"),
    "a negative rate": ({"pileup.jets": "0.1 * mu - 1"}, r"\[pileup\] key 'jets'"),
    "a negative isolation": ({"muons.isolation": {"maximum": 0.1, "pileup": -1}}, "key 'isolation.pileup'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_card_is_refused(name, made):
    changes, sentence = BAD[name]
    with pytest.raises(ConfigError, match=sentence) as error:
        made.card(changes)
    assert str(error.value).startswith("test.toml: ")
    assert "\n" not in str(error.value)


def test_the_plain_card_is_not_refused(made):
    assert made.card().muons.efficiency == "1"
    assert made.card().jets.radius == 0.4


def test_a_card_from_a_file(made, tmp_path):
    path = tmp_path / "mine é.toml"
    path.write_text(made.card({"name": "mine"}).to_toml(), encoding="utf-8")
    assert load_card(path).name == "mine"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_card(path)
    path.write_text("name = ", encoding="utf-8")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_card(path)
    with pytest.raises(ConfigError, match="no such card; give a TOML file or one of cms-like, ideal"):
        load_card(tmp_path / "absent.toml")


def test_a_formula_that_fails_beyond_the_grid_names_card_and_key():
    with pytest.raises(DataError, match=r"card mine, key 'jets.response': .* every response is at least 0"):
        ask("1 - pt / 1e4", "response", "card mine, key 'jets.response'", {"pt": np.array([1.0, 2e4])})
