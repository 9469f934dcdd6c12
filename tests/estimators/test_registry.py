"""Names to estimators: presets, own estimators, clashes, and seeds."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError
from castalia.estimators import registry
from castalia.estimators.classification.presets import CLASSIFICATION_PRESETS
from castalia.estimators.event_presets import EVENT_PRESETS
from castalia.estimators.flows.flow import MaskedAutoregressiveFlow

LAYOUT = Layout((Variable("c"),), (Variable("x"), Variable("y")))
# Those of classifiers need a list of typed objects and classes, those of pixels an array of sensors; both are built in
# their own tests.
PIXELS = "castalia.estimators.pixels."
SAMPLING = [
    name
    for name, (estimator, _) in registry.PRESETS.items()
    if name not in CLASSIFICATION_PRESETS and not registry.BUILT_IN[estimator].__module__.startswith(PIXELS)
]
FLOW = "castalia.estimators.flows.flow:MaskedAutoregressiveFlow"


def _offer(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    found = [EntryPoint(name, value, registry.GROUP) for name, value in points]
    monkeypatch.setattr(registry, "entry_points", lambda group: [p for p in found if p.group == group])


@pytest.mark.parametrize("name", SAMPLING)
def test_every_preset_builds(name):
    estimator = registry.build(*registry.preset(name), LAYOUT)
    assert registry.name_of(estimator) == registry.preset(name)[0]


def test_the_paper_preset_is_the_paper():
    config = registry.build(*registry.preset("paper"), LAYOUT).config
    assert (config.blocks, config.hidden, config.log_scale_limit) == (10, (128, 128), 1.0)
    assert config.truncate
    assert config.permutation == "half_swap"
    assert config.univariate == "affine"


@pytest.mark.parametrize("name", SAMPLING)
def test_lists_and_angles_are_for_those_who_take_them(name):
    estimator, options = registry.preset(name)
    lists = Layout(LAYOUT.condition, LAYOUT.target, {"jets": (Variable("pt"),)})
    angle = Layout((*LAYOUT.condition, Variable("phi", transform="angle")), LAYOUT.target)
    if registry.estimator_class(estimator).takes_lists:
        for layout in (lists, angle):
            assert registry.build(estimator, options, layout).layout == layout
        return
    presets = "c_vld, c_vld_paper, cinn, cinn_spline, cvae, ldm, .*, unfold_flow_matching, vdm, vdm_paper, vld, vld_.*"
    with pytest.raises(ConfigError, match=rf"takes no lists of objects in its condition \(jets\); .*{presets}"):
        registry.build(estimator, options, lists)
    with pytest.raises(ConfigError, match=rf"takes no angles in its condition \(phi\); .*{presets}"):
        registry.build(estimator, options, angle)


def test_tuned_presets_are_of_one_size():
    targets = tuple(Variable(f"x{i}") for i in range(24))
    condition = tuple(Variable(name) for name in ("met_x", "met_y"))
    jets = tuple(Variable(name) for name in ("pt", "eta", "phi", "tag"))
    layout = Layout(condition, targets, {"jets": jets, "leptons": jets})
    for name, (_, options) in EVENT_PRESETS.items():
        estimator = registry.build(*registry.preset(name), layout)
        size = sum(parameter.numel() for parameter in estimator.parameters())
        assert 0.3e6 < size < 0.8e6 or (name == "vld_full" and 2e6 < size < 6e6), name
        assert (options.get("marginals") == "standardise") == name.endswith("_paper"), name


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ConfigError, match=r"no preset 'papr'; known presets: .*c_vld, .*compact, .*vld_paper"):
        registry.preset("papr")
    with pytest.raises(ConfigError, match=r"no estimator 'flow'.*masked_autoregressive_flow"):
        registry.build("flow", {}, LAYOUT)


def test_an_unknown_key_lists_the_known_ones():
    with pytest.raises(ConfigError, match="unknown key 'block'.*did you mean 'blocks'"):
        registry.build("masked_autoregressive_flow", {"block": 3}, LAYOUT)
    with pytest.raises(ConfigError, match="blocks"):
        registry.build("masked_autoregressive_flow", {"blocks": 0}, LAYOUT)


def test_own_estimators_are_found_and_named(monkeypatch):
    _offer(monkeypatch, ("mine", FLOW))
    assert registry.estimator_class("mine") is MaskedAutoregressiveFlow
    monkeypatch.setattr(registry, "BUILT_IN", {})
    assert registry.name_of(registry.build("mine", {}, LAYOUT)) == "mine"


def test_an_unnamed_estimator_is_refused(monkeypatch):
    estimator = registry.build("masked_autoregressive_flow", {}, LAYOUT)
    monkeypatch.setattr(registry, "BUILT_IN", {})
    with pytest.raises(ConfigError, match="has no name"):
        registry.name_of(estimator)


def test_clashes_are_errors(monkeypatch):
    _offer(monkeypatch, ("parametric_smearing", FLOW))
    with pytest.raises(ConfigError, match="'parametric_smearing' is taken"):
        registry.build("masked_autoregressive_flow", {}, LAYOUT)
    _offer(monkeypatch, ("mine", FLOW), ("mine", "other:Flow"))
    with pytest.raises(ConfigError, match="'mine' is taken.*other:Flow"):
        registry.estimator_class("mine")


@pytest.mark.parametrize("value", ["math:pi", "torch.nn:Linear"])
def test_what_is_no_estimator_is_refused(monkeypatch, value):
    _offer(monkeypatch, ("mine", value))
    with pytest.raises(ConfigError, match="no subclass"):
        registry.estimator_class("mine")


def test_an_estimator_without_a_config_is_refused(monkeypatch):
    _offer(monkeypatch, ("mine", "castalia.estimators.base:Estimator"))
    with pytest.raises(ConfigError, match="has no Config"):
        registry.estimator_class("mine")


def test_weights_are_a_function_of_the_seed_and_torch_is_left_alone():
    before = torch.random.get_rng_state()
    one, same, other = (registry.build("coupling_spline_flow", {}, LAYOUT, seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    first, second, third = (torch.cat([p.flatten() for p in e.parameters()]) for e in (one, same, other))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
