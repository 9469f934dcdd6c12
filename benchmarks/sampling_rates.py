"""How fast samplers draw, side by side in one process: each at its best setting, interleaved, on a watched machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import psutil
import torch

__all__ = ["CORES", "Contender", "Race", "best_rate", "race"]

CORES = 2  # of the goals
MOVED, BUSY = 0.05, 0.3  # what makes a result noisy: the product rate moved, or others used so much of a core

Draw = Callable[[torch.Tensor], object]


@dataclass(frozen=True)
class Contender:
    """A sampler and the settings it may choose from.

    Attributes:
        draw: Draws one sample for each event of its conditions, shape ``(events, C)``.
        conditions: Conditions to draw for, as many as the largest batch or repeated.
        batches: Numbers of events to ask for at once.
        shared: Arrangements to choose from: Python threads, each with its share of the events and one thread of torch
            (true), or none and as many threads of torch as there are cores, for the sampler to use as it likes (false).
    """

    draw: Draw
    conditions: torch.Tensor
    batches: Sequence[int]
    shared: Sequence[bool]


@dataclass(frozen=True)
class Setting:
    """How a contender is run: events at once, and whether Python threads share them."""

    batch: int
    shared: bool


@dataclass(frozen=True)
class Race:
    """What was measured.

    Attributes:
        rates: Events per second, median over the rounds, by name.
        ratios: The first contender's rate over each other's, round by round: median and its standard error.
        settings: The setting each chose.
        peak_before: Product rate in GFLOP/s before the rounds: as many single-threaded products at once as cores.
        peak_after: The same after them.
        others: Cores that other processes used meanwhile, on average.
        noisy: Whether the machine was disturbed in all attempts.
    """

    rates: Mapping[str, float]
    ratios: Mapping[str, tuple[float, float]]
    settings: Mapping[str, Setting]
    peak_before: float
    peak_after: float
    others: float
    noisy: bool

    def described(self) -> dict[str, Any]:
        """Return what belongs into any result file."""
        return {
            "peak_gflops_before": self.peak_before,
            "peak_gflops_after": self.peak_after,
            "other_processes_cores": self.others,
            "noisy": self.noisy,
            "batch_size": {name: setting.batch for name, setting in self.settings.items()},
            "python_threads": {name: setting.shared for name, setting in self.settings.items()},
        }


def race(contenders: Mapping[str, Contender], seconds: float, rounds: int, attempts: int) -> Race:
    """Measure the contenders in turn: the first, each other one, and the first again, in every round.

    Args:
        contenders: By name, the one of interest first.
        seconds: Time for one measurement.
        rounds: Number of rounds, after the settings are chosen.
        attempts: How often to try for a quiet machine.
    """
    with _pool() as pool:
        settings = {name: _best_setting(one, pool, seconds / 2) for name, one in contenders.items()}
        for _ in range(attempts):
            found = _attempt(contenders, settings, pool, seconds, rounds)
            if not found.noisy:
                break
    return found


def best_rate(contender: Contender, seconds: float) -> float:
    """Return the events per second of one contender at its best setting, measured once."""
    with _pool() as pool:
        return _rate(contender, _best_setting(contender, pool, seconds), pool, seconds)


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Give Python threads with one thread of torch each, and two to torch where it is called from here."""
    with ThreadPoolExecutor(CORES, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        barrier = Barrier(CORES)
        list(pool.map(lambda _: barrier.wait(), range(CORES)))  # all are there, and have made their setting
        torch.set_num_threads(CORES)
        yield pool


def _attempt(
    contenders: Mapping[str, Contender],
    settings: Mapping[str, Setting],
    pool: ThreadPoolExecutor,
    seconds: float,
    rounds: int,
) -> Race:
    first, *others = contenders
    before, watch = _product_rate(pool), _Others()
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        turns = {name: _rate(contenders[name], settings[name], pool, seconds) for name in contenders}
        again = _rate(contenders[first], settings[first], pool, seconds)
        turns[first] = (turns[first] + again) / 2
        for name, value in turns.items():
            rates[name].append(value)
    busy, after = watch.cores(), _product_rate(pool)
    ratios = {name: _median([a / b for a, b in zip(rates[first], rates[name], strict=True)]) for name in others}
    return Race(
        {name: statistics.median(values) for name, values in rates.items()},
        ratios,
        settings,
        before,
        after,
        busy,
        abs(after / before - 1) > MOVED or busy > BUSY,
    )


def _median(values: Sequence[float]) -> tuple[float, float]:
    """Return the median and its standard error, 1.25 times that of a mean of normal values."""
    return statistics.median(values), 1.2533 * statistics.stdev(values) / len(values) ** 0.5


def _best_setting(contender: Contender, pool: ThreadPoolExecutor, seconds: float) -> Setting:
    choices = [Setting(batch, shared) for batch in contender.batches for shared in contender.shared]
    _rate(contender, choices[0], pool, seconds / 4)  # to warm up
    return max(choices, key=lambda choice: _rate(contender, choice, pool, seconds))


def _rate(contender: Contender, setting: Setting, pool: ThreadPoolExecutor, seconds: float) -> float:
    """Return events per second, from as many calls as fit."""
    given = contender.conditions
    condition = given.repeat(-(-setting.batch // len(given)), 1)[: setting.batch]
    parts = condition.chunk(CORES) if setting.shared else (condition,)

    @torch.inference_mode()
    def draw(part: torch.Tensor) -> None:
        contender.draw(part)

    calls, begin = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() - begin < seconds:
        if setting.shared:
            list(pool.map(draw, parts))
        else:
            draw(condition)
        calls += 1
    return calls * setting.batch / (time.perf_counter() - begin)


def _product_rate(pool: ThreadPoolExecutor, size: int = 1024, events: int = 4096, repeats: int = 8) -> float:
    """Return the rate in GFLOP/s of large matrix products, one on each core at once; the best of several tries."""
    barrier = Barrier(CORES)

    def multiply(number: int) -> tuple[float, float]:
        a, b = torch.ones(size, size), torch.ones(size, events)
        out = torch.mm(a, b)
        barrier.wait()
        begin = time.perf_counter()
        for _ in range(repeats):
            torch.mm(a, b, out=out)
        return begin, time.perf_counter()

    best = 0.0
    for _ in range(5):
        begins, ends = zip(*pool.map(multiply, range(CORES)), strict=True)
        flops = 2.0 * size * size * events * repeats * CORES
        best = max(best, flops / (max(ends) - min(begins)) / 1e9)
    return best


class _Others:
    """How much of the machine other processes use, from the making of this object on."""

    def __init__(self) -> None:
        self._begin = self._now()

    def cores(self) -> float:
        """Return the number of cores they used on average."""
        busy, own, clock = (now - then for now, then in zip(self._now(), self._begin, strict=True))
        return max(busy - own, 0.0) / clock

    @staticmethod
    def _now() -> tuple[float, float, float]:
        system, own = psutil.cpu_times(), psutil.Process().cpu_times()
        busy = sum(system) - system.idle - getattr(system, "iowait", 0.0) - getattr(system, "guest", 0.0)
        return busy, own.user + own.system, time.perf_counter()
