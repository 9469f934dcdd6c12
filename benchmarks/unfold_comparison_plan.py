"""What the comparison of unfolding models trains and tries, and what the paper's own table says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from castalia.apps.unfold.judged_sample import FEWEST_EVENTS
from unfold_comparison_measures import DEFAULT

__all__ = ["AS_PUBLISHED", "CONTINUOUS", "FULL_PLAN", "PUBLISHED", "QUICK_PLAN", "TRIALS", "Plan"]

TUNED: Final = (DEFAULT, "vld", "uc_vld", "c_vld", "ldm", "vdm", "cvae", "cinn", "cinn_spline")
AS_PUBLISHED: Final[dict[str, dict[str, Any]]] = {
    "vld_paper": {},
    "uc_vld_paper": {},
    "c_vld_paper": {},
    "ldm_paper": {},
    "vdm_paper": {},
    "cvae": {"marginals": "standardise"},
    "cinn": {"marginals": "standardise"},
}
TRIALS: Final = tuple(
    {"learning_rate": rate, "marginals": marginals}
    for rate in (2e-3, 4e-3, 8e-3, 16e-3)
    for marginals in ("gaussianise", "standardise")
)
"""What every model of the tuned table tries."""

PUBLISHED: Final = {
    name: dict(zip(("wasserstein", "energy", "kolmogorov_smirnov", "kl64", "kl128", "kl256"), values, strict=True))
    for name, values in {
        "VLD": (108.76, 7.59, 4.08, 3.47, 3.74, 4.53),
        "UC-VLD": (73.56, 6.35, 3.41, 5.77, 7.10, 8.48),
        "C-VLD": (389.62, 25.39, 4.65, 9.54, 10.09, 10.79),
        "LDM": (402.32, 24.09, 5.91, 14.71, 16.34, 17.92),
        "VDM": (2478.35, 181.35, 17.14, 29.28, 32.29, 35.60),
        "CVAE": (484.56, 32.29, 6.37, 7.79, 9.17, 10.60),
        "CINN": (3009.08, 185.13, 15.74, 28.55, 30.19, 32.37),
    }.items()
}
"""The paper's own table, arXiv:2305.10399: sums over 55 numbers, on its own samples."""

CONTINUOUS: Final = 49
"""Of the 55 numbers those that have a density: six masses have not."""


@dataclass(frozen=True)
class Plan:
    """Size of the comparison.

    Attributes:
        name: Name of the result.
        judged: Samples that are judged on.
        tuned: Models of the tuned table.
        published: Models of the paper's.
        trials: How many of the trials.
        seeds: Seeds of the tuned table; the first is the paper table's.
        epochs: Of a training; a trial has a quarter.
        options: Of every model.
        draws: Draws of each event that is scored.
        prior_events: Training events that are reweighted.
        fewest: Events to judge on that are needed: with half as many as the command wants, the joint test has no power.
    """

    name: str
    judged: tuple[str, ...]
    tuned: tuple[str, ...]
    published: tuple[str, ...]
    trials: int
    seeds: tuple[int, ...]
    epochs: int
    options: Mapping[str, Any] = field(default_factory=dict)
    draws: int = 100
    prior_events: int = 50_000
    fewest: int = FEWEST_EVENTS


# 274,000 training events make 2,140 steps an epoch: 8,600 in all, some nine minutes of a core. More epochs would make
# every model better, and the table cost more than half a day.
FULL_PLAN = Plan(
    "unfold_comparison",
    ("test",),
    TUNED,
    tuple(AS_PUBLISHED),
    len(TRIALS),
    (1, 2, 3),
    4,
    draws=50,
)
QUICK_PLAN = Plan(
    "unfold_comparison_quick",
    ("test", "data"),
    (DEFAULT, "vld", "cvae"),
    (),
    2,
    (1,),
    8,
    {"encoder": {"width": 16, "heads": 2, "blocks": 1}},
    40,
    3_000,
    950,
)
