"""Pythia 8, made ready from a list of settings and read event by event; knows no particular process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import awkward as ak

from castalia.errors import ConfigError, MachineError

__all__ = ["MAX_SEED", "last_copy", "load_pythia", "make_pythia", "pythia_batches", "pythia_events"]

MAX_SEED = 900_000_000
"""Largest seed that Pythia's own generator takes."""

# More than this many failures on end is no bad luck but settings that cannot work.
_FAILURES_ON_END = 100


def load_pythia() -> ModuleType:
    """Return the module ``pythia8mc``.

    Raises:
        ConfigError: If Pythia is not installed.
    """
    try:
        import pythia8mc
    except ImportError as error:
        raise ConfigError(
            "This process needs Pythia 8, which is not installed; run pip install 'castalia[processes]', "
            "or, for two photons, use the process toy."
        ) from error
    module: ModuleType = pythia8mc
    return module


def make_pythia(settings: Sequence[str], seed: int, hook: Any = None) -> Any:
    """Return an initialised Pythia that prints nothing.

    Pythia adapts itself to the events it has seen, so two calls give the same events only from the same beginning:
    make a new one for each unit of work.

    Args:
        settings: Pythia setting lines, such as ``"Beams:eCM = 13000."``.
        seed: Seed of Pythia's generator, in ``[1, 900_000_000]``.
        hook: User hook to run with, an instance of a subclass of ``pythia8mc.UserHooks``. Keep a reference to it as
            long as to the result: Pythia alone does not keep what Python adds to it.

    Raises:
        ConfigError: If Pythia is not installed, the seed is out of range, or Pythia refuses a line.
        MachineError: If Pythia does not initialise.

    References:
        Bierlich et al., A comprehensive guide to the physics and usage of PYTHIA 8.3, arXiv:2203.11601.
    """
    pythia8mc = load_pythia()
    if not 1 <= seed <= MAX_SEED:
        raise ConfigError(f"Pythia's seed must lie in [1, {MAX_SEED}], not {seed}.")
    pythia = pythia8mc.Pythia("", False)
    for line in ("Print:quiet = on", "Random:setSeed = on", f"Random:seed = {seed}", *settings):
        if not pythia.readString(line):
            raise ConfigError(f"Pythia does not know the setting {line!r}; correct it as its manual spells it.")
    if hook is not None:
        pythia.setUserHooksPtr(hook)
    if not pythia.init():
        raise MachineError("Pythia did not initialise with these settings; see its own messages above.")
    return pythia


def pythia_events(pythia: Any) -> Iterator[Any]:
    """Yield event records without end; a record is valid until the next is asked for.

    Raises:
        MachineError: If Pythia fails 100 times on end.
    """
    failures = 0
    while True:
        if pythia.next():
            failures = 0
            yield pythia.event
            continue
        failures += 1
        if failures >= _FAILURES_ON_END:
            raise MachineError(f"Pythia failed to make an event {failures} times on end; its settings cannot work.")


def pythia_batches(pythia: Any, events: int, batch: int) -> Iterator[ak.Array]:
    """Yield the records of exactly ``events`` events; which they are does not depend on ``batch``.

    Args:
        pythia: An initialised Pythia.
        events: How many events to make in all, at least 0.
        batch: Most events that are held at a time, at least 1.

    Yields:
        At least one event: Pythia's own array of records, as its ``nextBatch`` makes it.

    Raises:
        MachineError: If 100 events failed, and more failed than were made.
    """
    made = failures = 0
    while made < events:
        wanted = min(batch, events - made)
        # A failed event is None here, and can be counted; other modes of Pythia's hide it.
        records = ak.drop_none(pythia.nextBatch(wanted, "none"), axis=0)
        made += len(records)
        failures += wanted - len(records)
        if failures >= _FAILURES_ON_END and failures > made:
            raise MachineError(
                f"Pythia failed to make {failures} of {made + failures} events; its settings cannot work."
            )
        if len(records):
            yield records


def last_copy(event: Any, index: int) -> Any:
    """Return the particle that entry ``index`` of an event record has become after all recoils."""
    return event[event[index].iBotCopyId()]
