"""`castalia export` as a user types it, and the C++ example on what it writes."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from castalia_console import altered, here, write_config
from exported_models import drawn

import castalia
from castalia.apps.simulate.model import open_model
from castalia.rng import Stream

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def files(run, tmp_path_factory):
    """The exported files of a run, and what the command printed."""
    output = tmp_path_factory.mktemp("export") / "model.onnx"
    return output, here("export", run, "-o", output, "--json").good().json


def metadata(path) -> dict[str, str]:
    return onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map


def test_the_summary_names_the_files(files, run):
    output, summary = files
    assert summary == {
        "sampler": str(output),
        "density": str(output.with_name("model.density.onnx")),
        "model": open_model(run).sha256,
    }


def test_the_files_say_what_they_are(files, run):
    output, summary = files
    model = open_model(run)
    found = metadata(output)
    low, high = found.pop("castalia.condition.low"), found.pop("castalia.condition.high")
    assert np.array_equal([float(line) for line in low.split("\n")], model.ranges.low)
    assert np.array_equal([float(line) for line in high.split("\n")], model.ranges.high)
    assert found == {
        "castalia.format": "1",
        "castalia.version": castalia.__version__,
        "castalia.kind": "sampler",
        "castalia.model": summary["model"],
        "castalia.objects": "photon: the first 2 by photon_et_true, largest first",
        "castalia.scenario": "process=toy scenario=baseline rho=0.0 parametrisation=repaired mixture=amplitude",
        "castalia.condition.names": "et_1\net_2\neta_1\neta_2\nmu",
        "castalia.condition.units": "GeV\nGeV\n\n\n",
        "castalia.condition.formulas": "\n".join(f"photon_{what}_true[{i}]" for what in ("et", "eta") for i in (0, 1))
        + "\nmu",
        "castalia.target.names": "et_1\neta_1\nphi_1\net_2\neta_2\nphi_2",
        "castalia.target.units": "GeV\n\nrad\nGeV\n\nrad",
        "castalia.target.formulas": "\n".join(
            line.format(i)
            for i in (0, 1)
            for line in (
                "photon_et[{0}] - photon_et_true[{0}]",
                "photon_eta[{0}] - photon_eta_true[{0}]",
                "wrap(photon_phi[{0}] - photon_phi_true[{0}])",
            )
        ),
    }
    density = metadata(summary["density"])
    assert density["castalia.kind"] == "density"
    assert density["castalia.model"] == summary["model"]


def test_the_run_s_own_sampler_gives_the_same(files, run):
    output, summary = files
    model = open_model(run)
    rng = Stream(1, "export of a run").at()
    condition = rng.uniform(model.ranges.low, model.ranges.high, (500, 5)).astype(np.float32)
    noise = rng.standard_normal((500, 6), dtype="float32")
    (target,) = onnxruntime.InferenceSession(output).run(None, {"condition": condition, "noise": noise})
    expected = drawn(model.estimator, condition, noise)
    assert np.allclose(target / model.scales, expected / model.scales, rtol=1e-3, atol=1e-4)
    assert not np.allclose(target / model.scales, np.roll(expected, 1, axis=0) / model.scales, rtol=1e-3, atol=1e-4)
    session = onnxruntime.InferenceSession(summary["density"])
    assert np.isfinite(session.run(["log_prob"], {"condition": condition, "target": target})[0]).all()


def test_an_efficiency_is_exported_too(toy, tmp_path):
    def lose(arrays):
        arrays["weight"] = (np.arange(len(arrays["weight"])) % 3 > 0).astype(float)

    config = write_config(tmp_path / "lost.toml", altered(toy, tmp_path / "lost.root", lose), epochs=1)
    config.write_text(config.read_text().replace('weight = "weight"', "") + '\n[efficiency]\ncolumn = "weight"\n')
    here("simulate", "train", config, "-o", tmp_path / "run").good()
    summary = here("export", tmp_path / "run", "-o", tmp_path / "model.onnx", "--json").good().json
    assert summary["efficiency"] == str(tmp_path / "model.efficiency.onnx")
    session = onnxruntime.InferenceSession(summary["efficiency"])
    found = session.get_modelmeta().custom_metadata_map
    assert (found["castalia.kind"], found["castalia.model"]) == ("efficiency", summary["model"])
    assert found["castalia.scenario"] == ""  # the file has no sidecar
    model = open_model(tmp_path / "run")
    condition = np.repeat(((model.ranges.low + model.ranges.high) / 2)[None], 3, axis=0).astype(np.float32)
    (probability,) = session.run(["efficiency"], {"condition": condition})
    assert np.allclose(probability, 2 / 3, atol=0.2)


def test_nothing_is_replaced_unasked(files, run, tmp_path):
    output = tmp_path / "model.onnx"
    leftover = tmp_path / "model.efficiency.onnx"
    leftover.write_bytes(b"of another model")
    sentence = here("export", run, "-o", output).refused(2)
    assert sentence == f"{leftover} exists; choose another name or pass --overwrite."
    assert not output.exists()
    here("export", run, "-o", output, "--overwrite").good()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.density.onnx", "model.onnx"]
    assert output.read_bytes() == files[0].read_bytes()


def test_refusals(run, tmp_path):
    assert "let it end in .onnx" in here("export", run, "-o", tmp_path / "model").refused(2)
    assert "run.json is missing" in here("export", tmp_path, "-o", tmp_path / "model.onnx").refused(4)
    assert not list(tmp_path.iterdir())


def onnxruntime_for_cpp(folder: Path) -> list[str]:
    """Return what CMake must know of ONNX Runtime; skips, with the reason, where it is not there."""
    if shutil.which("cmake") is None or not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        pytest.skip("the C++ example needs cmake and a C++ compiler")
    header = "onnxruntime_cxx_api.h"
    root = os.environ.get("ONNXRUNTIME_ROOT")
    places = [Path(root)] if root else [Path("/usr/include"), Path("/usr/local/include")]
    found = next((path for place in places for path in sorted(place.rglob(header))), None)
    if found is None:
        pytest.skip(
            f"the C++ example needs {header}: install libonnxruntime-dev, or name its folder in ONNXRUNTIME_ROOT"
        )
    # The Python package brings the library itself, under its full name only.
    (library,) = Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.1.*")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(library)
    return [f"-DONNXRUNTIME_INCLUDE_DIR={found.parent}", f"-DONNXRUNTIME_LIBRARY={folder / 'libonnxruntime.so'}"]


def test_the_cpp_example_samples(files, run, tmp_path):
    known = onnxruntime_for_cpp(tmp_path)
    build = tmp_path / "build"
    for words in (["cmake", "-S", ROOT / "examples" / "cpp", "-B", build, *known], ["cmake", "--build", build]):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    events = 40_000
    done = subprocess.run([build / "sample", files[0], str(events)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^target (\S+) +mean (\S+), standard deviation (\S+)", done.stdout, flags=re.MULTILINE)
    model = open_model(run)
    assert [name for name, *_ in found] == [variable.name for variable in model.features.layout.target]
    middle = torch.from_numpy((model.ranges.low + model.ranges.high) / 2).float().repeat(events, 1).numpy()
    noise = Stream(2, "export of a run").at().standard_normal((events, 6), dtype="float32")
    expected = drawn(model.estimator, middle, noise)
    width = expected.std(axis=0)
    means = np.array([float(mean) for _, mean, _ in found])
    # Five standard errors of the difference of two independent means.
    assert (np.abs(means - expected.mean(axis=0)) < 5 * width * np.sqrt(2 / events)).all()
    assert "40000 events, 0 outside" in done.stdout
    # Another file is refused in a sentence.
    done = subprocess.run([build / "sample", files[1]["density"]], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: the file is no sampler\n")
