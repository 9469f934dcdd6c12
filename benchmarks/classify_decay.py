"""Does learning the decays beside the classes help? ``python benchmarks/classify_decay.py [--quick] [--only ARM]``.

A transformer without features of pairs learns, beside the class, the relation of every pair of objects, with a weight w
of 0, 0.3, 1, 3 or 5 in the loss. What is claimed is claimed of w = 1, said beforehand; the others are a table. Controls
at the same w: every object has the ancestors of a random one (random), or those of its like in another event of its
class (shuffled), from which classes can be told but no decays. Rivals: an MLP, and boosted trees, raw and with
high-level variables. Top-quark pairs against heavy Higgs bosons (425, 325) and against Z' bosons (1000); 1,000, 4,000
and 16,000 events a class, other weights and shuffled relations not at 16,000. Every arm has the same eight trials at
1,000 and at 4,000 events, made with heavy Higgs bosons, by the loss of all 32,000 validation events; at 16,000 the
learning rate, or the kind of trees, is that of 4,000, and fewer and more epochs, or trees, are tried. The best epoch is
that of the classes in all arms. Five seeds, four of 16,000, each with training events of its own. Judged on 100,000
test events.

The model of arXiv:2212.08759, graph attention 256 wide, is trained beside them with 4,000 events a class of heavy Higgs
bosons, 20 epochs (published) and AdamW: w of 0 and 1 and random relations, three seeds, two learning rates tried.

A finished trial or training is a row of the result, and its run is kept: the script goes on from there. ``--only`` and
``--size`` restrict what is trained, so that two processes can share the work. A step costs some 0.17 ms an event, of
the published model 0.9 ms: all of it takes some 4 hours of a core.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from classify_jobs import conduct, table_of
from classify_measures import AHEAD, Row, Rows, ahead, curve_of, curves_of, learns, saved, summary
from classify_plan import FULL, OBSERVABLES, QUICK, Forms, Plan, Size
from classify_run import SOURCES, Arm
from record import Goal, write_result

__all__ = ["PATHS", "claims", "plans"]

PATHS: Final = ["benchmarks/classify_decay.py", *SOURCES]

PLAIN: Final[dict[str, Any]] = {"backbone": {"pairwise": False}}
PUBLISHED: Final[dict[str, Any]] = {"backbone": {"kind": "graph", "pairwise": False}}
AS_PUBLISHED: Final = {"optimiser": "adamw"}

SCRATCH: Final = Arm("w0", options=PLAIN)
DECAY_AWARE: Final = Arm("w1", options={**PLAIN, "decay_weight": 1.0})
OTHER_WEIGHTS: Final = tuple(
    Arm(f"w{weight:g}", options={**PLAIN, "decay_weight": weight}) for weight in (0.3, 3.0, 5.0)
)
RANDOM: Final = Arm("random", options=DECAY_AWARE.options, relations="random")
SHUFFLED: Final = Arm("shuffled", options=DECAY_AWARE.options, relations="shuffled")
RIVALS: Final = (Arm("mlp", "mlp"), Arm("boosted_trees", "boosted_trees"), OBSERVABLES)

CLAIMED: Final = (SCRATCH, DECAY_AWARE, RANDOM, *RIVALS)
"""Arms at every size."""

FULL_PLANS: Final = (
    Plan(
        "classify_decay",
        (*CLAIMED, *OTHER_WEIGHTS, SHUFFLED),
        ("heavy_higgs", "zprime"),
        (*FULL.sizes[:-1], replace(FULL.sizes[-1], only=tuple(arm.name for arm in CLAIMED))),
        FULL.trials,
    ),
    Plan(
        "classify_decay",
        (
            Arm("published_w0", "decay_aware", {**PUBLISHED, "decay_weight": 0.0}, AS_PUBLISHED),
            Arm("published_w1", "decay_aware", {**PUBLISHED, "decay_weight": 1.0}, AS_PUBLISHED),
            Arm(
                "published_random", "decay_aware", {**PUBLISHED, "decay_weight": 1.0}, AS_PUBLISHED, relations="random"
            ),
        ),
        ("heavy_higgs",),
        (Size(4_000, 3, (20,), 128, rates=(5e-4, 2e-3)),),
        2,
    ),
)
QUICK_PLANS: Final = (Plan("classify_decay_quick", CLAIMED, ("heavy_higgs",), QUICK.sizes, QUICK.trials),)


def plans(quick: bool) -> tuple[tuple[Plan, ...], Forms]:
    """Return what is trained."""
    return (QUICK_PLANS, QUICK) if quick else (FULL_PLANS, FULL)


def claims(plans: Sequence[Plan], rows: Rows) -> tuple[dict[str, Any], list[Goal]]:
    """Sum up the rows that are there, and state the goals; of the quick form, that decays are told from chance."""
    values: dict[str, Any] = {"table": {}, "auc_curves": {}, "data_saved": {}}
    goals = []
    for plan in plans:
        for signal in plan.signals:
            arms = table_of(plan, rows, signal)
            table = {name: {str(size): summary(one) for size, one in found.items()} for name, found in arms.items()}
            values["table"].setdefault(signal, {}).update(table)
            goals += [goal for size in plan.sizes for goal in _ahead(signal, arms, size.events)]
    first = plans[0]
    for signal in first.signals:
        arms = table_of(first, rows, signal)
        values["auc_curves"][signal] = curves_of(arms)
        scratch, better = (curve_of(arms[name]) for name in ("w0", "w1"))
        values["data_saved"][signal] = saved(scratch, better, first.sizes[-1].events)
    if plans is not QUICK_PLANS:
        return values, goals
    small = {name: found.get(first.sizes[0].events, []) for name, found in arms.items()}
    learned = [learns(arm.name, small[arm.name], AHEAD) for arm in first.arms if arm.relations == "true"]
    return values, [_recognises("w1", small["w1"]), *learned]


def _ahead(signal: str, arms: Mapping[str, Mapping[int, list[Row]]], size: int) -> list[Goal]:
    """Claim that a weight of 1 is ahead of 0 and of random relations: the first three arms of a plan, 0 first."""
    scratch, ours, random = list(arms)[:3]
    return [
        ahead(f"{signal}, {ours} ahead of {other} at {size}", arms[ours].get(size, []), arms[other].get(size, []))
        for other in (scratch, random)
    ]


def _recognises(name: str, rows: list[Row]) -> Goal:
    """Claim that pairs are recognised more often than relations that are equally frequent would be by chance."""
    told = [row["relations"]["balanced"] for row in rows if "relations" in row]
    return Goal(f"balanced recall of relations of {name}", told[0] if told else None, ">=", 0.3)


def main() -> None:
    """Train and judge what is missing, and write the result."""
    write_result(**conduct(__doc__ or "", plans, PATHS, claims))


if __name__ == "__main__":
    main()
