"""Sampling of a flow in pieces that fit the processor's cache, on as many threads as torch is set to use."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import final

import numpy as np
import torch
from torch import Tensor

from castalia.estimators.condition_encoding import ConditionEncoding
from castalia.estimators.flows.chain import Chain, Inverse
from castalia.estimators.scaling import TargetScaling
from castalia.nn.workspace import Context, PlainContext, TabulatedContext, Workspace

__all__ = ["IncrementalSampler"]

# Numbers in the buffers of one piece on a processor, which shares its cache with the weights: smaller pieces cost too
# many calls, larger ones do not stay there. That is 6,144 events of the paper's network and 7,680 of the default.
_CACHED = 1_850_000
_MULTIPLE = 512  # of which a piece is one, so that rows of a buffer begin where vector registers do
_ACCELERATED = 262_144  # … and elsewhere, where more events at once hide the cost of starting many small products


@final
class IncrementalSampler:
    """A flow frozen for sampling: its weights are prepared once for any number of events.

    The events are cut into pieces of equal size. Each thread takes the next piece, draws its noise, and works on its
    own buffers with torch's own threads set to one; so the same numbers come out on any number of threads.

    Args:
        chain: From the targets to the base distribution.
        conditions: Its scaling is applied before; its embedding is part of what is frozen.
        targets: Scaling of the targets.
    """

    def __init__(self, chain: Chain, conditions: ConditionEncoding, targets: TargetScaling) -> None:
        embedding = conditions.embedding
        self._context: Context = PlainContext(conditions.width) if embedding is None else TabulatedContext(embedding)
        self._targets, self._frozen = targets, chain.freeze(self._context)
        self._variables = len(targets.variables)
        self._piece = self._cached(targets.mean) if targets.mean.device.type == "cpu" else _ACCELERATED

    def sample(self, scaled: Tensor, rng: np.random.Generator) -> Tensor:
        """Draw one target for every event.

        Args:
            scaled: Scaled conditions, shape ``(events, C)``.
            rng: Source of the noise, drawn in float32 for one event after the other.

        Returns:
            Targets in physical units, shape ``(events, T)``.
        """
        result = scaled.new_empty((len(scaled), self._variables))
        work = _Work(deque(range(0, len(scaled), self._piece)), rng)
        threads = torch.get_num_threads() if scaled.device.type == "cpu" else 1
        if threads == 1 or not work.begins:
            self._run(work, scaled, result)
            return result
        number = min(threads, len(work.begins))
        try:
            with ThreadPoolExecutor(number, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                try:
                    for one in [pool.submit(self._run, work, scaled, result) for _ in range(number)]:
                        one.result()
                finally:
                    work.begins.clear()  # after a failure or an interruption the others need not go on
        finally:
            torch.set_num_threads(threads)  # the setting of a thread is also that of threads to come
        return result

    def _cached(self, like: Tensor) -> int:
        """Return how many events have buffers that fit the cache."""
        trial = Workspace(self._context, self._variables, 1, like)
        self._frozen(trial)
        return max(_CACHED // trial.rows // _MULTIPLE, 1) * _MULTIPLE

    @torch.inference_mode()
    def _run(self, work: _Work, scaled: Tensor, result: Tensor) -> None:
        workspace = Workspace(self._context, self._variables, 0, scaled)
        inverse: Inverse | None = None
        while (taken := work.take(len(scaled), self._piece, self._variables)) is not None:
            events, noise = taken
            if inverse is None or workspace.values.shape[1] != len(noise):
                workspace = Workspace(self._context, self._variables, len(noise), scaled)
                inverse = self._frozen(workspace)
            workspace.load(scaled[events])
            values = inverse(torch.from_numpy(noise).to(scaled).t().contiguous())
            result[events] = self._targets.to_sample(self._targets.inverse(values.t()))


@final
class _Work:
    """Pieces still to be done, with their noise drawn in order whichever thread takes them."""

    def __init__(self, begins: deque[int], rng: np.random.Generator) -> None:
        self.begins, self._rng, self._lock = begins, rng, Lock()

    def take(self, events: int, piece: int, variables: int) -> tuple[slice, np.ndarray] | None:
        with self._lock:
            if not self.begins:
                return None
            begin = self.begins.popleft()
            end = min(begin + piece, events)
            return slice(begin, end), self._rng.standard_normal((end - begin, variables), dtype=np.float32)
