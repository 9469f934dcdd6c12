"""What all generate commands share: units by settings, estimates that part the start from the events, one summary."""

import time

import pytest
from production_tasks import CountingTask

from castalia.data.sidecar import read_sidecar
from castalia.production.generation import estimate, generate_file, row_bytes, settings_units
from castalia.production.units import Task


class SlowTask(Task):
    """Takes 0.1 s to start and 1 ms an event."""

    schema = CountingTask().schema

    def run(self, unit):
        time.sleep(0.1 + 0.001 * unit.entries)
        yield from CountingTask().run(unit)


def test_units_are_called_after_the_settings():
    units = settings_units({"seed": 1, "process": "a"}, 250, 100)
    assert [(unit.start, unit.stop) for unit in units] == [(0, 100), (100, 200), (200, 250)]
    assert units == settings_units({"process": "a", "seed": 1}, 250, 100)
    assert units[0].key != settings_units({"process": "a", "seed": 2}, 250, 100)[0].key
    assert units[:2] == settings_units({"seed": 1, "process": "a"}, 200, 100), "a longer file begins like a shorter one"


def test_an_estimate_parts_the_start_from_the_events():
    found = estimate(SlowTask(), events=10_000, unit_events=4000, start_events=500, workers=2)
    assert found["units"] == 3
    # 10 s for the events and 20 starts of 0.1 s, on two workers; sleeping takes longer on a busy machine, never less.
    assert 4.5 < found["estimated_seconds"] < 12.0
    # Three numbers of 8 bytes (two of them halves), an offset, and 1.5 numbers in the list on average.
    assert found["estimated_bytes"] == pytest.approx(10_000 * (24 + 8 + 12), rel=0.1)


class WarmingTask(Task):
    """Takes 1 s the first time, as where libraries load, and 1 ms an event; or is slower for few than for many."""

    schema = CountingTask().schema

    def __init__(self, noisy: bool = False) -> None:
        self._noisy, self._warm = noisy, False

    def run(self, unit):
        slow = (0.6 if unit.entries < 500 else 0.5) if self._noisy else 0.001 * unit.entries
        time.sleep(slow if self._warm else 1.0)
        self._warm = True
        yield from CountingTask().run(unit)


@pytest.mark.parametrize("noisy", [False, True])
def test_an_estimate_does_not_take_loading_for_a_start_nor_noise_for_speed(noisy):
    found = estimate(WarmingTask(noisy), events=10_000, unit_events=1000, start_events=10_000, workers=1)
    assert 9.0 < found["estimated_seconds"] < 20.0


def test_rows_of_nothing_have_no_bytes():
    assert row_bytes([]) == 0.0


def test_the_summary_and_the_sidecar(tmp_path):
    units = settings_units({"seed": 1}, 250, 100)
    path = tmp_path / "out.parquet"
    summary = generate_file(
        CountingTask(), units, path, command="generate counts", settings={"seed": 1}, workers=1, resume=False,
        overwrite=False,
    )  # fmt: skip
    assert summary["events"] == summary["written"] == 250
    sidecar = read_sidecar(path)
    assert sidecar is not None
    assert sidecar.file.sha256 == summary["sha256"]
    assert sidecar.provenance["command"] == "generate counts"
    assert sidecar.provenance["seed"] == pytest.approx(1)
