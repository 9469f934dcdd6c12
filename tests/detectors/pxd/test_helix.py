"""Helices through the ladders' planes, against a walk along the circle in small steps."""

import dataclasses

import numpy as np
import pytest

from castalia.detectors.pxd import helix
from castalia.detectors.pxd.geometry import LADDERS, LAYERS, SHIFT, WIDTH
from castalia.detectors.pxd.helix import Helices, crossings, curvature_radius
from castalia.rng import Stream

STEPS = 40_000


def tracks(count=60):
    rng = Stream(4, "helices").at()
    phi = rng.uniform(0.0, 2.0 * np.pi, count)
    return Helices(
        event=np.arange(count),
        x=rng.normal(0.0, 3.0, count),
        y=rng.normal(0.0, 3.0, count),
        z=rng.normal(0.0, 5.0, count),
        phi=phi,
        radius=np.exp(rng.uniform(np.log(7.0), np.log(60.0), count)),
        sense=np.where(rng.random(count) < 0.5, -1.0, 1.0),
        slope=rng.normal(0.0, 0.4, count),
        ionisation=np.ones(count),
    )


def walked(found, number, turns):
    """Walk along one track and note ladder, z and u in cells wherever it changes the side of a sensor's plane."""
    psi = np.linspace(0.0, 2.0 * np.pi * turns, STEPS * turns)
    phi, sense, radius = found.phi[number], found.sense[number], found.radius[number]
    x = found.x[number] + sense * radius * (np.sin(phi + sense * psi) - np.sin(phi))
    y = found.y[number] - sense * radius * (np.cos(phi + sense * psi) - np.cos(phi))
    z = found.z[number] + radius * found.slope[number] * psi
    seen = []
    for ladder, (layer, normal) in enumerate(LADDERS):
        side = x * np.cos(normal) + y * np.sin(normal) - LAYERS[layer].distance
        step = np.flatnonzero(np.sign(side[1:]) != np.sign(side[:-1]))
        share = side[step] / (side[step] - side[step + 1])
        tangential = -x * np.sin(normal) + y * np.cos(normal)
        tangential = tangential[step] + share * (tangential[step + 1] - tangential[step])
        along = z[step] + share * (z[step + 1] - z[step])
        u = (tangential - SHIFT + 0.5 * WIDTH) / 0.05
        off = np.abs(along - LAYERS[layer].middle)
        inside = (u >= 0.0) & (u < 250.0) & (off > 0.425) & (off < 0.425 + LAYERS[layer].length)
        seen += [(ladder, position, place) for place, position in zip(u[inside], along[inside], strict=True)]
    return sorted(seen)


def met(found, turns):
    passed = crossings(found, turns)
    layer = np.array([one for one, _ in LADDERS])[passed.sensor // 2]
    z = []
    for sensor, number, v in zip(passed.sensor, layer, passed.v, strict=True):
        one = LAYERS[number]
        distance = v * one.outer_pitch if v < 512 else one.split + (v - 512) * one.inner_pitch
        z.append(one.middle + (0.425 + one.length - distance) * (1.0 if sensor % 2 == 0 else -1.0))
    return [
        sorted(
            (int(sensor) // 2, position, u)
            for event, sensor, u, position in zip(passed.event, passed.sensor, passed.u, z, strict=True)
            if event == number
        )
        for number in range(len(found.x))
    ]


@pytest.mark.parametrize("turns", [1, 3])
def test_crossings_are_those_of_a_walk_along_the_circle(turns):
    found = tracks()
    met_by = met(found, turns)
    expected = [walked(found, number, turns) for number in range(len(found.x))]
    assert [[row[0] for row in rows] for rows in met_by] == [[row[0] for row in rows] for rows in expected]
    got, wanted = (np.concatenate([np.array(rows).reshape(-1, 3) for rows in all_]) for all_ in (met_by, expected))
    assert len(wanted) > 100
    # A step is 60 mm * 2 pi / 40,000 = 9 micrometres at most; within it the walk is straight.
    assert got[:, 2] == pytest.approx(wanted[:, 2], abs=0.02)
    assert got[:, 1] == pytest.approx(wanted[:, 1], abs=0.001)
    mirrored = met(dataclasses.replace(found, sense=-found.sense), turns)
    assert [len(rows) for rows in mirrored] != [len(rows) for rows in expected], "the negative control"


def test_a_soft_track_comes_back_turn_after_turn_and_a_hard_one_does_not():
    soft = dataclasses.replace(
        tracks(1), x=np.zeros(1), y=np.zeros(1), z=np.full(1, 1.0), phi=np.full(1, 0.3), radius=np.full(1, 9.0),
        slope=np.full(1, 0.05),
    )  # fmt: skip
    number = [len(crossings(soft, turns).u) for turns in (1, 2, 3)]
    assert number[0] >= 2, "out and in again"
    assert number == [number[0], 2 * number[0], 3 * number[0]]
    hard = dataclasses.replace(soft, radius=np.full(1, 1e5))
    assert len(crossings(hard, 1).u) == len(crossings(hard, 3).u) == 2, "one for each layer, and none behind"


def test_the_slope_is_the_direction_of_the_track():
    # Straight up in the ladder at phi = 0: no slope along u, the slope of the track along the beam, against v.
    track = Helices(*(np.array([value]) for value in (0, 0.0, SHIFT, 20.0, 0.0, 1e7, 1.0, 0.5, 1.0)))
    passed = crossings(track, 1)
    assert passed.sensor[0] == 0
    assert passed.slope_u[0] == pytest.approx(0.0, abs=1e-4)
    assert passed.slope_v[0] == pytest.approx(-0.5, abs=1e-4)
    assert passed.u[0] == pytest.approx(125.0, abs=1e-2)
    grazing = crossings(dataclasses.replace(track, slope=np.array([-1.0]), phi=np.array([1.2])), 1)
    assert np.all(np.abs(grazing.slope_u) <= helix._STEEPEST)


def test_radius_of_a_known_momentum():
    # 1 GeV in 1.5 T: p = 0.2998 B R.
    assert curvature_radius(np.array([1000.0]))[0] == pytest.approx(2223.8, abs=0.1)
