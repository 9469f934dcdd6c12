"""What must never happen unseen: a leak of the test split, a call to the network, an unbounded loss, a lost weight."""

import math
import subprocess
import sys

import numpy as np
import pytest
from castalia_console import altered, environment, here, listing, read, typed, weights, write_config

from castalia.data.sidecar import input_sha256
from castalia.data.splits import SPLITS, event_keys, split_of
from castalia.rng import Stream

IDENTIFIERS = ("run", "luminosityBlock", "event")


def poison(source, path, split):
    """Make every value of a split NaN, but the identifiers, which decide the split."""
    keys = event_keys(read(source), IDENTIFIERS, input_sha256(source), 0)
    rows = split_of(keys) == SPLITS.index(split)
    assert 300 < rows.sum() < 3500

    def change(arrays):
        for name in set(arrays) - set(IDENTIFIERS):
            arrays[name][rows] = np.nan

    return altered(source, path, change)


@pytest.mark.parametrize("split", SPLITS)
def test_nothing_of_the_test_split_reaches_the_model(split, toy, tmp_path):
    for name in ("clean", "poisoned"):
        (tmp_path / name).mkdir()
    altered(toy, tmp_path / "clean" / "t.root", lambda arrays: None)
    poison(toy, tmp_path / "poisoned" / "t.root", split)
    runs = {}
    for name in ("clean", "poisoned"):
        config = write_config(tmp_path / name / "c.toml", "t.root", epochs=1)
        runs[name] = here("simulate", "train", config, "-o", tmp_path / name / "run")
    runs["clean"].good()
    if split == "test":
        runs["poisoned"].good()
        clean, poisoned = (tmp_path / name / "run" / "models" for name in ("clean", "poisoned"))
        assert listing(clean) == listing(poisoned)
    else:  # the negative control: the poison is found where it is read
        assert "NaN" in runs["poisoned"].refused(3)


NO_NETWORK = """\
import socket
class Refused(OSError): pass
def refuse(*arguments, **options):
    raise Refused("a test blocks the network")
class Blocked(socket.socket):
    def __init__(self, family=-1, *arguments, **options):
        if family in (-1, socket.AF_INET, socket.AF_INET6):
            refuse()
        super().__init__(family, *arguments, **options)
socket.socket = Blocked
socket.create_connection = socket.getaddrinfo = refuse
"""


@pytest.fixture
def offline(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(NO_NETWORK)
    return environment(PYTHONPATH=f"{folder}:{environment()['PYTHONPATH']}")


def test_everything_works_without_a_network(offline, tmp_path):
    call = "import urllib.request; urllib.request.urlopen('http://localhost:9')"
    control = subprocess.run([sys.executable, "-c", call], env=offline, capture_output=True, text=True, check=False)
    assert "a test blocks the network" in control.stderr
    data = tmp_path / "e.root"
    # Two workers, which talk to each other: not over the network.
    words = ("generate", "diphoton", "--process", "toy", "--events", 2000, "--workers", 2)
    typed(*words, "-o", data, env=offline).good()
    config = write_config(tmp_path / "c.toml", "e.root", epochs=1)
    typed("simulate", "train", config, "-o", tmp_path / "run", env=offline).good()
    typed("simulate", "sample", tmp_path / "run", data, "-o", tmp_path / "s.root", env=offline).good()


def negative_fifth(arrays):
    sign = np.where(Stream(3, "signs").at().uniform(size=len(arrays["weight"])) < 0.2, -1.0, 1.0)
    arrays["weight"] = sign * Stream(3, "sizes").at().uniform(0.5, 2.0, len(sign))


def test_negative_weights_are_refused_unless_reweighting_is_asked_for(toy, tmp_path):
    path = altered(toy, tmp_path / "signed.root", negative_fifth)
    config = write_config(tmp_path / "c.toml", path)
    before = listing(tmp_path)
    sentence = here("simulate", "train", config, "-o", tmp_path / "run").refused(2)
    assert "negative" in sentence
    assert "positive_reweighting" in sentence
    assert listing(tmp_path) == before
    asked = write_config(tmp_path / "asked.toml", path, training="positive_reweighting = true")
    result = here("simulate", "train", asked, "-o", tmp_path / "run").good()
    assert "effective size" in result.err + (tmp_path / "run" / "log.txt").read_text()
    # The weights of the sample pass through as they are, whatever their sign.
    here("simulate", "sample", tmp_path / "run", path, "-o", tmp_path / "s.root").good()
    given, sampled = np.asarray(read(path)["weight"]), np.asarray(read(tmp_path / "s.root")["weight"])
    np.testing.assert_array_equal(given, sampled)
    assert math.isclose(math.fsum(given), math.fsum(sampled), rel_tol=1e-6)


@pytest.mark.parametrize("values", ["zero", "huge"])
def test_zero_and_huge_weights_pass_through(values, toy, run, tmp_path):
    def change(arrays):
        arrays["weight"][:100] = 0.0 if values == "zero" else 1e30

    path = altered(toy, tmp_path / "w.root", change)
    config = write_config(tmp_path / "c.toml", path, epochs=1)
    here("simulate", "train", config, "-o", tmp_path / "run").good()
    here("simulate", "sample", tmp_path / "run", path, "-o", tmp_path / "s.root").good()
    np.testing.assert_array_equal(read(path)["weight"], read(tmp_path / "s.root")["weight"])
    assert all(map(math.isfinite, np.frombuffer(weights(tmp_path / "run")[-64:], dtype=np.float32)))
