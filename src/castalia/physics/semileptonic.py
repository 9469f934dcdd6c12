"""Observables of an event with one lepton, missing momentum and jets, two of which come from b quarks.

Written for heavy Higgs bosons, H -> H+- W-+ -> h W W -> b bbar l nu q qbar, beside top-quark pairs, which end the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.physics.angles import delta_r
from castalia.physics.constants import TOP_MASS, W_MASS
from castalia.physics.four_vectors import from_cartesian

__all__ = [
    "SEMILEPTONIC_OBSERVABLES",
    "assign_jets",
    "neutrino_momentum",
    "neutrino_pz",
    "semileptonic_observables",
]

SEMILEPTONIC_OBSERVABLES: Final[Mapping[str, str]] = {
    "m_bb": "GeV",
    "m_jj": "GeV",
    "m_jjbb": "GeV",
    "m_lvbb": "GeV",
    "m_total": "GeV",
    "m_jjb": "GeV",
    "m_lvb": "GeV",
    "m_lb": "GeV",
    "mt_w": "GeV",
    "ht": "GeV",
    "pt_bb": "GeV",
    "dr_bb": "",
}
"""Units of the observables by name, in order."""

# With more jets than this the softest are left out of the search for the hadronic W boson: 15 pairs, not hundreds.
_JETS_OF_W = 6


def neutrino_pz(lepton: ArrayLike, missing: ArrayLike, mass: float = W_MASS) -> NDArray[np.float64]:
    """Solve for the neutrino's momentum along the beam where lepton and neutrino come from a W boson on its mass shell.

    With both taken as massless, ``pt_l**2 pz**2 - 2 a pz_l pz + E_l**2 pt_nu**2 - a**2 = 0``, where
    ``a = mass**2 / 2 + px_l px_nu + py_l py_nu``. Where the transverse mass is above ``mass`` both solutions are
    complex, and their common real part is returned twice.

    Args:
        lepton: Four-momenta (px, py, pz, E) in GeV, shape ``(events, 4)``, their masses neglected.
        missing: Missing transverse momentum (px, py) in GeV, shape ``(events, 2)``.
        mass: Mass of the W boson in GeV.

    Returns:
        Both solutions in GeV, that of the smaller magnitude first, shape ``(events, 2)``.

    References:
        Betchart, Demina and Harel, Analytic solutions for neutrino momenta in decay of top quarks, arXiv:1305.1878,
        section 2: the mass of the W boson as a quadratic equation. Which solution to take is a convention.
    """
    lepton, missing = np.asarray(lepton, dtype=np.float64), np.asarray(missing, dtype=np.float64)
    pt2, pz = lepton[:, 0] ** 2 + lepton[:, 1] ** 2, lepton[:, 2]
    a = 0.5 * mass**2 + lepton[:, 0] * missing[:, 0] + lepton[:, 1] * missing[:, 1]
    # E**2 = pt**2 + pz**2, so that a lepton's small mass cannot make the discriminant disagree with the real part.
    discriminant = (pt2 + pz**2) * (a**2 - pt2 * (missing[:, 0] ** 2 + missing[:, 1] ** 2))
    root = np.sqrt(np.maximum(discriminant, 0.0))
    # One solution from the sum that does not cancel, the other from the product of both.
    larger = a * pz + np.where(a * pz < 0.0, -root, root)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = larger / pt2
        product = ((pt2 + pz**2) * (missing[:, 0] ** 2 + missing[:, 1] ** 2) - a**2) / pt2
        near = np.where(discriminant > 0.0, np.where(far == 0.0, 0.0, product / far), far)
    return np.stack([near, far], axis=1)


def neutrino_momentum(lepton: ArrayLike, missing: ArrayLike) -> NDArray[np.float64]:
    """Return the four-momentum of a massless neutrino that is all of the missing momentum.

    Of the two solutions of ``neutrino_pz`` it has that of the smaller pz.

    Args:
        lepton: Four-momenta (px, py, pz, E) in GeV, shape ``(events, 4)``.
        missing: Missing transverse momentum (px, py) in GeV, shape ``(events, 2)``.

    Returns:
        (px, py, pz, E) in GeV, shape ``(events, 4)``.
    """
    missing = np.asarray(missing, dtype=np.float64)
    pz = neutrino_pz(lepton, missing)[:, 0]
    return np.column_stack([missing, pz, np.hypot(np.hypot(*missing.T), pz)])


def assign_jets(lepton: ArrayLike, missing: ArrayLike, jets: ArrayLike, tagged: ArrayLike) -> NDArray[np.int64]:
    """Say which jets are the decay products of two top quarks, by the rules of ``semileptonic_observables``.

    Args:
        lepton: Four-momenta (px, py, pz, E) in GeV, shape ``(events, 4)``; NaN where there is none.
        missing: Missing transverse momentum (px, py) in GeV, shape ``(events, 2)``.
        jets: Four-momenta in GeV, the hardest of an event first, shape ``(events, jets, 4)``; NaN beyond the last.
        tagged: Which of them are b-tagged, shape ``(events, jets)``.

    Returns:
        Places in ``jets`` of the b jet beside the lepton, of the b jet beside the hadronic W boson, and of the harder
        and the softer jet of that W boson, shape ``(events, 4)``; -1 for all of them in an event without lepton, two
        b-tagged jets or two others.

    Raises:
        DataError: If the shapes do not fit.
    """
    lepton, missing, jets, tagged = _event_arrays(lepton, missing, jets, tagged)
    b, pair = _places(jets, tagged)
    w_had, w_lep = _at(jets, pair).sum(axis=1), lepton + neutrino_momentum(lepton, missing)
    hadronic, _, of_hadronic = _top_quarks(w_had, w_lep, _at(jets, b))
    found = np.column_stack([np.take_along_axis(b, np.hstack([1 - of_hadronic, of_hadronic]), axis=1), pair])
    return np.where(np.isnan(hadronic)[:, None], -1, found)


def semileptonic_observables(
    lepton: ArrayLike, missing: ArrayLike, jets: ArrayLike, tagged: ArrayLike
) -> dict[str, NDArray[np.float64]]:
    """Form the observables of each event; NaN where an event lacks what one needs.

    The two hardest tagged jets make the candidate of h; the pair of other jets, of the six hardest, whose mass is
    nearest to that of the W boson makes the hadronic W boson; lepton and neutrino, with the solution of the smaller
    pz, make the leptonic one.

    Args:
        lepton: Four-momenta (px, py, pz, E) in GeV, shape ``(events, 4)``; NaN where there is none.
        missing: Missing transverse momentum (px, py) in GeV, shape ``(events, 2)``.
        jets: Four-momenta in GeV, the hardest of an event first, shape ``(events, jets, 4)``; NaN beyond the last.
        tagged: Which of them are b-tagged, shape ``(events, jets)``.

    Returns:
        By name, each of shape ``(events,)``, in the units of ``SEMILEPTONIC_OBSERVABLES``:

        - ``m_bb``, ``pt_bb``, ``dr_bb``: mass, transverse momentum and distance in (eta, phi) of the two b jets;
        - ``m_jj``: the hadronic W boson;
        - ``m_jjbb``, ``m_lvbb``: charged Higgs bosons of h and the hadronic or the leptonic W boson;
        - ``m_total``: h and both W bosons;
        - ``m_jjb``, ``m_lvb``: the two top quarks, the b jets shared out so that both masses are nearest to it;
        - ``m_lb``: lepton and b jet, the smaller of the two;
        - ``mt_w``: transverse mass of lepton and missing momentum, sqrt(2 pt_l pt_miss (1 - cos dphi));
        - ``ht``: sum of the jets' transverse momenta.

    Raises:
        DataError: If the shapes do not fit.
    """
    lepton, missing, jets, tagged = _event_arrays(lepton, missing, jets, tagged)
    places, pair = _places(jets, tagged)
    b, w_had = _at(jets, places), _at(jets, pair).sum(axis=1)
    w_lep = lepton + neutrino_momentum(lepton, missing)
    h = b.sum(axis=1)
    m_jjb, m_lvb, _ = _top_quarks(w_had, w_lep, b)
    pt_bb = np.hypot(h[:, 0], h[:, 1])
    _, eta, phi, _ = from_cartesian(b)
    values = {
        "m_bb": _mass(h),
        "m_jj": _mass(w_had),
        "m_jjbb": _mass(w_had + h),
        "m_lvbb": _mass(w_lep + h),
        "m_total": _mass(w_had + w_lep + h),
        "m_jjb": m_jjb,
        "m_lvb": m_lvb,
        "m_lb": _mass(lepton[:, None] + b).min(axis=1),
        "mt_w": _transverse_mass(lepton, missing),
        "ht": np.nansum(np.hypot(jets[..., 0], jets[..., 1]), axis=1),
        "pt_bb": pt_bb,
        "dr_bb": delta_r(eta[:, 0], phi[:, 0], eta[:, 1], phi[:, 1]),
    }
    return {name: values[name] for name in SEMILEPTONIC_OBSERVABLES}


def _event_arrays(
    lepton: ArrayLike, missing: ArrayLike, jets: ArrayLike, tagged: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Check the shapes and make room for four jets, so that a decay can be looked for where there are fewer."""
    lepton, missing = np.asarray(lepton, dtype=np.float64), np.asarray(missing, dtype=np.float64)
    jets, tagged = np.asarray(jets, dtype=np.float64), np.asarray(tagged, dtype=np.bool_)
    events = len(jets)
    fits = jets.ndim == 3 and jets.shape[2] == 4 and tagged.shape == jets.shape[:2]
    if not (fits and lepton.shape == (events, 4) and missing.shape == (events, 2)):
        raise DataError(
            f"Semi-leptonic events need leptons (events, 4), missing momenta (events, 2), jets (events, jets, 4) and "
            f"tags (events, jets), not {lepton.shape}, {missing.shape}, {jets.shape} and {tagged.shape}."
        )
    lacking = max(4 - jets.shape[1], 0)
    jets = np.pad(jets, ((0, 0), (0, lacking), (0, 0)), constant_values=np.nan)
    return lepton, missing, jets, np.pad(tagged, ((0, 0), (0, lacking)))


def _places(jets: NDArray[np.float64], tagged: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the two hardest tagged jets, and of the others the pair whose mass is nearest to that of the W boson.

    Returns:
        Places in ``jets``, each of shape ``(events, 2)``, the harder jet first; -1 where there are no two.
    """
    order = np.argsort(~tagged, axis=1, kind="stable")  # tagged ones in front, each kind still ordered by pt
    two = (tagged.sum(axis=1) >= 2)[:, None]
    b, others = np.where(two, order[:, :2], -1), np.where(two, np.sort(order[:, 2:], axis=1), -1)
    pairs = np.array(list(combinations(range(min(others.shape[1], _JETS_OF_W)), 2)))
    momenta = _at(jets, others)
    distance = np.abs(_mass(momenta[:, pairs[:, 0]] + momenta[:, pairs[:, 1]]) - W_MASS)
    nearest = pairs[np.argmin(np.where(np.isnan(distance), np.inf, distance), axis=1)]
    found = ~np.isnan(distance).all(axis=1, keepdims=True)
    return b, np.where(found, np.take_along_axis(others, nearest, axis=1), -1)


def _at(jets: NDArray[np.float64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the jets at some places, shape ``(events, places, 4)``; NaN where the place is -1."""
    found = np.take_along_axis(jets, np.maximum(places, 0)[..., None], axis=1)
    return np.where((places >= 0)[..., None], found, np.nan)


def _top_quarks(
    w_had: NDArray[np.float64], w_lep: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return the masses of the hadronic and the leptonic top quark, and which b jet, 0 or 1, is the former's."""
    hadronic, leptonic = _mass(w_had[:, None] + b), _mass(w_lep[:, None] + b[:, ::-1])
    distance = np.abs(hadronic - TOP_MASS) + np.abs(leptonic - TOP_MASS)
    second = (distance[:, 1] < distance[:, 0]).astype(np.int64)[:, None]
    # Without both W bosons nothing says which b jet is whose.
    hadronic, leptonic = (np.where(np.isnan(distance), np.nan, mass) for mass in (hadronic, leptonic))
    m_had, m_lep = (np.take_along_axis(mass, second, axis=1)[:, 0] for mass in (hadronic, leptonic))
    return m_had, m_lep, second


def _transverse_mass(lepton: NDArray[np.float64], missing: NDArray[np.float64]) -> NDArray[np.float64]:
    product = np.hypot(lepton[:, 0], lepton[:, 1]) * np.hypot(missing[:, 0], missing[:, 1])
    along = lepton[:, 0] * missing[:, 0] + lepton[:, 1] * missing[:, 1]
    return np.asarray(np.sqrt(2.0 * np.maximum(product - along, 0.0)), dtype=np.float64)


def _mass(momentum: NDArray[np.float64]) -> NDArray[np.float64]:
    mass: NDArray[np.float64] = from_cartesian(momentum)[3]
    return mass
