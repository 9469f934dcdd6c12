"""Honesty of the judge: the exact response passes, and each of three planted faults makes `evaluate` exit with 5."""

import json
import sys

import pytest
from castalia_console import PLUGINS, here, write_config

# The inclusive width ratio of all six targets has an error of 0.36 / sqrt(events): with 40,000 events the planted
# 3 % lies 2.5 standard errors beyond what the gate forgives, which is 2 % and three errors. The other faults are gross.
WIDTH_EVENTS = 40_000
EVENTS = 10_000


@pytest.fixture(autouse=True, scope="module")
def controls():
    sys.path.insert(0, str(PLUGINS))
    yield
    sys.path.remove(str(PLUGINS))


@pytest.fixture(scope="module")
def generate(tmp_path_factory):
    """A function that generates a file once and returns its path."""
    folder, made = tmp_path_factory.mktemp("controls"), {}

    def generated(scenario, events, seed):
        path = folder / f"{scenario}_{events}_{seed}.root"
        if path not in made:
            words = ("--process", "toy", "--scenario", scenario, "--events", events, "--seed", seed)
            made[path] = here("generate", "diphoton", *words, "-o", path).good()
        return path

    return generated


def judge(folder, small, test, options):
    """Train the control, which learns nothing, on the small file and judge it on the other."""
    model = f'[model]\nestimator = "analytic-control"\noptions = {options}'
    here("simulate", "train", write_config(folder / "c.toml", small, model=model), "-o", folder / "run").good()
    verdict = here("simulate", "evaluate", folder / "run", test, "-o", folder / "report", "--json")
    return verdict, json.loads((folder / "report" / "metrics.json").read_text())


CORRELATED = '{ scenario = "correlated", rho = 0.5 }'


@pytest.mark.statistical
@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("scenario", "options", "events"),
    [
        ("baseline", "{}", EVENTS),
        pytest.param("correlated", CORRELATED, EVENTS, marks=pytest.mark.slow),
        pytest.param("baseline", "{}", 100_000, marks=pytest.mark.slow),
    ],
)
def test_the_exact_response_passes(tmp_path, generate, scenario, options, events):
    verdict, metrics = judge(tmp_path, generate(scenario, 4000, 1), generate(scenario, events, 2), options)
    assert verdict.code == 0, verdict.err
    assert metrics["gate"]["passed"]
    assert metrics["gate"]["reasons"] == []
    divergence = metrics["kl_per_event"]
    assert abs(divergence["value"]) <= 5 * divergence["error"] + 1e-9  # the rounding of a model in single precision
    assert abs(metrics["mean_wasserstein"]["excess"]) <= 5 * metrics["mean_wasserstein"]["excess_error"]


@pytest.mark.statistical
@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("scenario", "options", "events", "reason"),
    [
        ("baseline", "{ blind = true }", EVENTS, "A classifier that sees the conditions"),
        ("baseline", "{ width = 1.03 }", WIDTH_EVENTS, "The core width of all targets"),
        ("correlated", '{ scenario = "correlated", rho = 0.0 }', EVENTS, "The correlation of et_1 and et_2"),
    ],
    ids=["blind", "width", "rho"],
)
def test_a_planted_fault_is_found(tmp_path, generate, scenario, options, events, reason):
    verdict, metrics = judge(tmp_path, generate(scenario, 4000, 1), generate(scenario, events, 2), options)
    assert "the quality gate failed" in verdict.refused(5)
    assert verdict.json["gate"] == "failed"
    assert not metrics["gate"]["passed"]
    assert any(sentence.startswith(reason) for sentence in metrics["gate"]["reasons"]), metrics["gate"]["reasons"]
