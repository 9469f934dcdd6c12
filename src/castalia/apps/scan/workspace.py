"""The binned projection of a fit as a pyhf workspace, with the field's own test statistics from pyhf.

A flow's likelihood is unbinned; what other groups combine is a workspace. It is one channel, the histogram of one
observable: the signal at the fitted parameters, scaled by ``mu``, on the background. The finite numbers of generated
events enter as ``staterror``, a constrained normalisation as ``normsys``, a free one as ``normfactor``.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from castalia.errors import ConfigError, DataError

__all__ = ["BinnedTests", "Template", "binned_tests", "build_workspace", "projection_edges", "template"]

Array = NDArray[np.float64]

_FEWEST = 10.0
"""Expected events in a bin, so that chi-squared asymptotics hold in each."""
_MOST_BINS = 25
_LARGEST_MU = 10.0


@final
@dataclass(frozen=True)
class Template:
    """Expected content of each bin.

    Attributes:
        content: Expected events, shape ``(bins,)``.
        error: Standard error of ``content`` from the number of events it was made of, same shape.
        normalisation: Relative error of the total; ``None`` where the total is fitted freely, 0 where it is known.
    """

    content: Array
    error: Array
    normalisation: float | None = 0.0


@final
@dataclass(frozen=True)
class BinnedTests:
    """Test statistics of a workspace under pyhf's names, by asymptotic formulae.

    Attributes:
        mu_hat: Best signal strength in [0, 10].
        q0: Discovery statistic.
        p0: p-value of the background alone.
        significance: ``sqrt(q0)``.
        mu_test: Strength that the other statistics test.
        qmu_tilde: Statistic for upper limits at ``mu_test``.
        CLs_obs: Observed CLs at ``mu_test``.
        CLs_exp: Expected CLs of the background alone at -2, -1, 0, 1, 2 standard deviations.
    """

    mu_hat: float
    q0: float
    p0: float
    significance: float
    mu_test: float
    qmu_tilde: float
    CLs_obs: float
    CLs_exp: tuple[float, ...]


def projection_edges(values: Array, expected: float) -> Array:
    """Choose edges with equally many expected events in each bin, at least ten and at most 25 bins.

    Args:
        values: Generated events of the fitted mixture in one observable, shape ``(events,)``.
        expected: Number of events expected in all.

    Raises:
        DataError: If the observable has one value only.
    """
    bins = int(np.clip(expected / _FEWEST, 1, _MOST_BINS))
    edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, bins + 1)))
    if len(edges) < 2:
        raise DataError("the observable of the workspace has one value only; project onto another one.")
    return edges


def template(values: Array, edges: Array, expected: float, normalisation: float | None = 0.0) -> Template:
    """Histogram generated events and scale them to an expected number.

    Args:
        values: Generated events in one observable, shape ``(events,)``; those outside count in the outermost bins.
        edges: Increasing bin edges, shape ``(bins + 1,)``.
        expected: Number of events expected in all.
        normalisation: Relative error of ``expected``; ``None`` where it is to be fitted freely.

    Raises:
        DataError: If there are no events.
    """
    if not len(values):
        raise DataError("no events were generated for a template; generate some.")
    counts = histogram(values, edges)
    scale = expected / len(values)
    # A bin without a generated event is not known to be empty: one event is its error.
    return Template(scale * counts, scale * np.sqrt(np.maximum(counts, 1.0)), normalisation)


def histogram(values: Array, edges: Array) -> Array:
    """Count values in bins, those outside in the outermost; shape ``(bins,)``."""
    return np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0].astype(np.float64)


def build_workspace(
    observable: str, observed: Array, signal: Template, background: Template | None = None
) -> dict[str, JsonValue]:
    """Write one channel as a pyhf workspace, in which ``mu = 1`` is the signal that was fitted.

    Args:
        observable: Name of the channel.
        observed: Observed events in each bin, shape ``(bins,)``.
        signal: Signal at the fitted parameters.
        background: Background, where there is any.

    Raises:
        DataError: If the bins of the templates differ from the observed ones.

    References:
        Heinrich et al., pyhf: pure-Python implementation of HistFactory, J. Open Source Softw. 6 (2021) 2823;
        Cranmer et al., HistFactory, CERN-OPEN-2012-016: the modifiers.
    """
    samples = {"signal": signal} | ({} if background is None else {"background": background})
    for name, sample in samples.items():
        if sample.content.shape != observed.shape or sample.error.shape != observed.shape:
            raise DataError(
                f"the {name} has {len(sample.content)} bins for {len(observed)} observed ones; use the same."
            )
    listed: list[JsonValue] = [_sample(name, observable, sample) for name, sample in samples.items()]
    measurement: dict[str, JsonValue] = {"name": "fit", "config": {"poi": "mu", "parameters": []}}
    return {
        "version": "1.0.0",
        "channels": [{"name": observable, "samples": listed}],
        "observations": [{"name": observable, "data": observed.tolist()}],
        "measurements": [measurement],
    }


def _sample(name: str, channel: str, sample: Template) -> dict[str, JsonValue]:
    modifiers: list[JsonValue] = [{"name": f"mcstat_{channel}", "type": "staterror", "data": sample.error.tolist()}]
    if name == "signal":
        modifiers.append({"name": "mu", "type": "normfactor", "data": None})
    if sample.normalisation is None:
        modifiers.append({"name": f"{name}_yield", "type": "normfactor", "data": None})
    elif sample.normalisation > 0.0:
        # One standard deviation down may not reach zero: HistFactory interpolates in the logarithm.
        down = max(1.0 - sample.normalisation, 1e-3)
        spread: JsonValue = {"hi": 1.0 + sample.normalisation, "lo": down}
        modifiers.append({"name": f"{name}_normalisation", "type": "normsys", "data": spread})
    return {"name": name, "data": sample.content.tolist(), "modifiers": modifiers}


def binned_tests(workspace: dict[str, JsonValue], mu: float = 1.0) -> BinnedTests:
    """Compute q0, q_mu and CLs of a workspace with a background.

    Args:
        workspace: From ``build_workspace``.
        mu: Signal strength to exclude.

    Raises:
        ConfigError: If pyhf is not installed, or ``mu`` is not in (0, 10].
        DataError: If the workspace breaks pyhf's schema, has no background, or a fit of it fails.

    References:
        Cowan, Cranmer, Gross and Vitells, Asymptotic formulae, Eur. Phys. J. C 71 (2011) 1554: q0, q_mu;
        Read, Presentation of search results: the CLs technique, J. Phys. G 28 (2002) 2693.
    """
    if not 0.0 < mu <= _LARGEST_MU:
        raise ConfigError(f"a signal strength of {mu:g} cannot be tested; choose one in (0, {_LARGEST_MU:g}].")
    pyhf = _pyhf()
    try:
        with _quiet_minuit(pyhf), _silent("pyhf"):
            model, data = _model(pyhf, workspace)
            return _tests(pyhf, model, data, mu)
    except (
        pyhf.exceptions.InvalidSpecification,
        pyhf.exceptions.InvalidModel,
        pyhf.exceptions.FailedMinimization,
    ) as e:
        raise DataError(f"pyhf cannot use the binned projection ({e}); project onto another observable.") from e


def _pyhf() -> ModuleType:
    try:
        import pyhf
    except ImportError as error:
        raise ConfigError("pyhf is not installed; install castalia[scan] for q0, q_mu and CLs.") from error
    library: ModuleType = pyhf
    return library


@contextmanager
def _quiet_minuit(pyhf: ModuleType) -> Iterator[None]:
    """Let pyhf minimise by MIGRAD meanwhile.

    Its default minimiser, SLSQP, stays where it starts when a template is known to better than 1e-4, and says that it
    converged: q_mu is then 0, whatever the data.
    """
    backend, optimizer = pyhf.get_backend()
    pyhf.set_backend(backend, "minuit")
    try:
        with warnings.catch_warnings():
            # pyhf 0.7 checks its schema by a class that jsonschema wants to remove; its users cannot help it.
            warnings.filterwarnings("ignore", "jsonschema.RefResolver", DeprecationWarning)
            yield
    finally:
        pyhf.set_backend(backend, optimizer)


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Keep a logger quiet meanwhile: what it would say of a failed fit, with traceback and table, is raised as well."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _model(pyhf: ModuleType, workspace: dict[str, JsonValue]) -> tuple[Any, Any]:
    opened = pyhf.Workspace(workspace)
    background = [s for channel in opened["channels"] for s in channel["samples"] if s["name"] == "background"]
    if not any(sum(sample["data"]) > 0.0 for sample in background):
        raise DataError("the workspace has no background, without which a signal has no significance; give one.")
    model = opened.model()
    return model, opened.data(model)


def _tests(pyhf: ModuleType, model: Any, data: Any, mu: float) -> BinnedTests:
    start, limits = model.config.suggested_init(), model.config.suggested_bounds()
    fixed = model.config.suggested_fixed()
    best = pyhf.infer.mle.fit(data, model)
    q0 = float(pyhf.infer.test_statistics.q0(0.0, data, model, start, limits, fixed))
    p0 = float(pyhf.infer.hypotest(0.0, data, model, test_stat="q0"))
    q_mu = float(pyhf.infer.test_statistics.qmu_tilde(mu, data, model, start, limits, fixed))
    with np.errstate(divide="ignore", invalid="ignore"):  # pyhf divides by what tells the two hypotheses apart
        observed, expected = pyhf.infer.hypotest(mu, data, model, test_stat="qtilde", return_expected_set=True)
    return BinnedTests(
        mu_hat=float(best[model.config.poi_index]),
        q0=q0,
        p0=p0,
        significance=math.sqrt(max(q0, 0.0)),
        mu_test=mu,
        qmu_tilde=q_mu,
        CLs_obs=_one_if_undefined(float(observed)),
        CLs_exp=tuple(_one_if_undefined(float(value)) for value in expected),
    )


def _one_if_undefined(cls: float) -> float:
    """Return CLs, which tends to 1 as signal and background become the same, also where it is 0 / 0 by rounding."""
    return 1.0 if math.isnan(cls) else cls
