"""Pythia starts quietly, refuses nonsense, and gives up in bounded time."""

import sys

import awkward as ak
import pytest

from castalia.errors import ConfigError, MachineError
from castalia.processes.catalogue import find_process
from castalia.processes.pythia import MAX_SEED, make_pythia, pythia_batches, pythia_events

GLUON_FUSION = find_process("ggH").settings


def test_it_prints_nothing(capfd):
    pytest.importorskip("pythia8mc")
    next(pythia_events(make_pythia(GLUON_FUSION, 1)))
    assert capfd.readouterr() == ("", "")


def test_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    with pytest.raises(ConfigError, match=r"castalia\[processes\]"):
        make_pythia(GLUON_FUSION, 1)


@pytest.mark.parametrize("seed", [0, -1, MAX_SEED + 1])
def test_seeds_that_pythia_would_replace_by_the_clock(seed):
    pytest.importorskip("pythia8mc")
    with pytest.raises(ConfigError, match="seed"):
        make_pythia(GLUON_FUSION, seed)


def test_an_unknown_setting_is_named(capfd):
    pytest.importorskip("pythia8mc")
    with pytest.raises(ConfigError, match="HiggsSM:gg2Higs"):
        make_pythia(["HiggsSM:gg2Higs = on"], 1)


def test_no_process_at_all(capfd):
    pytest.importorskip("pythia8mc")
    with pytest.raises(MachineError, match="initialise"):
        make_pythia(["Beams:eCM = 13000."], 1)


class Failing:
    """A generator that fails so many times, then works once."""

    event = "an event"

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def next(self) -> bool:
        self.failures -= 1
        return self.failures < 0


def test_failures_on_end_stop():
    with pytest.raises(MachineError, match="100 times"):
        next(pythia_events(Failing(100)))


def test_a_few_failures_do_not():
    assert next(pythia_events(Failing(99))) == "an event"


class Batches:
    """A generator whose every n-th event fails, as Pythia's own batches tell it."""

    def __init__(self, failing: int) -> None:
        self.failing, self.tried = failing, 0

    def nextBatch(self, events: int, mode: str) -> ak.Array:
        assert mode == "none"
        tries = range(self.tried, self.tried + events)
        self.tried += events
        return ak.Array([None if (k + 1) % self.failing == 0 else {"number": k} for k in tries])


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_failed_events_of_a_batch_are_made_up_for(batch):
    made = [number for records in pythia_batches(Batches(3), 50, batch) for number in records.number.tolist()]
    assert made == [k for k in range(75) if (k + 1) % 3 != 0][:50]


def test_batches_that_fail_on_end_stop_with_a_count():
    generator = Batches(1)
    with pytest.raises(MachineError, match="failed to make 100 of 100 events"):
        list(pythia_batches(generator, 1_000, 10))
    assert generator.tried == 100
