"""What the demo reaches and how long it takes: ``python benchmarks/demo.py [--quick]``.

Runs ``castalia demo`` as a user does, from Pythia events to the report, and holds its metrics against the goals:
mean Wasserstein excess within 0.3 of the floor, KL divergence within 0.03 nat, eight minutes on two cores (two with
--quick).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import Goal, write_result


def main() -> None:
    """Run the demo and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "demo"
        words = [sys.executable, "-m", "castalia", "demo", *(["--quick"] if quick else []), "-o", str(output)]
        begin = time.monotonic()
        code = subprocess.run(words, check=False).returncode
        seconds = time.monotonic() - begin
        metrics = json.loads((output / "report" / "metrics.json").read_text())
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
        Goal("seconds on two cores", seconds, "<=", 120.0 if quick else 480.0),
        Goal("exit code", float(code), "<=", 0.0),
    ]
    write_result(
        "demo_quick" if quick else "demo",
        values={
            name: metrics[name]
            for name in (
                "events",
                "kl_per_event",
                "exact_auc",
                "mean_wasserstein",
                "two_sample_auc",
                "diphoton",
                "gate",
            )
        }
        | {
            "largest_width_discrepancy": metrics["resolution"]["largest_discrepancy"],
            "inclusive_pull_widths": metrics["resolution"]["inclusive"],
            "rival": {name: metrics["rival"][name] for name in ("kl_per_event", "mean_wasserstein", "two_sample_auc")},
            "seconds": seconds,
        },
        goals=goals,
        paths=["src/castalia"],
        seeds=[1],
        seconds=seconds,
    )


if __name__ == "__main__":
    main()
