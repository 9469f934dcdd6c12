"""A task that counts the threads it was given; apart from the others because it loads torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from threadpoolctl import threadpool_info

from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.production.units import Task, Unit


@dataclass(frozen=True)
class ThreadTask(Task):
    """Writes down how many threads it was given."""

    @property
    def schema(self) -> Schema:
        return Schema(columns=(ColumnSpec(name="threads", dtype="int64"),))

    def run(self, unit: Unit) -> Iterator[Table]:
        threads = [torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())]
        if max(threads) > 1:
            raise RuntimeError(f"{threads} threads")
        yield Table({"threads": np.ones(unit.entries, dtype=np.int64)})
