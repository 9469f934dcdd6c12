"""Every command and every configuration that the documentation shows, run at a small size."""

import re
import shlex
import shutil
from pathlib import Path
from unittest import mock

import awkward as ak
import numpy as np
import pytest
from castalia_console import SMALL_MODEL, here, read, write_config
from shown_documentation import CONFIGS, HELP, SHOWN, is_of

from castalia.apps.simulate.config import parse_config
from castalia.cli import demo_simulate
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.data.writers import open_writer
from castalia.processes.hard import COLLIDER_PROCESSES
from castalia.rng import Stream

ROOT = Path(__file__).parents[2]
TOLD_ELSEWHERE = ("scan", "unfold", "classify", "pixels", "data")
COMMANDS = [line for line in SHOWN if not any(is_of(application, line) for application in TOLD_ELSEWHERE)]
# In test_documentation_scan.py, test_documentation_unfold.py, test_documentation_classify.py and
# test_documentation_pixels.py; those of data in test_fetch.py.
OF_OTHERS = ("[parameters", "[truth", "[observables", "[objects.")
OTHERS = {name for name, text in CONFIGS.items() if any(section in text for section in OF_OTHERS)}
OTHERS |= {name for name in CONFIGS if name.removeprefix("demo ").startswith("pixels")}
WHOLE = {name: text for name, text in CONFIGS.items() if "[data]" in text and "[target]" in text}


# What other programs wrote: one W boson with its muon, and the muons' line of a detector card.
HEPMC = """\
HepMC::Version 3.02.06
HepMC::Asciiv3-START_EVENT_LISTING
E 0 1 4
U GEV MM
P 1 0 2 0. 0. 300. 300. 0. 4
P 2 0 -1 0. 0. -100. 100. 0. 4
V -1 0 [1,2]
P 3 -1 -13 60. 20. 150. 162.7883 0. 1
P 4 -1 14 -60. -20. 50. 80.6226 0. 1
HepMC::Asciiv3-END_EVENT_LISTING
"""
DELPHES = """\
module MomentumSmearing MuonMomentumSmearing {
  set ResolutionFormula { sqrt(0.02^2 + pt^2*1.0e-4^2) }
}
"""


def test_the_documentation_was_found():
    assert set(HELP) == {
        "demo", "export", "inspect", "report", "data fetch", "generate diphoton", "generate detector", "generate card",
        "generate pxd",
        *(f"generate {process.name}" for process in COLLIDER_PROCESSES),
        "simulate train", "simulate sample", "simulate evaluate", "scan train", "scan fit", "scan coverage",
        "unfold train", "unfold sample", "unfold evaluate", "unfold compare", "unfold measure",
        "classify pretrain", "classify train", "classify predict", "classify evaluate", "classify compare",
        "pixels train", "pixels sample", "pixels evaluate",
    }  # fmt: skip
    assert all(HELP.values()), "each command's help has an example"
    assert len(SHOWN) >= 12
    assert {"diphoton.toml", "demo"} < set(WHOLE)
    assert {"scan.toml", "demo scan", "unfold.toml", "unfold_measurement.toml", "demo unfold"} <= OTHERS
    assert {"classify.toml", "classify_pretrain.toml"} <= OTHERS
    assert any(name.startswith("README.md") for name in WHOLE)
    assert any(name.startswith("quickstart.md") for name in WHOLE)


def renamed(source, path, names):
    table = read(source)
    columns = {names.get(name, name): table[name] for name in table.names}
    shapes = {name: values.shape[1] if values.ndim == 2 else "flat" for name, values in columns.items()}
    specs = (ColumnSpec(name=name, dtype=str(v.dtype), shape=shapes[name]) for name, v in columns.items())
    with open_writer(path, Schema(columns=tuple(specs))) as writer:
        writer.write(Table(columns))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with everything that the shown commands begin from, under the names they use."""
    folder = tmp_path_factory.mktemp("desk")
    words = ("--process", "toy", "--events", 7000)
    here("generate", "diphoton", *words, "-o", folder / "diphoton.root").good()
    here("generate", "diphoton", *words, "--seed", 2, "-o", folder / "test.root").good()
    shutil.copy(folder / "test.root", folder / "truth.root")
    renamed(folder / "test.root", folder / "other.root", {"photon_et_true": "gen_pt"})
    model = SMALL_MODEL.replace("options", "members = 3\noptions")  # a shown command samples the members
    write_config(folder / "diphoton.toml", "diphoton.root", epochs=1, model=model)
    shutil.copy(folder / "diphoton.toml", folder / "my.toml")
    here("simulate", "train", folder / "diphoton.toml", "-o", folder / "run").good()
    here("simulate", "sample", folder / "run", folder / "truth.root", "-o", folder / "sampled.root").good()
    with mock.patch("castalia.apps.simulate.evaluate.draw_figures", return_value={}):
        verdict = here("simulate", "evaluate", folder / "run", folder / "test.root", "-o", folder / "report_paper")
    assert verdict.code in (0, 5), verdict.err
    shutil.copytree(folder / "report_paper", folder / "report_spline")
    (folder / "events.hepmc").write_text(HEPMC)
    (folder / "delphes_card.tcl").write_text(DELPHES)
    shutil.copy(ROOT / "examples" / "own_detector" / "small.toml", folder)
    return folder


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("line", COMMANDS)
def test_a_shown_command_runs(line, desk, tmp_path, monkeypatch):
    monkeypatch.chdir(desk)
    monkeypatch.setattr(demo_simulate, "QUICK", demo_simulate._Size(7000, 1, (1, 1, 1, 1)))
    smaller = {"--events": "200", "--workers": "1", "--draws": "2", "--process": "toy"}
    words = shlex.split(line)
    if words[:2] == ["generate", "pxd"]:
        smaller["--events"] = "4"  # of 70,000 hits each
    for i, word in enumerate(words[:-1]):
        words[i + 1] = smaller.get(word, words[i + 1])
        if word in ("-o", "--output") and "--resume" not in words:
            words[i + 1] = str(tmp_path / words[i + 1])
    if words[0] == "demo":
        words += ["--process", "toy", "--workers", "1"]
    result = here(*words)
    # A model of one epoch need not satisfy the gate.
    assert result.code == 0 or (result.code == 5 and words[:2] in (["simulate", "evaluate"], ["demo", "--quick"])), (
        result.err
    )
    assert result.out


def events_for(config, path):
    """Write random events with every column that a configuration names."""
    rng, events = Stream(8, "documented").at(), 1000
    counts = rng.integers(2, 5, events)
    columns = {name: np.ones(events, dtype=np.int64) for name in config.data.identifiers}
    columns[config.data.identifiers[-1]] = np.arange(events)
    if config.data.weight:
        columns[config.data.weight] = np.ones(events)
    jagged = {}
    for variable in config.condition.values():
        if config.objects is not None and variable.per != "event":
            jagged[variable.column] = rng.uniform(0.5, 2.0, counts.sum())
        else:
            columns[variable.column] = rng.uniform(0.5, 2.0, events)
    for variable in config.target.values():
        reference = jagged.setdefault(variable.reference, rng.uniform(0.5, 2.0, counts.sum()))
        jagged[variable.column] = reference * rng.normal(1.0, 0.001, len(reference))
    columns |= {name: ak.unflatten(values, counts) for name, values in jagged.items()}
    specs = [ColumnSpec(name=n, dtype="float64" if n in jagged else str(v.dtype),
                        shape="jagged" if n in jagged else "flat") for n, v in columns.items()]  # fmt: skip
    with open_writer(path, Schema(columns=tuple(specs)), tree=config.data.tree or "events") as writer:
        writer.write(Table(columns))


@pytest.mark.parametrize("name", WHOLE)
def test_a_shown_configuration_trains(name, tmp_path):
    config = parse_config(WHOLE[name], tmp_path / "shown.toml", tmp_path)
    pattern = Path(config.data.files[0]).name
    events_for(config, tmp_path / pattern.replace("*", "1"))
    text = WHOLE[name]
    text = re.sub(r"^epochs = \d+", "epochs = 1", text, flags=re.MULTILINE) if "epochs = " in text else (
        text + "\n[training]\nepochs = 1\n"
    )  # fmt: skip
    (tmp_path / "shown.toml").write_text(text)
    here("simulate", "train", tmp_path / "shown.toml", "-o", tmp_path / "run").good()


@pytest.mark.parametrize("name", sorted(set(CONFIGS) - set(WHOLE) - OTHERS))
def test_a_shown_piece_fits_into_a_configuration(name, tmp_path):
    text = CONFIGS[name]
    if "entry-points" in text:  # of a package's own pyproject.toml
        assert 'castalia.estimators"]\ngaussian = "gaussian_response:GaussianResponse"' in text
        return
    rest = re.sub(r"\[model\]\n(.+\n)*", "", demo_simulate.CONFIG.format(events=100, epochs=2, seed=1))
    parse_config(rest + text, tmp_path / "shown.toml", tmp_path)
