"""Does learning the decays beside the classes help? ``python benchmarks/classify_decay.py [--quick] [--only ARM]``.

A transformer without features of pairs learns, beside the class, the relation of every pair of objects, with a weight w
of 0, 0.3, 1, 3 or 5 in the loss. Controls, at the w that is best on validation events: every object has the ancestors
of a random one (random), or those of its like in another event of its class (shuffled), from which classes can be told
but no decays. Rivals: an MLP, and boosted trees, raw and with high-level variables. Top-quark pairs against heavy Higgs
bosons (425, 325) and against Z' bosons (1000); 1,000, 4,000 and 16,000 events a class. Every arm has the same eight
trials at 1,000 and at 4,000 events, made with heavy Higgs bosons, by the loss of validation events; at 16,000 the
settings are those of 4,000. Judged on 100,000 test events.

A finished trial or training is a row of the result, and its run is kept: the script goes on from there. ``--only`` and
``--size`` restrict what is trained, so that two processes can share the work; the controls wait for the trials of all
w. A step costs 0.36 ms an event on a busy core; all of it costs some 6 hours of a core.
"""

from __future__ import annotations

from typing import Any, Final

from classify_jobs import best_like, best_trial, conduct, table_of
from classify_measures import AHEAD, Row, Rows, ahead, curve_of, curves_of, learns, saved, summary
from classify_plan import FULL, OBSERVABLES, QUICK, Forms, Plan
from classify_run import SOURCES, Arm
from record import Goal

__all__ = ["PATHS", "claims", "plans"]

PATHS: Final = ["benchmarks/classify_decay.py", *SOURCES]

PLAIN: Final[dict[str, Any]] = {"backbone": {"pairwise": False}}
DECAY_AWARE: Final = tuple(
    Arm(f"w{weight:g}", options={**PLAIN, "decay_weight": weight}) for weight in (0.3, 1.0, 3.0, 5.0)
)
CONTROLS: Final = tuple(
    Arm(relations, relations=relations, like=tuple(one.name for one in DECAY_AWARE))
    for relations in ("random", "shuffled")
)
SCRATCH: Final = Arm("w0", options=PLAIN)
RIVALS: Final = (Arm("mlp", "mlp"), Arm("boosted_trees", "boosted_trees"), OBSERVABLES)

FULL_PLAN: Final = Plan(
    "classify_decay",
    (SCRATCH, *DECAY_AWARE, *CONTROLS, *RIVALS),
    ("heavy_higgs", "zprime"),
    FULL.sizes,
    FULL.trials,
)
QUICK_PLAN: Final = Plan(
    "classify_decay_quick",
    (SCRATCH, DECAY_AWARE[1], Arm("random", relations="random", like=("w1",)), *RIVALS),
    ("heavy_higgs",),
    QUICK.sizes,
    QUICK.trials,
)


def plans(quick: bool) -> tuple[Plan, Forms]:
    """Return what is trained."""
    return (QUICK_PLAN, QUICK) if quick else (FULL_PLAN, FULL)


def claims(plan: Plan, rows: Rows) -> tuple[dict[str, Any], list[Goal]]:
    """Sum up the rows that are there, and state the goals; of the quick form, that decays are told from chance."""
    table = {signal: table_of(plan, rows, signal) for signal in plan.signals}
    chosen = {size.events: _best_weight(plan, size.events, rows) for size in plan.sizes}
    values: dict[str, Any] = {"best_weight": chosen, "table": {}, "auc_curves": {}, "data_saved": {}}
    goals = []
    for signal, arms in table.items():
        best = {size: arms[name].get(size, []) for size, name in chosen.items() if name is not None}
        curve, scratch = curve_of(best), curve_of(arms["w0"])
        values["table"][signal] = {
            name: {str(size): summary(one) for size, one in found.items()} for name, found in arms.items()
        }
        values["auc_curves"][signal] = curves_of(arms)
        values["data_saved"][signal] = saved(scratch, curve, plan.sizes[-1].events)
        for size in plan.sizes:
            ours = best.get(size.events, [])
            for other in ("w0", "random"):
                name = f"{signal}, decay-aware ahead of {other} at {size.events}"
                goals.append(ahead(name, ours, arms[other].get(size.events, [])))
    if plan is not QUICK_PLAN:
        return values, goals
    first, events = table[plan.signals[0]], plan.sizes[0].events
    networks = [name for name in first if plan.arm(name).relations == "true"]
    small = [learns(name, first[name].get(events, []), AHEAD) for name in networks]
    return values, [_recognises("w1", first["w1"].get(events, [])), *small]


def _best_weight(plan: Plan, events: int, rows: Rows) -> str | None:
    size, control = plan.size(events), plan.arm("random")
    if any(best_trial(plan, plan.arm(name), plan.tuned(size), rows) is None for name in control.like):
        return None
    return best_like(plan, control, size, rows).name


def _recognises(name: str, rows: list[Row]) -> Goal:
    """Claim that pairs are recognised more often than relations that are equally frequent would be by chance."""
    told = [row["relations"]["balanced"] for row in rows if "relations" in row]
    return Goal(f"balanced recall of relations of {name}", told[0] if told else None, ">=", 0.3)


def main() -> None:
    """Train and judge what is missing, and write the result."""
    conduct(__doc__ or "", plans, PATHS, claims)


if __name__ == "__main__":
    main()
