"""Planning of units."""

from __future__ import annotations

import pytest

from castalia.errors import ConfigError
from castalia.production.units import plan_units


@pytest.mark.parametrize(("entries", "size", "draws"), [(1, 1, 1), (10, 3, 1), (10, 3, 4), (9, 3, 2), (5, 100, 3)])
def test_units_cover_every_entry_once_a_draw(entries: int, size: int, draws: int) -> None:
    units = plan_units("k", entries, size, draws, first_index=7)
    assert [unit.index for unit in units] == list(range(7, 7 + len(units)))
    for draw in range(draws):
        covered = [entry for unit in units if unit.draw == draw for entry in range(unit.start, unit.stop)]
        assert covered == list(range(entries))
    assert max(unit.entries for unit in units) <= size
    assert len({unit.key for unit in units}) == len(units)


def test_a_key_is_the_content_the_range_and_the_draw() -> None:
    key = plan_units("k", 10, 5)[1].key
    assert key == plan_units("k", 10, 5, source="elsewhere.root", first_index=3)[1].key
    others = [plan_units("other", 10, 5)[1], plan_units("k", 9, 5)[1], plan_units("k", 10, 5, 2)[3]]
    assert key not in [unit.key for unit in others]


def test_members_differ_in_their_work_and_share_their_noise() -> None:
    alone, units = plan_units("k", 10, 5, 2), plan_units("k", 10, 5, 2, members=3)
    assert len({unit.key for unit in units}) == len(units) == 12
    assert [unit.index for unit in units] == list(range(12))
    nominal = [unit for unit in units if unit.member == 0]
    assert [unit.key for unit in nominal] == [unit.key for unit in alone], "members change what is known of the nominal"
    for unit in units:
        (same,) = [one for one in nominal if (one.start, one.draw) == (unit.start, unit.draw)]
        assert unit.noise_key == same.noise_key == same.key


@pytest.mark.parametrize("numbers", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (-5, 1, 1)])
def test_nothing_to_do_is_an_error(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="give at least 1"):
        plan_units("k", *numbers)
