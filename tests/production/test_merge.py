"""Completeness of the merge: no unit missing, none twice, every row there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from production_tasks import SCHEMA, CountingTask

from castalia.data.readers import open_reader
from castalia.data.writers import open_writer
from castalia.errors import MachineError
from castalia.production.merge import Merged, merge
from castalia.production.parts import Parts, open_parts
from castalia.production.units import Unit, plan_units
from castalia.production.workers import run_unit

UNITS = plan_units("k", 400, 100)


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """Four finished parts."""
    with open_parts(tmp_path / "out.parquet", "job", resume=False, overwrite=False) as opened:
        for unit in UNITS:
            run_unit(CountingTask(), unit, opened, lambda: None)
        yield opened


def _merge(parts: Parts, finished: tuple[Unit, ...]) -> Merged:
    output = parts.folder.with_suffix("")
    return merge(finished, UNITS, parts, output, SCHEMA, tree="events", accept=None, check=lambda: None)


def test_parts_come_in_the_order_of_their_units(parts: Parts) -> None:
    first = _merge(parts, UNITS)
    assert first.written.entries == 400
    assert first.counts == {"read": 400, "odd": 8, "written": 400}
    assert _merge(parts, UNITS[::-1]).written == first.written


def test_a_missing_unit_is_noticed(parts: Parts) -> None:
    with pytest.raises(MachineError, match="2 units are missing"):
        _merge(parts, (UNITS[0], UNITS[1], UNITS[3])[:2])
    with pytest.raises(MachineError, match="2 units are missing"):
        _merge(parts, (UNITS[0], UNITS[1], UNITS[3]))
    assert not parts.folder.with_suffix("").exists()


def test_a_unit_that_comes_twice_is_noticed(parts: Parts) -> None:
    with pytest.raises(MachineError, match="unit 1 was finished twice"):
        _merge(parts, (UNITS[0], UNITS[1], UNITS[1], UNITS[2], UNITS[3]))


def test_a_part_of_another_job_is_not_taken(parts: Parts) -> None:
    with pytest.raises(MachineError, match="has disappeared"):
        _merge(Parts(parts.folder, "another job"), UNITS)


def test_lost_rows_are_noticed(parts: Parts) -> None:
    path = parts.path(UNITS[2])
    with open_reader(path) as reader:
        (table,) = reader.iterate(SCHEMA.names, 1000, 0, 99)
    with open_writer(path, SCHEMA) as writer:
        writer.write(table)
    with pytest.raises(MachineError, match="has 99 rows instead of 100"):
        _merge(parts, UNITS)
