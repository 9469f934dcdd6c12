"""What a model is given of a table: conditions, targets and what belongs to them, one row per event or object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

__all__ = ["FeatureArrays", "Floats", "ObjectArrays"]

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class ObjectArrays:
    """A list of objects for each row, padded to the longest.

    Attributes:
        values: Features in physical units, shape ``(rows, objects, features)``; 0 where there is no object.
        mask: True where there is one, shape ``(rows, objects)``.
    """

    values: Floats
    mask: NDArray[np.bool_]

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Return the lists of some rows, as long as they are here."""
        return type(self)(self.values[rows], self.mask[rows])

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Put lists one below the other, padded to the longest of all."""
        length = max(part.mask.shape[1] for part in parts)

        def padded(values: NDArray[Any]) -> NDArray[Any]:
            widths = [(0, 0), (0, length - values.shape[1]), *([(0, 0)] * (values.ndim - 2))]
            return np.pad(values, widths)

        return cls(
            np.concatenate([padded(part.values) for part in parts]),
            np.concatenate([padded(part.mask) for part in parts]),
        )


@final
@dataclass(frozen=True)
class FeatureArrays:
    """What a model is given; one row per event, or per object where each is learned by itself.

    Attributes:
        condition: Shape ``(rows, conditions)``, in physical units, in the order of the layout.
        target: Shape ``(rows, targets)``, or ``None`` where the table lacks target columns; NaN for lost events.
        reference: What each target is relative to, shape ``(rows, targets)``; 0 where it is relative to nothing.
        weight: Event weights, shape ``(rows,)``; 1 where no weight column is declared.
        row: Row of the table that each row belongs to, shape ``(rows,)``.
        incomplete: Number of events left out because they have fewer objects than are taken.
        found: Whether each row's event was reconstructed, shape ``(rows,)``; ``None`` where nothing says so.
        objects: Lists of objects that belong to the condition, by name.
    """

    condition: Floats
    target: Floats | None
    reference: Floats
    weight: Floats
    row: NDArray[np.int64]
    incomplete: int
    found: NDArray[np.bool_] | None = None
    objects: Mapping[str, ObjectArrays] = field(default_factory=dict)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Return the rows where a mask is true, or those of the numbers given, however often."""
        return type(self)(
            self.condition[rows],
            None if self.target is None else self.target[rows],
            self.reference[rows],
            self.weight[rows],
            self.row[rows],
            self.incomplete,
            None if self.found is None else self.found[rows],
            {name: one.take(rows) for name, one in self.objects.items()},
        )

    @property
    def reconstructed(self) -> Self:
        """The rows of reconstructed events; all where nothing says otherwise."""
        return self if self.found is None else self.take(self.found)

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Put events one below the other; ``row`` stays as it is, lists are padded to the longest of all."""
        targets = [part.target for part in parts if part.target is not None]
        found = [part.found for part in parts if part.found is not None]
        return cls(
            condition=np.concatenate([part.condition for part in parts]),
            target=np.concatenate(targets) if targets else None,
            reference=np.concatenate([part.reference for part in parts]),
            weight=np.concatenate([part.weight for part in parts]),
            row=np.concatenate([part.row for part in parts]),
            incomplete=sum(part.incomplete for part in parts),
            found=np.concatenate(found) if found else None,
            objects={
                name: ObjectArrays.concatenate([part.objects[name] for part in parts]) for name in parts[0].objects
            },
        )

    @classmethod
    def of_found_and_lost(cls, found: Self, lost: Self, mask: NDArray[np.bool_]) -> Self:
        """Put the rows of reconstructed and of lost events back into the order of their table.

        Args:
            found: Rows of the reconstructed events; ``row`` counts these events only.
            lost: Rows of the lost ones, without targets; ``row`` counts these only.
            mask: Which events of the table are reconstructed, shape ``(events,)``.
        """
        row = np.concatenate([np.flatnonzero(mask)[found.row], np.flatnonzero(~mask)[lost.row]])
        order = np.argsort(row, kind="stable")
        nothing = np.full(lost.reference.shape, np.nan)
        return cls(
            np.concatenate([found.condition, lost.condition])[order],
            None if found.target is None else np.concatenate([found.target, nothing])[order],
            np.concatenate([found.reference, lost.reference])[order],
            np.concatenate([found.weight, lost.weight])[order],
            row[order],
            found.incomplete + lost.incomplete,
            mask[row[order]],
            {
                name: ObjectArrays.concatenate([one, lost.objects[name]]).take(order)
                for name, one in found.objects.items()
            },
        )
