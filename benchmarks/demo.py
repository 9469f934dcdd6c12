"""What a demo reaches and how long it takes: ``python benchmarks/demo.py [APPLICATION] [--quick]``.

Runs ``castalia demo`` as a user does, from Pythia events to the report, in eight minutes on two cores (two with
--quick). The metrics of the simulation, the default, are held against its goals: mean Wasserstein excess within 0.3 of
the floor, KL divergence within 0.03 nat. Of other applications the summary is kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from record import Goal, write_result

SIMULATE: Final = "simulate"
OTHERS: Final = ("unfold", "scan", "classify", "pixels")


def simulation(metrics: dict[str, Any]) -> tuple[dict[str, Any], list[Goal]]:
    """Return what is kept of the metrics of a simulation's report, and its goals."""
    distance, divergence = metrics["mean_wasserstein"], metrics["kl_per_event"]
    goals = [
        Goal(
            "mean WD excess / floor",
            distance["excess"] / distance["floor"],
            "<=",
            0.3,
            error=distance["excess_error"] / distance["floor"],
        ),
        Goal("KL per event [nat]", divergence["value"], "<=", 0.03, error=divergence["error"]),
    ]
    names = ("events", "kl_per_event", "exact_auc", "mean_wasserstein", "two_sample_auc", "diphoton", "gate")
    rival = {name: metrics["rival"][name] for name in ("kl_per_event", "mean_wasserstein", "two_sample_auc")}
    values = {name: metrics[name] for name in names} | {
        "largest_width_discrepancy": metrics["resolution"]["largest_discrepancy"],
        "inclusive_pull_widths": metrics["resolution"]["inclusive"],
        "rival": rival,
    }
    return values, goals


def main() -> None:
    """Run the demo and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("application", nargs="?", default=SIMULATE, choices=(SIMULATE, *OTHERS))
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    named = [] if asked.application == SIMULATE else [asked.application]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "demo"
        quick = ["--quick"] if asked.quick else []
        words = [sys.executable, "-m", "castalia", "demo", *named, *quick, "-o", str(output), "--json"]
        begin = time.monotonic()
        done = subprocess.run(words, check=False, stdout=subprocess.PIPE, text=True)
        seconds = time.monotonic() - begin
        values, goals = {"summary": json.loads(done.stdout)} if named else {}, list[Goal]()
        if not named:
            values, goals = simulation(json.loads((output / "report" / "metrics.json").read_text()))
    goals += [
        Goal("seconds on two cores", seconds, "<=", 120.0 if asked.quick else 480.0),
        Goal("exit code", float(done.returncode), "<=", 0.0),
    ]
    write_result(
        "_".join(["demo", *named, *(["quick"] if asked.quick else [])]),
        values=values | {"seconds": seconds},
        goals=goals,
        paths=["src/castalia"],
        seeds=[1],
        seconds=seconds,
    )


if __name__ == "__main__":
    main()
