"""The pixel detector's sensors: basf2's numbers, sizes, and cells that meet where the pitch changes."""

import numpy as np
import pytest

from castalia.detectors.pxd.geometry import LADDERS, LAYERS, SENSORS, VXD_IDS, sensor_at, v_position


def test_sensors_are_numbered_as_basf2_does():
    # Layer, ladder and sensor of basf2's VxdID as it prints them, and the number itself.
    known = {0: 0x2120, 15: 0x2840, 16: 0x4120, 39: 0x4C40}  # 1.1.1, 1.8.2, 2.1.1, 2.12.2
    assert {place: int(VXD_IDS[place]) for place in known} == known
    assert len(set(VXD_IDS.tolist())) == SENSORS == 2 * len(LADDERS)
    assert np.all(np.diff(VXD_IDS.astype(int)) > 0)


def test_sensors_are_as_long_as_the_description_says():
    assert [layer.length for layer in LAYERS] == pytest.approx([44.8, 61.44])


@pytest.mark.parametrize(("ladder", "layer"), [(3, 0), (11, 1)])
def test_a_position_along_the_beam_has_one_sensor(ladder, layer):
    one = LAYERS[layer]
    inner, outer = 0.5 * 0.85, 0.5 * 0.85 + one.length
    z = one.middle + np.array(
        [-outer - 0.01, -outer + 0.01, -inner - 0.01, 0.0, inner + 0.01, outer - 0.01, outer + 0.01]
    )
    sensor, distance = sensor_at(np.full(len(z), ladder), z)
    assert sensor.tolist() == [-1, 2 * ladder + 1, 2 * ladder + 1, -1, 2 * ladder, 2 * ladder, -1]
    assert distance[[1, 2, 4, 5]] == pytest.approx([0.01, one.length - 0.01, one.length - 0.01, 0.01])


@pytest.mark.parametrize("sensor", [0, 39])
def test_cells_meet_where_the_pitch_changes(sensor):
    layer = LAYERS[0 if sensor < 16 else 1]
    ends = np.array([0.0, layer.split - 1e-9, layer.split + 1e-9, layer.length])
    v, pitch = v_position(np.full(4, sensor), ends)
    assert v == pytest.approx([0.0, 512.0, 512.0, 768.0], abs=1e-6)
    assert pitch == pytest.approx([layer.outer_pitch] * 2 + [layer.inner_pitch] * 2)
