"""Mass shells and daughters' sums: exact where they close, known medians where a number was smeared."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.consistency import daughter_sum, mass_shell
from castalia.physics.four_vectors import from_cartesian, to_cartesian
from castalia.rng import Stream

EVENTS = 20_000


def particles(counter: int, mass: float = 80.4, width: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = Stream(15, "test particles").at(counter)
    masses = rng.normal(mass, width, EVENTS)
    eta, phi = rng.normal(0.0, 1.2, EVENTS), rng.uniform(-np.pi, np.pi, EVENTS)
    return to_cartesian(rng.gamma(2.0, 40.0, EVENTS), eta, phi, masses), masses


def test_particles_are_on_their_shell_and_both_peaks_agree() -> None:
    momentum, mass = particles(0)
    found = mass_shell(momentum, mass, scale=float((mass**2).std()))
    assert found.violation < 1e-9
    assert found.spacelike == found.spacelike_error == 0.0
    for peak in (found.drawn_peak, found.computed_peak):
        assert peak.mean == pytest.approx(80.4, abs=5.0 * 2.0 / np.sqrt(EVENTS))
        assert peak.width == pytest.approx(2.0 * 0.985, abs=5.0 * peak.error)
    assert found.events == EVENTS


@pytest.mark.statistical
def test_a_smeared_energy_leaves_the_shell_by_the_known_median() -> None:
    momentum, mass = particles(1)
    noise = Stream(15, "test noise").at().normal(size=EVENTS)
    # E² moves by as much as M² varies: the median of |N(0, 1)| is 0.6745.
    scale = float((mass**2).std())
    off = momentum.copy()
    off[:, 3] = np.sqrt(np.maximum(off[:, 3] ** 2 + scale * noise, 0.0))
    found = mass_shell(off, mass, scale)
    assert found.violation == pytest.approx(0.67449, abs=5.0 * found.violation_error)
    # The error of a median: sqrt(1/4n) over the density there, 2 φ(0.6745).
    assert found.violation_error == pytest.approx(np.sqrt(0.25 / EVENTS) / 0.6356, rel=0.2)
    assert found.computed_peak.width > 1.3 * found.drawn_peak.width


def test_space_like_momenta_are_counted_and_left_out_of_the_peak() -> None:
    momentum, mass = particles(2)
    momentum[: EVENTS // 4, 3] = 0.9 * np.linalg.norm(momentum[: EVENTS // 4, :3], axis=1)
    found = mass_shell(momentum, mass, 100.0)
    assert found.spacelike == 0.25
    assert found.spacelike_error == pytest.approx(np.sqrt(0.25 * 0.75 / EVENTS))
    assert found.computed_peak.events == EVENTS - EVENTS // 4
    momentum[:, 3] = 0.0
    assert np.isnan(mass_shell(momentum, mass, 100.0).computed_peak.mean)


@pytest.mark.statistical
def test_daughters_close_unless_the_parent_was_drawn_apart() -> None:
    daughters = np.stack([particles(3, 5.0, 0.1)[0], particles(4, 5.0, 0.1)[0]], axis=1)
    parent = daughters.sum(axis=1)
    scale = parent.std(axis=0)
    found = daughter_sum(parent, daughters, scale)
    assert found.violation < 1e-12
    mass = from_cartesian(parent)[3]
    assert found.peak.events == EVENTS
    assert mass.min() < found.peak.mean < mass.max()
    noise = Stream(15, "test parents").at().normal(size=parent.shape)
    off = daughter_sum(parent + 0.1 * scale * noise, daughters, scale)
    # The median of the largest of four |N(0, 1)|: (2Φ(m) − 1)⁴ = 1/2.
    assert off.violation == pytest.approx(0.1 * 1.4077, abs=5.0 * off.violation_error)


def test_bad_input_is_refused_in_words() -> None:
    momentum, mass = particles(5)
    with pytest.raises(DataError, match="one mass for each momentum"):
        mass_shell(momentum, mass[:-1], 1.0)
    with pytest.raises(DataError, match="a positive scale"):
        mass_shell(momentum, mass, 0.0)
    with pytest.raises(DataError, match="3 columns"):
        mass_shell(momentum[:, :3], mass, 1.0)
    with pytest.raises(DataError, match="four positive scales"):
        daughter_sum(momentum, momentum[:, None, :3], np.ones(4))
