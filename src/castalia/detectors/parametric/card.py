"""The TOML card that describes an experiment: acceptance, resolutions, efficiencies, jets, b-tags, missing momentum.

Formulas of objects know ``pt`` and ``energy`` (GeV), ``eta``, ``phi`` (rad) and ``mu`` (number of pile-up
interactions); that of the missing momentum knows ``sumet`` (GeV) and ``mu``.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

import tomli_w
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from castalia.data.strict import StrictModel, config_error
from castalia.detectors.parametric.limits import LARGEST_MU, missing_grid, object_grid, pileup_grid, require
from castalia.errors import ConfigError

__all__ = [
    "BTagCard",
    "Card",
    "IsolationCard",
    "JetCard",
    "LeptonCard",
    "MissingCard",
    "PileUpCard",
    "SelectionCard",
    "load_card",
    "parse_card",
    "shipped_cards",
]

Formula = Annotated[str, BeforeValidator(lambda value: repr(value) if type(value) in (int, float) else value)]
Positive = Annotated[float, Field(gt=0.0)]


class IsolationCard(StrictModel):
    """Isolation of a lepton: transverse momentum of everything else in a cone, relative to the lepton's.

    Attributes:
        radius: Radius of the cone in (eta, phi).
        maximum: Largest relative isolation of a lepton that is kept.
        pileup: Width in GeV of what pile-up leaves in the cone after correction, a formula of the lepton.
    """

    radius: Positive = 0.3
    maximum: Positive
    pileup: Formula = "0"


class LeptonCard(StrictModel):
    """Electrons or muons.

    Attributes:
        pt_min: Smallest reconstructed pt in GeV.
        eta_max: Largest absolute pseudorapidity.
        efficiency: Probability to be reconstructed and identified, of the true pt and eta.
        pt_resolution: Relative width of the reconstructed pt.
        eta_resolution: Width in eta.
        phi_resolution: Width in phi in radians.
        isolation: Isolation asked for; ``None`` where every lepton is kept.
    """

    pt_min: Positive
    eta_max: Positive
    efficiency: Formula
    pt_resolution: Formula
    eta_resolution: Formula = "0"
    phi_resolution: Formula = "0"
    isolation: IsolationCard | None = None

    @model_validator(mode="after")
    def _try_formulas(self) -> Self:
        # A lepton from half the threshold may be smeared above it; none softer is looked at.
        grid = object_grid(0.5 * self.pt_min, self.eta_max)
        require(self, "efficiency", "efficiency", grid)
        for key in ("pt_resolution", "eta_resolution", "phi_resolution"):
            require(self, key, "resolution", grid)
        if self.isolation is not None:
            require(self.isolation, "pileup", "resolution", grid, "isolation.")
        return self


class BTagCard(StrictModel):
    """One working point of a b-tagger; formulas are of the reconstructed jet.

    Attributes:
        eta_max: Largest absolute pseudorapidity at which a jet can be tagged.
        b: Efficiency for jets with a b hadron.
        c: Probability to tag a jet with a c hadron and no b hadron.
        light: Probability to tag any other jet.
    """

    eta_max: Positive
    b: Formula
    c: Formula
    light: Formula


class JetCard(StrictModel):
    """Anti-kt jets.

    Attributes:
        radius: Radius parameter R of the clustering.
        pt_min: Smallest reconstructed pt in GeV.
        eta_max: Largest absolute pseudorapidity.
        truth_pt_min: Smallest pt in GeV of the particle-level jets that are smeared and kept as truth, at most
            ``pt_min``.
        overlap: Jets closer than this to a reconstructed lepton in (eta, phi) are left out.
        response: Mean of reconstructed over true pt.
        pt_resolution: Width of reconstructed over true pt, relative to ``response``.
        eta_resolution: Width in eta.
        phi_resolution: Width in phi in radians.
        btag: The b-tagger.
    """

    radius: Positive = 0.4
    pt_min: Positive
    eta_max: Positive
    truth_pt_min: Positive
    overlap: Annotated[float, Field(ge=0.0)] = 0.4
    response: Formula = "1"
    pt_resolution: Formula
    eta_resolution: Formula = "0"
    phi_resolution: Formula = "0"
    btag: BTagCard

    @model_validator(mode="after")
    def _try_formulas(self) -> Self:
        if self.truth_pt_min > self.pt_min:
            raise ValueError("key 'truth_pt_min': must not exceed pt_min, or jets between the two are lost")
        grid = object_grid(self.truth_pt_min, self.eta_max)
        for key in ("pt_resolution", "eta_resolution", "phi_resolution"):
            require(self, key, "resolution", grid)
        require(self, "response", "response", grid)
        tagged = object_grid(self.pt_min, min(self.eta_max, self.btag.eta_max))
        for key in ("b", "c", "light"):
            require(self.btag, key, "efficiency", tagged, "btag.")
        return self


class MissingCard(StrictModel):
    """Missing transverse momentum: minus the sum of all reconstructed objects and of a soft term.

    Attributes:
        response: Mean of the reconstructed over the true soft term.
        resolution: Width in GeV of each component of the soft term, of ``sumet`` (scalar sum of pt of everything that
            is in no lepton or jet, GeV) and ``mu``.
    """

    response: Positive = 1.0
    resolution: Formula

    @model_validator(mode="after")
    def _try_formulas(self) -> Self:
        require(self, "resolution", "resolution", missing_grid())
        return self


class PileUpCard(StrictModel):
    """Pile-up, by what it does to objects; there is none by default.

    Attributes:
        mean: Mean of the Poisson number ``mu`` of additional interactions in an event.
        jets: Mean number of pile-up jets above the jets' ``pt_min``, a formula of ``mu``.
        jet_power: Their pt falls like pt to the power of minus this number.
    """

    mean: Annotated[float, Field(ge=0.0, le=LARGEST_MU)] = 0.0
    jets: Formula = "0"
    jet_power: Annotated[float, Field(gt=1.0)] = 5.0

    @model_validator(mode="after")
    def _try_formulas(self) -> Self:
        require(self, "jets", "rate", pileup_grid())
        return self


class SelectionCard(StrictModel):
    """What an event must hold to be ``selected``; everything, by default.

    Attributes:
        leptons_min: Fewest electrons and muons together.
        leptons_max: Most electrons and muons together.
        jets_min: Fewest jets.
        btags_min: Fewest b-tagged jets.
    """

    leptons_min: Annotated[int, Field(ge=0)] = 0
    leptons_max: Annotated[int, Field(ge=0)] | None = None
    jets_min: Annotated[int, Field(ge=0)] = 0
    btags_min: Annotated[int, Field(ge=0)] = 0


class Card(StrictModel):
    """A whole detector card.

    Attributes:
        name: Name of the experiment.
        coverage: Largest absolute pseudorapidity at which particles are seen at all.
        electrons: Electrons.
        muons: Muons.
        jets: Jets and b-tags.
        missing: Missing transverse momentum.
        pileup: Pile-up.
        selection: The selection whose outcome is kept for each event.
    """

    name: str
    coverage: Positive = 5.0
    electrons: LeptonCard
    muons: LeptonCard
    jets: JetCard
    missing: MissingCard
    pileup: PileUpCard = Field(default_factory=PileUpCard)
    selection: SelectionCard = SelectionCard()

    def to_toml(self) -> str:
        """Write the whole card, every default included."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def shipped_cards() -> tuple[str, ...]:
    """Return the names of the cards that come with castalia."""
    return tuple(sorted(one.name.removesuffix(".toml") for one in _folder().iterdir() if one.name.endswith(".toml")))


def load_card(name: str | Path) -> Card:
    """Read a card: one of :func:`shipped_cards` by its name, or a TOML file.

    Args:
        name: Name of a shipped card, such as ``"cms-like"``, or a path.

    Raises:
        ConfigError: If there is no such card or file, or it has an unknown key, or a formula that cannot be used.
    """
    if str(name) in shipped_cards():
        return parse_card((_folder() / f"{name}.toml").read_text(encoding="utf-8"), f"card {name}")
    path = Path(name)
    try:
        return parse_card(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        known = ", ".join(shipped_cards())
        raise ConfigError(f"{path}: there is no such card; give a TOML file or one of {known}.") from None
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read as a TOML text file ({error}).") from None


def parse_card(text: str, path: Path | str) -> Card:
    """Build a card from TOML text.

    Args:
        text: The TOML text.
        path: File to name in errors.

    Raises:
        ConfigError: If the text is no TOML, has an unknown key, or a formula that cannot be used.
    """
    try:
        return Card.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid TOML ({error}).") from None
    except ValidationError as error:
        raise config_error(error, path) from None


def _folder() -> Any:
    return files("castalia.detectors") / "cards"
