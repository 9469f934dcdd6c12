"""The example of docs/extending.md, installed as a user's own package would be, through every command."""

import json
import math
import shutil
import sys
from pathlib import Path

import pytest
from castalia_console import environment, here, typed, write_config

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_estimator" / "gaussian_response.py"
MODEL = '[model]\nestimator = "gaussian"\noptions = { hidden = 16 }'


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A folder with the example and the metadata that an installation writes."""
    site = tmp_path / "site"
    metadata = site / "own_estimator-1.dist-info"
    metadata.mkdir(parents=True)
    shutil.copy(EXAMPLE, site)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: own-estimator\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[castalia.estimators]\ngaussian = gaussian_response:GaussianResponse\n")
    monkeypatch.syspath_prepend(str(site))
    yield site
    sys.modules.pop("gaussian_response", None)


@pytest.mark.usefixtures("no_figures")
def test_train_sample_and_evaluate(installed, toy, tmp_path):
    config = write_config(tmp_path / "own.toml", toy, model=MODEL, epochs=30)
    test = tmp_path / "test.root"
    here("generate", "diphoton", "--process", "toy", "--events", 2000, "--seed", 2, "-o", test).good()
    # Trained in another process than it is used in: the model comes from its folder alone.
    typed("simulate", "train", config, "-o", tmp_path / "run", env=environment(PYTHONPATH=_path(installed))).good()
    here("simulate", "sample", tmp_path / "run", toy, "-o", tmp_path / "sampled.root").good()
    verdict = here("simulate", "evaluate", tmp_path / "run", test, "-o", tmp_path / "report")
    assert verdict.code in (0, 5), verdict.err
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert math.isfinite(metrics["kl_per_event"]["value"])
    assert metrics["two_sample_auc"]["value"] < 0.9
    models = here("inspect", tmp_path / "run", "--json").good().json["models"]
    assert models["response"]["estimator"] == "GaussianResponse"


def test_without_the_package_the_estimator_is_unknown(toy, tmp_path):
    config = write_config(tmp_path / "own.toml", toy, model=MODEL)
    sentence = here("simulate", "train", config, "-o", tmp_path / "run").refused(2)
    assert "gaussian" in sentence
    assert "masked_autoregressive_flow" in sentence
    assert not (tmp_path / "run" / "models").exists()


def test_it_is_short():
    code = [line for line in EXAMPLE.read_text().splitlines() if line.strip()]
    assert len(code) <= 65


def _path(folder):
    return f"{environment()['PYTHONPATH']}:{folder}"
