"""Formulas of a Delphes card become ours; what is not understood is named with its line."""

import numpy as np
import pytest

from castalia.detectors.parametric.delphes import card_from_delphes, delphes_formulas
from castalia.detectors.parametric.formula import evaluate
from castalia.detectors.parametric.limits import object_grid
from castalia.errors import ConfigError

SMALL = r"""
# A small card.
set ExecutionPath {
  MuonEfficiency
}

module Efficiency ElectronTrackingEfficiency {
  set InputArray ParticlePropagator/electrons
  # set EfficiencyFormula {nonsense}
  set EfficiencyFormula { (pt <= 0.5) * (0.00) + \
                          (pt > 0.5) * (0.90) }
}
module Efficiency ElectronEfficiency {
  set EfficiencyFormula {
    (abs(eta) <= 1.5 && pt > 10.0) * (0.95) +
    (fabs(eta) > 1.5 || pt <= 10.0) * (0.80)
  }
}
module EnergySmearing ElectronEnergySmearing {
  set ResolutionFormula {sqrt(energy^2*0.007^2 + energy*0.07^2)}
}
module MomentumSmearing MuonMomentumSmearing {
  set ResolutionFormula { sqrt(0.01^2 + pt^2*1.0e-4^2) } ;# relative
}
module SimpleCalorimeter HCal {
  set ResolutionFormula {sqrt(energy^2*0.05^2 + energy*1.5^2)}
}
module EnergyScale JetEnergyScale {
  set ScaleFormula {sqrt(1.0 + 0.5/pt)}
}
module BTagging BTagging {
  add EfficiencyFormula {0} {0.01+0.000038*pt*(pt<1000)}
  add EfficiencyFormula {4} {0.25*tanh(0.018*pt)*(1/(1+0.0013*pt))}
  add EfficiencyFormula {5} 0.7
}
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "small.tcl"
    path.write_text(SMALL, encoding="utf-8")
    return path


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(SMALL.split("\n"), 1) if text in line)


def test_every_formula_is_found_with_its_line(path):
    found = delphes_formulas(path)
    assert [one.module for one in found] == [
        "ElectronTrackingEfficiency",
        "ElectronEfficiency",
        "ElectronEnergySmearing",
        "MuonMomentumSmearing",
        "HCal",
        "JetEnergyScale",
        *["BTagging"] * 3,
    ]
    assert [one.codes for one in found] == [()] * 6 + [(0,), (4,), (5,)]
    assert found[0].line == line_of("(pt <= 0.5)")
    assert found[2].line == line_of("0.007")
    assert found[3].kind == "MomentumSmearing"


def test_formulas_keep_their_values(path, made):
    card = card_from_delphes(path, made.card())
    grid = object_grid(5.0, 2.4)
    pt, eta, energy = grid["pt"], grid["eta"], grid["energy"]
    expected = {
        card.electrons.efficiency: 0.9 * np.where((np.abs(eta) <= 1.5) & (pt > 10), 0.95, 0.80),
        card.electrons.pt_resolution: np.sqrt((energy * 0.007) ** 2 + energy * 0.07**2) / energy,
        card.muons.pt_resolution: np.sqrt(0.01**2 + (pt * 1e-4) ** 2),
        card.jets.response: np.sqrt(1 + 0.5 / pt),
        card.jets.btag.light: 0.01 + 0.000038 * pt * (pt < 1000),
        card.jets.btag.c: 0.25 * np.tanh(0.018 * pt) / (1 + 0.0013 * pt),
        card.jets.btag.b: np.full_like(pt, 0.7),
    }
    for formula, values in expected.items():
        assert np.allclose(evaluate(formula, grid), values, rtol=1e-14)
        assert not np.allclose(evaluate(f"1.001 * ({formula})", grid), values, rtol=1e-14)
    base = made.card()
    assert card.muons.efficiency == base.muons.efficiency, "what the file does not say is the base's"
    assert card.missing == base.missing


REFUSED = {
    "0.95": ("gamma(pt)", "'gamma' is not known"),
    "0.00": ("d0", "'d0' is not known"),
    "sqrt(0.01^2 + pt^2*1.0e-4^2)": ("sqrt(0.01^2", "is not a formula"),
    "{0} {0.01": ("{light} {0.01", "should be PDG codes"),
    " 0.7": ("", "should be one formula after one or more PDG codes"),
    "{sqrt(1.0 + 0.5/pt)}": ("{sqrt(1.0 + 0.5/pt)", "its braces do not close"),
}


@pytest.mark.parametrize("old", REFUSED)
def test_what_is_not_understood_is_named_with_its_line(old, path):
    new, sentence = REFUSED[old]
    path.write_text(SMALL.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=sentence) as error:
        delphes_formulas(path)
    lines = {line_of(old), line_of(old) - 1}  # what has several lines is named by its first
    assert any(str(error.value).startswith(f"{path}:{line}: ") for line in lines)


def test_what_is_no_delphes_card(path, made):
    path.write_text("set ResolutionFormula {0.1}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r":1: .* stands in no module"):
        delphes_formulas(path)
    path.write_text("<html></html>", encoding="utf-8")
    with pytest.raises(ConfigError, match="name a Delphes card"):
        card_from_delphes(path, made.card())
    with pytest.raises(ConfigError, match="cannot be read"):
        delphes_formulas(path.parent / "absent.tcl")


def test_an_impossible_value_is_refused_as_in_a_card_of_ours(path, made):
    path.write_text(SMALL.replace("0.7\n", "1.7\n"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"small.tcl: \[jets\] key 'btag.b'"):
        card_from_delphes(path, made.card())
