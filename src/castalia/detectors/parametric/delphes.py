"""Imports the resolution, efficiency and scale formulas of a Delphes card (``.tcl``) into a card of ours.

A Delphes card is a list of modules; those that describe leptons, the jet energy scale and b-tags have a counterpart
here. All else about the experiment (acceptance, isolation, clustering) comes from a card of ours that is given beside.

References:
    de Favereau et al., DELPHES 3, A modular framework for fast simulation of a generic collider experiment,
    arXiv:1307.6346.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tomli_w

from castalia.detectors.parametric.card import Card, parse_card
from castalia.detectors.parametric.formula import FormulaError, parse
from castalia.errors import ConfigError

__all__ = ["DelphesFormula", "card_from_delphes", "delphes_formulas"]

_LOG: Final = logging.getLogger(__name__)
_VARIABLES: Final = ("pt", "eta", "phi", "energy")
_MODULE: Final = re.compile(r"^[ \t]*module[ \t]+(\w+)[ \t]+(\w+)\s*\{", re.MULTILINE)
_WORD: Final = re.compile(r"[^\s{};]+")
_FORMULA: Final = re.compile(
    r"^[ \t]*(set|add)[ \t]+(ResolutionFormula|EfficiencyFormula|ScaleFormula)\b", re.MULTILINE
)
_COMMENT: Final = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
# What the same operation is called in a formula of ours.
_SPELLING: Final = (
    (re.compile(r"\\\s*\n"), " "),
    (re.compile(r"\^"), "**"),
    (re.compile(r"&&"), " and "),
    (re.compile(r"\|\|"), " or "),
    (re.compile(r"\bfabs\b"), "abs"),
)
# (module, formula's name) -> where it goes in a card of ours. Several that go to one place are multiplied.
_PLACES: Final[dict[tuple[str, str], tuple[str, str]]] = {
    (f"{lepton}{module}", formula): (f"{lepton.lower()}s", key)
    for lepton in ("Electron", "Muon")
    for module, formula, key in (
        ("TrackingEfficiency", "EfficiencyFormula", "efficiency"),
        ("Efficiency", "EfficiencyFormula", "efficiency"),
        ("MomentumSmearing", "ResolutionFormula", "pt_resolution"),
        ("EnergySmearing", "ResolutionFormula", "pt_resolution"),
    )
} | {("JetEnergyScale", "ScaleFormula"): ("jets", "response")}
_TAGS: Final = {5: "b", 4: "c", 0: "light"}


@dataclass(frozen=True)
class DelphesFormula:
    """One formula of a Delphes card.

    Attributes:
        kind: Type of its module, such as ``"MomentumSmearing"``.
        module: Name of its module, such as ``"MuonMomentumSmearing"``.
        name: ``"ResolutionFormula"``, ``"EfficiencyFormula"`` or ``"ScaleFormula"``.
        codes: PDG codes in front of it, as b-tags have them.
        line: Line of the file on which it begins.
        text: The formula in our spelling.
    """

    kind: str
    module: str
    name: str
    codes: tuple[int, ...]
    line: int
    text: str


def delphes_formulas(path: Path) -> tuple[DelphesFormula, ...]:
    """Read every resolution, efficiency and scale formula of a Delphes card.

    Args:
        path: The ``.tcl`` file.

    Raises:
        ConfigError: If the file cannot be read, or a formula is not understood; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read as a Delphes card ({error}).") from None
    # Comments are blanked, not removed, so that positions and lines stay what they are.
    text = _COMMENT.sub(lambda comment: " " * len(comment.group()), text)
    modules = _modules(text, path)
    found = []
    for match in _FORMULA.finditer(text):
        line = _line(text, match.start(1))
        inside = [module for module, end in modules if module.start() < match.start() < end]
        if not inside:
            raise ConfigError(f"{path}:{line}: a {match.group(2)} stands in no module; put it into one.")
        words = list(_words(text, match.end(), f"{path}:{line}"))
        if (len(words) == 1) != (match.group(1) == "set") or not words:
            wanted = "one formula" if match.group(1) == "set" else "one formula after one or more PDG codes"
            raise ConfigError(f"{path}:{line}: what follows {match.group(2)} should be {wanted}.")
        found.append(_translated(inside[0], match.group(2), words, line, path))
    return tuple(found)


def card_from_delphes(path: Path, base: Card) -> Card:
    """Replace in a card of ours what a Delphes card describes.

    Taken are ``ElectronTrackingEfficiency`` times ``ElectronEfficiency``, ``ElectronMomentumSmearing`` (relative width
    of pt) or ``ElectronEnergySmearing`` (width of the energy in GeV), the same for muons, ``JetEnergyScale`` and the
    ``BTagging`` module (PDG code 0 stands for light jets). Other formulas are left out, and logged.

    Args:
        path: The ``.tcl`` file.
        base: Where everything else comes from.

    Raises:
        ConfigError: If a formula is not understood, or not possible, or none has a place in a card of ours.
    """
    values: dict[str, Any] = base.model_dump(exclude_none=True)
    taken: dict[tuple[str, str], str] = {}
    for one in delphes_formulas(path):
        place = _PLACES.get((one.module, one.name))
        if place is not None and not one.codes:
            text = f"({one.text}) / energy" if one.kind == "EnergySmearing" else one.text
            several = place in taken and place[1] == "efficiency"
            taken[place] = f"({taken[place]}) * ({text})" if several else text
        elif one.kind == "BTagging" and len(one.codes) == 1 and one.codes[0] in _TAGS:
            taken["btag", _TAGS[one.codes[0]]] = one.text
        else:
            _LOG.info("%s:%d: %s of %s has no place in a card and is left out", path, one.line, one.name, one.module)
    if not taken:
        raise ConfigError(f"{path}: has no formula of leptons, jet energy scale or b-tags; name a Delphes card.")
    for (section, key), text in taken.items():
        (values["jets"]["btag"] if section == "btag" else values[section])[key] = text
    return parse_card(tomli_w.dumps(values), path)


def _modules(text: str, path: Path) -> list[tuple[re.Match[str], int]]:
    """Find every module and the position at which its braces close."""
    found = list(_MODULE.finditer(text))
    modules = []
    for number, module in enumerate(found, 1):
        limit = found[number].start() if number < len(found) else len(text)
        end = _closing(text, module.end() - 1, limit)
        if end < 0:
            line = _line(text, module.start(1))
            raise ConfigError(f"{path}:{line}: module {module.group(2)} is broken: its braces do not close.")
        modules.append((module, end))
    return modules


def _closing(text: str, start: int, limit: int) -> int:
    """Return where the brace that opens at ``start`` closes, -1 where it does not before ``limit``."""
    depth = 0
    for position in range(start, limit):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if not depth:
            return position
    return -1


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _words(text: str, start: int, place: str) -> Iterator[str]:
    """Yield the words of a Tcl command to its end: groups in braces without these, or bare words."""
    position = start
    while position < len(text) and text[position] not in "\n;}":
        if text[position] == "{":
            end = _closing(text, position, len(text))
            if end < 0:
                raise ConfigError(f"{place}: a brace is opened here and never closed.")
            yield text[position + 1 : end]
            position = end + 1
        elif bare := _WORD.match(text, position):
            yield bare.group()
            position = bare.end()
        else:
            position += 1


def _translated(module: re.Match[str], name: str, words: list[str], line: int, path: Path) -> DelphesFormula:
    *codes, formula = words
    for pattern, ours in _SPELLING:
        formula = pattern.sub(ours, formula)
    text = " ".join(formula.split())
    try:
        numbers = tuple(int(code) for code in codes)
        parse(text, _VARIABLES)
    except FormulaError as error:
        raise ConfigError(f"{path}:{line}: the {name} of {module.group(2)} is not understood: {error}.") from None
    except ValueError:
        raise ConfigError(f"{path}:{line}: '{' '.join(codes)}' of {module.group(2)} should be PDG codes.") from None
    return DelphesFormula(module.group(1), module.group(2), name, numbers, line, text)
