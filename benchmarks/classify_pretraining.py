"""Does pre-training on events without labels save simulation? ``python benchmarks/classify_pretraining.py [--quick]``.

Top-quark pairs against heavy Higgs bosons, by a transformer without features of pairs: from scratch; pre-trained on the
types of objects, on their kinematics, on both; and, as a control, on events whose objects come from different events.
Beside them the model and pretext of arXiv:2312.06909, trained on the classes with its optimiser, schedule and weight
decay, from scratch and pre-trained like the others. 1,000, 4,000 and 16,000 events a class, and 64,000 for the plateau
of scratch and of both pretexts. Every arm has the same eight trials at 1,000 and at 4,000 events, by the loss of all
32,000 validation events; at 16,000 the learning rate is that of 4,000 and fewer and more epochs are tried, at 64,000
nothing is. Five seeds, four of 16,000, each with training events of its own, and three at 64,000, where all have the
same. Judged on 100,000 test events by the code of ``castalia classify evaluate``.

The unlabelled events, 570,000 to learn from, have another tune and another detector than the labelled ones. Each
pre-training is made once: the seeds of the trainings that begin from it say nothing of how another one would be. How
often it tells hidden types of jets stands beside what a jet's own features tell, and a guess. A finished trial or
training is a row of the result, and its run is kept: the script goes on from there. ``--only`` and ``--size`` restrict
what is trained, so that two processes can share the work; whatever is there is summed up, and ``missing`` says what is
not. A step costs some 0.17 ms an event, of a pre-training 0.09 ms: all of it takes some 3 hours of a core.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from classify_jobs import conduct, table_of, types_key
from classify_measures import Rows, ahead, curve_of, curves_of, learns, saved, spares, summary
from classify_plan import FULL, PRETEXT, QUICK, Forms, Plan, Size
from classify_run import SOURCES, Arm, Pretext
from record import Goal, write_result

__all__ = ["PATHS", "claims", "plans"]

PATHS: Final = ["benchmarks/classify_pretraining.py", *SOURCES]

SIGNAL: Final = "heavy_higgs"
PLAIN: Final = {"backbone": {"pairwise": False}}
PAPER: Final = {"backbone": {"pairwise": False, "relative": False}}
AS_PUBLISHED: Final = {"optimiser": "sgd", "schedule": "cosine", "final_learning_rate": 1e-4, "weight_decay": 5e-5}

ARMS: Final = (
    Arm("scratch", options=PLAIN),
    Arm("type", options=PLAIN, pretext=Pretext(kinematics_weight=0.0)),
    Arm("kinematics", options=PLAIN, pretext=Pretext(type_weight=0.0)),
    Arm("both", options=PLAIN, pretext=PRETEXT),
    Arm("shuffled", options=PLAIN, pretext=Pretext(shuffled=True)),
    Arm("paper_scratch", "classify_paper", PAPER, AS_PUBLISHED),
    Arm("paper", "classify_paper", PAPER, AS_PUBLISHED, Pretext(kinematics_weight=0.0)),
)
PLATEAU: Final = Size(64_000, 3, (6,), 512, tuned_at=4_000, only=("scratch", "both"))

FULL_PLAN: Final = Plan(
    "classify_pretraining",
    ARMS,
    (SIGNAL,),
    (*FULL.sizes, PLATEAU),
    FULL.trials,
    told=tuple(arm.name for arm in ARMS if arm.pretext is not None and arm.pretext.type_weight),
)
QUICK_PLAN: Final = Plan(
    "classify_pretraining_quick", (ARMS[0], ARMS[3]), (SIGNAL,), QUICK.sizes, QUICK.trials, told=(ARMS[3].name,)
)


def plans(quick: bool) -> tuple[tuple[Plan, ...], Forms]:
    """Return what is trained."""
    return ((QUICK_PLAN,), QUICK) if quick else ((FULL_PLAN,), FULL)


def claims(plans: Sequence[Plan], rows: Rows) -> tuple[dict[str, Any], list[Goal]]:
    """Sum up the rows that are there, and state the goals; of the quick form, that both arms learn."""
    (plan,) = plans
    table = table_of(plan, rows, SIGNAL)
    curves = {name: curve_of(found) for name, found in table.items()}
    reference = plan.sizes[-1].events if plan is QUICK_PLAN else 16_000
    spared = {name: saved(curves["scratch"], curve, reference) for name, curve in curves.items() if name != "scratch"}
    values = {
        "table": {name: {str(size): summary(one) for size, one in found.items()} for name, found in table.items()},
        "auc_curves": curves_of(table),
        "improvement_curves": curves_of(table, "improvement"),
        "data_saved": {name: one for name, one in spared.items() if one is not None},
        "types_of_jets": {name: rows[types_key(name)] for name in plan.told if types_key(name) in rows},
    }
    if plan is QUICK_PLAN:
        return values, [learns(name, found.get(reference, [])) for name, found in table.items()]
    goals = []
    for size in (1_000, 4_000):
        both, scratch, shuffled = (table[name].get(size, []) for name in ("both", "scratch", "shuffled"))
        goals += [
            ahead(f"pre-trained ahead of scratch at {size}", both, scratch, what) for what in ("auc", "improvement")
        ]
        goals.append(ahead(f"pre-trained ahead of shuffled objects at {size}", both, shuffled))
    return values, [*goals, spares("both", spared["both"], reference)]


def main() -> None:
    """Train and judge what is missing, and write the result."""
    write_result(**conduct(__doc__ or "", plans, PATHS, claims))


if __name__ == "__main__":
    main()
