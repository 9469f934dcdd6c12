"""``castalia demo scan``: heavy Higgs bosons at scattered masses, a flow of p(x | masses), a fit, a report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from castalia.cli.console import StepProgress
from castalia.cli.demo_steps import DemoSteps, say
from castalia.errors import CastaliaError
from castalia.processes.points import Choice

__all__ = ["demo_scan"]

CONFIG = """\
# p(x | m_H, m_Hpm) of heavy Higgs bosons, learned from events at scattered masses, beside p(x) of top-quark pairs.
# To learn your own, change the file names and the columns; docs/scan.md explains every key.
[data]
files = ["signal.parquet"]
selection = "semileptonic"               # one lepton, four jets, two of them b-tagged

[parameters]
m_H = {{ column = "theta_m_H", unit = "GeV" }}
m_Hpm = {{ column = "theta_m_Hpm", unit = "GeV" }}

[observables]
m_total = {{ column = "m_total", unit = "GeV", bounds = [0.0, inf] }}
m_jjbb = {{ column = "m_jjbb", unit = "GeV", bounds = [0.0, inf] }}
m_lvbb = {{ column = "m_lvbb", unit = "GeV", bounds = [0.0, inf] }}
m_bb = {{ column = "m_bb", unit = "GeV", bounds = [0.0, inf] }}
m_jjb = {{ column = "m_jjb", unit = "GeV", bounds = [0.0, inf] }}
ht = {{ column = "ht", unit = "GeV", bounds = [0.0, inf] }}

[background]
files = ["ttbar.parquet"]

[model]
preset = "scan"

[training]
epochs = {epochs}
batch_size = 128                         # some 6,000 events are selected: small batches make enough steps of them
seed = {seed}
"""

TRUTH = {"m_H": 475.0, "m_Hpm": 310.0}
"""The point of the pseudo-data, in GeV; no training event was made there."""

INTERVALS = {"m_H": (350.0, 600.0), "m_Hpm": (200.0, 450.0)}
"""Where training points are drawn, in GeV, as far as m_H exceeds m_Hpm by the mass of a W boson."""


@dataclass(frozen=True)
class _Size:
    signal: int
    background: int
    observed_signal: int
    observed_background: int
    epochs: int
    expected: tuple[float, float, float, float, float]  # seconds of each step on two cores


FULL = _Size(60_000, 60_000, 4_000, 20_000, 30, (110, 90, 40, 90, 40))
QUICK = _Size(16_000, 12_000, 1_600, 4_000, 30, (35, 20, 12, 25, 25))


def demo_scan(
    folder: Path, quick: bool, seed: int, workers: int, overwrite: bool
) -> tuple[dict[str, Any], CastaliaError | None]:
    """Generate signal and background, learn their densities, and fit pseudo-data made at one point of the masses.

    Returns:
        Summary of the fit, and the error to raise where it did not converge.
    """
    from castalia.apps.scan.run import FitRequest, fit_files
    from castalia.apps.scan.train import train
    from castalia.production.collider import ColliderRequest, generate_collider

    size = QUICK if quick else FULL
    config, run = folder / "scan.toml", folder / "run"
    started, steps = time.monotonic(), DemoSteps(size.expected, folder)

    def generate(
        process: str, name: str, events: int, seed: int, parameters: Mapping[str, Choice], progress: StepProgress
    ) -> tuple[Path, int]:
        output = folder / name
        request = ColliderRequest(
            process, events, output, parameters, point_events=200, seed=seed, workers=workers, overwrite=overwrite
        )
        return output, generate_collider(request, progress)["semileptonic"]

    with steps.step(f"Generate {size.signal} heavy Higgs bosons at scattered masses", "signal") as progress:
        generate("heavy-higgs", "signal.parquet", size.signal, seed, INTERVALS, progress)
    with steps.step(f"Generate {size.background} top-quark pairs", "background") as progress:
        generate("ttbar", "ttbar.parquet", size.background, seed + 1, {}, progress)
    point = ", ".join(f"{name} = {value:g} GeV" for name, value in TRUTH.items())
    with steps.step(f"Generate pseudo-data at {point}, with other seeds", "pseudo-data") as progress:
        signal, signals = generate(
            "heavy-higgs", "observed_signal.parquet", size.observed_signal, seed + 2, TRUTH, progress
        )
        ttbar, ttbars = generate("ttbar", "observed_ttbar.parquet", size.observed_background, seed + 3, {}, progress)

    config.write_text(CONFIG.format(epochs=size.epochs, seed=seed), encoding="utf-8")
    with steps.step(f"Learn p(x | masses) and p(x) with normalizing flows ({config})", "training") as progress:
        train(config, run, overwrite=overwrite, progress=progress)
    with steps.step(
        "Fit the masses and the fraction of signal, with contours around the true point", "fit"
    ) as progress:
        truth = {**TRUTH, "signal_fraction": signals / (signals + ttbars)}
        request = FitRequest(
            run=run, files=(signal, ttbar), output=folder / "report", truth=truth, seed=seed, overwrite=overwrite
        )
        summary, failure = fit_files(request, progress)
    say(f"Open {folder / 'report' / 'report.html'} in a browser. The same steps by hand are in docs/scan.md.")
    return {**summary, "seconds": round(time.monotonic() - started, 1)}, failure
