"""Formulas of a card: the numbers that numpy gives, and one sentence for what is no formula."""

import math

import numpy as np
import pytest

from castalia.detectors.parametric.formula import FormulaError, evaluate

PT, ETA = np.array([10.0, 50.0, 200.0]), np.array([-2.0, 0.0, 1.5])
VALUES = {
    "0.25": np.full(3, 0.25),
    "pt": PT,
    "-pt ** 2 + +eta": -(PT**2) + ETA,
    "sqrt(0.01**2 + (7e-5*pt)**2)": np.sqrt(1e-4 + (7e-5 * PT) ** 2),
    "(abs(eta) <= 1.5) * (pt > 20) * 0.9": [0.0, 0.9, 0.9],
    "(pt > 20 and eta > 1) + 2 * (pt < 20 or eta == 0)": [2.0, 2.0, 1.0],
    "not (pt > 20)": [1.0, 0.0, 0.0],
    "(eta != 0) * (eta >= 0)": [0.0, 0.0, 1.0],
    "where(eta > 0, min(pt, 100), max(pt, 20))": [20.0, 50.0, 100.0],
    "exp(-pt/100) * tanh(eta) / cosh(eta)": np.exp(-PT / 100) * np.tanh(ETA) / np.cosh(ETA),
    "log(pt) - log10(pt) + pow(pt, 0.5)": np.log(PT) - np.log10(PT) + np.sqrt(PT),
    "erf(eta)": [math.erf(x) for x in ETA],
    "1\n + 2": np.full(3, 3.0),
}


@pytest.mark.parametrize("text", VALUES)
def test_values(text):
    found = evaluate(text, {"pt": PT, "eta": ETA})
    assert found.shape == (3,)
    assert np.allclose(found, VALUES[text], rtol=1e-15, atol=0.0)
    assert not np.allclose(evaluate(text + " + 1e-9", {"pt": PT, "eta": ETA}), VALUES[text], rtol=1e-15, atol=0.0)


REFUSED = {
    "pt +": "is not a formula",
    "": "is not a formula",
    "energie * 2": "'energie' is not known; the variables are pt, eta",
    "gamma(pt)": "the function 'gamma' is not known",
    "sqrt(pt, 2)": "takes 1 values, not 2",
    "0.5 < eta < 1.5": "join two comparisons with 'and'",
    "'a'": "is not a number",
    "True": "is not a number",
    "pt.real": "not allowed",
    "pt[0]": "not allowed",
    "pt % 2": "not allowed",
    "(lambda: 1)()": "not allowed",
    "__import__('os')": "'__import__' is not known",
    "sqrt(x=pt)": "not allowed",
    "pt if eta else 1": "not allowed",
    "1 / (eta - 1.5)": "no finite value at pt = 200, eta = 1.5",
    "log(eta)": "no finite value at pt = 10, eta = -2",
    "10 ** 1000": "no finite value",
    "9" * 5000: "not a formula",
    "9" * 400: "too large a number",
    "1" + "+1" * 6000: "too long",
    "(" * 300 + "pt" + ")" * 300: "formula",
    "-" * 5000 + "pt": "nested too deeply",
    "pt\0": "formula",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused(text):
    with pytest.raises(FormulaError) as error:
        evaluate(text, {"pt": PT, "eta": ETA})
    assert REFUSED[text] in str(error.value)


def test_no_objects_need_no_values():
    assert evaluate("1 / pt", {"pt": np.zeros(0)}).shape == (0,)
