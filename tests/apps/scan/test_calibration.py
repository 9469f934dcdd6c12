"""Calibrated thresholds are those of the run that is fitted, and of about as many events."""

from __future__ import annotations

import json

import pytest

from castalia.apps.scan.calibration import Calibration, read_calibration
from castalia.errors import ModelError
from castalia.metrics.bands import ONE_SIGMA


def report(folder, **changed):
    levels = [{"level": ONE_SIGMA, "value": 1.3}, {"level": 0.95, "value": 4.1}]
    metrics = {
        "identity": "this run",
        "plan": {"signal": 100.0, "background": 300.0, "poisson": True},
        "parameters": [{"name": "m", "thresholds": levels}],
    }
    (folder / "metrics.json").write_text(json.dumps({**metrics, **changed}))
    return folder


def test_thresholds_are_those_of_one_standard_deviation(tmp_path):
    assert read_calibration(report(tmp_path), "this run") == Calibration({"m": 1.3}, 400.0)


def test_another_run_or_plan_is_noticed(tmp_path):
    with pytest.raises(ModelError, match="another model, or of other constraints"):
        read_calibration(report(tmp_path), "another run")
    with pytest.raises(ModelError, match="too few"):
        read_calibration(report(tmp_path, parameters=[{"name": "m", "thresholds": []}]), "this run")
    with pytest.raises(ModelError, match="is no result"):
        read_calibration(report(tmp_path, plan=None), "this run")
    calibration = read_calibration(report(tmp_path), "this run")
    assert not calibration.doubts(400.0)
    assert not calibration.doubts(790.0)
    assert "400 events, the fit has 900" in calibration.doubts(900.0)[0]
    assert "400 events, the fit has 150" in calibration.doubts(150.0)[0]
