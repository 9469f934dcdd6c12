"""Truth and draws of the same events: which shapes fit, and that pieces lose nothing."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics import draws as module
from castalia.metrics.draws import as_event_draws
from castalia.rng import Stream


def test_pieces_are_all_events_in_order_as_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = Stream(1, "test draws").at()
    truth, made = rng.normal(size=(25, 2)), rng.normal(size=(25, 7, 2)).astype(np.float32)
    monkeypatch.setattr(module, "_PIECE", 60)
    pieces = list(as_event_draws(truth, made).pieces())
    assert [len(true) for _, true, _ in pieces] == [4, 4, 4, 4, 4, 4, 1]
    np.testing.assert_array_equal(np.concatenate([true for _, true, _ in pieces]), truth)
    assert all(piece.dtype == np.float64 for _, _, piece in pieces)
    np.testing.assert_array_equal(np.concatenate([piece for _, _, piece in pieces]), made.astype(np.float64))
    assert [rows.start for rows, _, _ in pieces] == list(range(0, 25, 4))


def test_one_component_needs_no_axis_and_whole_numbers_are_numbers() -> None:
    both = as_event_draws([1.0, 2.0], [[1, 2, 3], [4, 5, 6]])
    assert both.truth.shape == (2, 1)
    assert both.draws.shape == (2, 3, 1)


def test_bad_input_is_refused_in_words() -> None:
    for truth, made in (
        (np.zeros((3, 2)), np.zeros((3, 5))), (np.zeros((3, 2)), np.zeros((4, 5, 2))),
        (np.zeros((3, 2)), np.zeros((3, 5, 1))), (np.zeros(3), np.zeros((3, 1))),
    ):  # fmt: skip
        with pytest.raises(DataError, match="do not fit a truth"):
            as_event_draws(truth, made)
    made = np.zeros((3, 5, 2))
    made[2, 4, 1] = np.nan
    with pytest.raises(DataError, match="event 2, draw 4, component 1"):
        list(as_event_draws(np.zeros((3, 2)), made).pieces())
