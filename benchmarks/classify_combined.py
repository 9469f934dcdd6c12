"""Features of pairs, pre-training and decays, one, two or all: ``python benchmarks/classify_combined.py [--quick]``.

Top-quark pairs against heavy Higgs bosons at 1,000, 4,000 and 16,000 events a class: a transformer to whose attention
the masses and distances of pairs are given (pairwise), that begins from both pretexts (pretrained), that learns the
relations of objects with a weight of 1 (decay), with two of the three, with all, and with all and the high-level
variables that the rival to beat has, boosted trees. Every arm has the same eight trials at 1,000 and at 4,000
events, by the loss of all 32,000 validation events; at 16,000 the learning rate, or the kind of trees, is that of
4,000, and fewer and more epochs, or trees, are tried. Five seeds, four of 16,000, each with training events of its
own. Judged on 100,000 test events by the code of ``castalia classify evaluate``. Each
pre-training is made once, for all seeds.

A finished trial or training is a row of the result, and its run is kept, also for the other two benchmarks: the script
goes on from there. ``--only`` and ``--size`` restrict what is trained, so that two processes can share the work. All of
it takes some 3 hours of a core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Final

from classify_jobs import conduct, table_of
from classify_measures import Row, Rows, ahead, curves_of, learns, summary
from classify_plan import FULL, OBSERVABLES, PRETEXT, QUICK, Forms, Plan
from classify_run import SOURCES, Arm
from record import Goal, write_result

__all__ = ["ARMS", "PATHS", "claims", "plans"]

PATHS: Final = ["benchmarks/classify_combined.py", *SOURCES]

SIGNAL: Final = "heavy_higgs"
PARTS: Final = ("pairwise", "pretrained", "decay")


def _network(pairwise: bool, pretrained: bool, decay: bool) -> Arm:
    used = [name for name, part in zip(PARTS, (pairwise, pretrained, decay), strict=True) if part]
    return Arm(
        "all" if len(used) == len(PARTS) else "_".join(used),
        options={"backbone": {"pairwise": pairwise}, **({"decay_weight": 1.0} if decay else {})},
        pretext=PRETEXT if pretrained else None,
    )


INFORMED: Final = replace(_network(True, True, True), name="all_observables", observables=True)
"""All together, and given what the rival is given."""

ARMS: Final = (*(_network(*parts) for parts in product((False, True), repeat=3) if any(parts)), INFORMED, OBSERVABLES)

FULL_PLAN: Final = Plan("classify_combined", ARMS, (SIGNAL,), FULL.sizes, FULL.trials)
QUICK_PLAN: Final = Plan(
    "classify_combined_quick",
    tuple(arm for arm in ARMS if arm.name in ("pairwise", "all", OBSERVABLES.name)),
    (SIGNAL,),
    QUICK.sizes,
    QUICK.trials,
)


def plans(quick: bool) -> tuple[tuple[Plan, ...], Forms]:
    """Return what is trained."""
    return ((QUICK_PLAN,), QUICK) if quick else ((FULL_PLAN,), FULL)


def claims(plans: Sequence[Plan], rows: Rows) -> tuple[dict[str, Any], list[Goal]]:
    """Sum up the rows that are there, and state the goals; of the quick form, that every arm learns."""
    (plan,) = plans
    table = table_of(plan, rows, SIGNAL)
    values = {
        "table": {name: {str(size): summary(one) for size, one in found.items()} for name, found in table.items()},
        "auc_curves": curves_of(table),
        "improvement_curves": curves_of(table, "improvement"),
    }
    goals = []
    if plan is QUICK_PLAN:
        return values, [learns(name, found.get(plan.sizes[0].events, [])) for name, found in table.items()]
    for size in plan.sizes:
        found = {name: by_size.get(size.events, []) for name, by_size in table.items()}
        ours = found["all"]
        goals += [ahead(f"all together ahead of {one} at {size.events}", ours, found[one]) for one in PARTS]
        for name in ("all", INFORMED.name):
            goals.append(
                ahead(f"{name} ahead of {OBSERVABLES.name} at {size.events}", found[name], found[OBSERVABLES.name])
            )
        goals.append(_calibrated(size.events, ours))
    return values, goals


def _calibrated(size: int, rows: list[Row]) -> Goal:
    errors = [row["calibration_error_debiased"] for row in rows]
    mean = sum(errors) / len(errors) if errors else None
    return Goal(f"expected calibration error, debiased, of all together on {SIGNAL} at {size}", mean, "<=", 0.01)


def main() -> None:
    """Train and judge what is missing, and write the result."""
    write_result(**conduct(__doc__ or "", plans, PATHS, claims))


if __name__ == "__main__":
    main()
