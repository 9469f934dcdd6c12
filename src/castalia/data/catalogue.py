"""Public data sets that a user can have by name: where they are, and the layout that reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from castalia.errors import ConfigError

__all__ = ["PUBLIC_SETS", "PublicSet", "find_public_set"]


@dataclass(frozen=True)
class PublicSet:
    """One file of events that anybody may use.

    Attributes:
        name: What the command line calls it.
        description: One line for people.
        page: Its record for people to read, with licence and selection.
        address: Where it, or the archive that it is in, can be downloaded.
        file: Name that it gets.
        member: Its path in the archive; ``None`` where the address is that of the file.
        layout: The layout that reads it.
    """

    name: str
    description: str
    page: str
    address: str
    file: str
    layout: str
    member: str | None = None


PUBLIC_SETS: Final[tuple[PublicSet, ...]] = (
    PublicSet(
        "cms-record-212",
        "469,384 events of CMS with a muon (2011): jets with b-tags, leptons, photons, missing momentum",
        page="https://opendata.cern.ch/record/212",
        address="https://opendata.cern.ch/record/212/files/HEPTutorial_0.tar",
        file="data.root",
        layout="cms-record-212",
        member="HEPTutorial/files/data.root",
    ),
    PublicSet(
        "cms-zmumu",
        "about 10,000 candidates of Z decays to two muons of CMS (2011)",
        page="https://opendata.cern.ch/record/545",
        address="https://opendata.cern.ch/record/545/files/Zmumu.csv",
        file="Zmumu.csv",
        layout="cms-zmumu",
    ),
)
"""Every set that is known, the recommended one first; released under CC0 through the CERN Open Data portal."""


def find_public_set(name: str) -> PublicSet:
    """Return the set of that name.

    Raises:
        ConfigError: If there is none; the message lists those there are.
    """
    for one in PUBLIC_SETS:
        if one.name == name:
            return one
    raise ConfigError(f"There is no public set {name!r}; choose one of {', '.join(one.name for one in PUBLIC_SETS)}.")
