"""Does the pixel background look as it should, sensor by sensor? ``python benchmarks/pxd_sanity.py [--quick]``.

Events at the reference, in one process. Measured: events per second of processor time, simulated and through to a
finished Parquet file; occupancy of every sensor, charge quantiles, modulation with the azimuth, variances and common
mode beside the reference figures; cluster sizes; variance of the event's total over the sum of the sensors' variances
and the excess of hits that match between the layers, each beside the same with sensors shuffled among events, where
nothing is shared. A page with the figures is written to ``build/pxd_sanity``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.pxd.conditions import KNOBS, BeamConditions
from castalia.detectors.pxd.events import background_events
from castalia.metrics.pixels.shared import Measured, variance_ratio
from castalia.production.pxd import PxdRequest, generate_pxd
from castalia.rng import Stream
from pxd_sanity_measures import (
    COMMON_MODE,
    LAYER_1,
    LAYER_MEANS,
    LEVELS,
    MODULATION,
    QUANTILES,
    VARIANCE_OVER_MEAN,
    Block,
    block_of,
    common_mode,
    forward_over_backward,
    layer_mean,
    modulation,
    per_cent,
    quantile_errors,
    quantiles,
    variance_over_mean,
)
from pxd_sanity_page import write_page
from record import ROOT, Goal, write_result

PATHS = [
    *(f"src/castalia/{one}" for one in ("detectors/pxd", "metrics/pixels", "production/pxd.py")),
    *(f"benchmarks/pxd_sanity{part}.py" for part in ("", "_measures", "_page")),
]
PAGE = ROOT / "build" / "pxd_sanity"
BLOCK, AT_ONCE = 10, 2


def simulate(events: int, **knobs: float) -> tuple[list[Block], float]:
    """Make and measure events; return also the processor's seconds of the simulation alone."""
    blocks, seconds, values = [], 0.0, {**KNOBS, **knobs}
    conditions = BeamConditions(**{name: np.full(BLOCK, one) for name, one in values.items()})
    few = BeamConditions(**{name: np.full(AT_ONCE, one) for name, one in values.items()})
    stream = Stream(1, "pixel sanity", str(knobs))
    for number in range(events // BLOCK):
        # The rate is that of small batches, as production makes them; one in ten blocks is enough of it.
        if number % 10 == 0:
            begin = time.process_time()
            for part in range(BLOCK // AT_ONCE):
                background_events(few, Stream(2, "pixel rate", str(number)).at(part))
            seconds += time.process_time() - begin
        blocks.append(block_of(background_events(conditions, stream.at(number)).hits))
    return blocks, seconds / (BLOCK * -(-(events // BLOCK) // 10))


def file_rate(events: int) -> float:
    """Return events per second of processor time from nothing to a finished Parquet file."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        generate_pxd(PxdRequest(events, Path(folder) / "background.parquet"))
        return events / (time.process_time() - begin)


def shuffled(counts: NDArray[np.int64]) -> Measured:
    """Return the ratio of variances with every sensor's events in an order of its own: the floor."""
    rng = Stream(1, "pixel sanity shuffle").at()
    return variance_ratio(rng.permuted(counts, axis=0))


def off(found: Measured, reference: float, name: str, budget: float = 0.05) -> Goal:
    """Claim that a figure is within 5 per cent of the reference."""
    return Goal(
        f"|{name} / reference - 1|",
        abs(found.value / reference - 1.0),
        "<=",
        budget,
        found.error / reference,
        peer=f"released evaluation of IEA-GAN: {reference:g}",
    )


def goals(blocks: list[Block], rate: float) -> list[Goal]:
    """Return what is claimed."""
    counts = np.concatenate([one.occupancy for one in blocks])
    found, error = per_cent(counts)
    bias = found[:16] / LAYER_1 - 1.0
    worst = int(np.abs(bias).argmax())
    total = np.sum([one.charges for one in blocks], axis=0)
    rows = zip(LEVELS, quantiles(total), quantile_errors(blocks), QUANTILES, strict=True)
    shared = common_mode(counts)
    return [
        Goal("events/s of processor time, simulated", rate, ">=", 20.0),
        Goal("|occupancy / reference - 1|, worst sensor of layer 1", abs(bias[worst]), "<=", 0.05, error[worst]),
        *(off(layer_mean(counts, one), LAYER_MEANS[one], f"occupancy of layer {one}") for one in (1, 2)),
        *(off(modulation(counts, one), MODULATION[one], f"cos(phi) in layer {one}") for one in (1, 2)),
        *(
            off(Measured(value, spread), reference, f"charge quantile {100.0 * level:g} %")
            for level, value, spread, reference in rows
        ),
        off(variance_over_mean(counts), VARIANCE_OVER_MEAN, "variance over mean of a sensor's occupancy"),
        Goal("relative spread common to opposite sensors", shared.value, "<=", COMMON_MODE, shared.error),
    ]


def values_of(blocks: list[Block], without: list[Block], rate: float, to_file: float) -> dict[str, Any]:
    """Return what the result file says."""
    counts, free = (np.concatenate([one.occupancy for one in many]) for many in (blocks, without))
    found, error = per_cent(counts)
    total = np.sum([one.charges for one in blocks], axis=0)
    sizes = {
        name: np.concatenate([getattr(one.clusters, name) for one in blocks]) for name in ("size", "size_u", "size_v")
    }
    matched = np.array([one.matched.value for one in blocks])
    pairs = {
        "variance_ratio": variance_ratio(counts),
        "variance_ratio_shuffled": shuffled(counts),
        "variance_ratio_without_common_mode": variance_ratio(free),
        "common_mode": common_mode(counts),
        "common_mode_without": common_mode(free),
        "matched_hit_excess": Measured(float(matched.mean()), float(matched.std(ddof=1) / np.sqrt(len(matched)))),
        **{f"forward_over_backward_layer_{one}": forward_over_backward(counts, one) for one in (1, 2)},
        **{f"modulation_layer_{one}": modulation(counts, one) for one in (1, 2)},
        **{f"occupancy_layer_{one}": layer_mean(counts, one) for one in (1, 2)},
        "variance_over_mean": variance_over_mean(counts),
    }
    return {
        "events": len(counts),
        "events_per_processor_second": {"simulated": rate, "to_file": to_file},
        "occupancy": {"percent": found, "error": error, "reference_layer_1": LAYER_1},
        "charge_quantiles": {"levels": LEVELS, "found": quantiles(total), "reference": QUANTILES},
        "mean_cluster": {name: float(one.mean()) for name, one in sizes.items()},
        "figures": {name: {"value": one.value, "error": one.error} for name, one in pairs.items()},
    }


def main() -> None:
    """Measure, write the page and the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    begin = time.monotonic()
    events, filed = (100, 20) if quick else (1_000, 200)
    blocks, seconds = simulate(events)
    without, _ = simulate(events // 2, common_mode=0.0)
    values = values_of(blocks, without, 1.0 / seconds, file_rate(filed))
    page = write_page(blocks, values, PAGE)
    write_result(
        "pxd_sanity_quick" if quick else "pxd_sanity",
        values={**values, "page": str(page.relative_to(ROOT))},
        goals=goals(blocks, 1.0 / seconds),
        paths=PATHS,
        seeds=[1],
        seconds=time.monotonic() - begin,
    )


if __name__ == "__main__":
    main()
