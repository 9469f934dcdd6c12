"""Units on worker processes, or in this one: the same parts whatever their number, order or fate."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from importlib import import_module
from multiprocessing import active_children, get_context, parent_process

from castalia.errors import MachineError
from castalia.production.parts import Parts
from castalia.production.units import Produced, Task, Unit

__all__ = ["run_unit", "run_units"]

_RETRIES = 2
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_POLL_SECONDS = 0.2


def run_unit(task: Task, unit: Unit, parts: Parts, check: Callable[[], None]) -> None:
    """Compute one unit and write its part with its sidecar.

    Args:
        task: What to do.
        unit: The unit.
        parts: Where to put the rows.
        check: Called between tables; raises to stop.
    """
    counts: Counter[str] = Counter()
    with parts.writer(unit, task.schema) as writer:
        for piece in task.run(unit):
            check()
            produced = piece if isinstance(piece, Produced) else Produced(piece)
            counts.update(produced.counts)
            if len(produced.table):
                writer.write(produced.table)
    parts.record(unit, writer.summary, task.schema, dict(counts))


def run_units(
    task: Task, units: Sequence[Unit], parts: Parts, *, workers: int, check: Callable[[], None]
) -> Generator[Unit, None, None]:
    """Yield every unit once its part is finished, in any order.

    One worker runs in this process, more in spawned ones; linear algebra has one thread in both, because the number
    of threads changes the last bits of sums. When a worker is killed, what is left is tried again in a new pool.
    Close the iterator when leaving it early.

    Args:
        task: What to do.
        units: Units to run.
        parts: Where the parts go.
        workers: Number of processes.
        check: Called often; raises to stop.

    Raises:
        MachineError: If workers were killed three times in a row without finishing a unit.
    """
    if workers == 1:
        with _one_thread():
            for unit in units:
                run_unit(task, unit, parts, check)
                yield unit
        return
    left = list(units)
    fruitless = 0
    while left:
        before = len(left)
        try:
            with closing(_run_pool(task, tuple(left), parts, workers, check)) as running:
                for unit in running:
                    left.remove(unit)
                    yield unit
        except BrokenProcessPool as error:
            check()
            fruitless = fruitless + 1 if len(left) == before else 0
            if fruitless > _RETRIES:
                raise MachineError(
                    f"{parts.folder}: a worker process was killed {fruitless} times in a row ({len(left)} units are "
                    "left; out of memory?); use fewer workers and pass --resume, which keeps what is finished."
                ) from error
            parts.sweep()


def _run_pool(
    task: Task, units: Sequence[Unit], parts: Parts, workers: int, check: Callable[[], None]
) -> Generator[Unit, None, None]:
    others = set(active_children())
    executor = ProcessPoolExecutor(
        min(workers, len(units)), mp_context=get_context("spawn"), initializer=_start_worker, initargs=(task, parts)
    )
    pending: set[Future[None]] = set()
    try:
        with _one_thread_environment():
            owner = {executor.submit(_run_in_worker, unit): unit for unit in units}
        pending = set(owner)
        while pending:
            done, waiting = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            check()
            for future in sorted(done, key=lambda future: future.exception() is not None):
                future.result()
                pending.discard(future)
                yield owner[future]
            pending = waiting
    finally:
        if pending:  # stopped or failed: the rest is not wanted any more
            for worker in set(active_children()) - others:
                worker.terminate()
        executor.shutdown(wait=True, cancel_futures=True)


_worker: tuple[Task, Parts] | None = None


def _start_worker(task: Task, parts: Parts) -> None:
    global _worker  # noqa: PLW0603 – the pool has no other place for what a worker keeps
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_die_with_parent, daemon=True).start()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
    _worker = (task, parts)


def _run_in_worker(unit: Unit) -> None:
    if _worker is None:
        raise MachineError("A worker was given a unit before its task; this is a fault of Castalia, please report it.")
    task, parts = _worker
    run_unit(task, unit, parts, lambda: None)  # nothing to check: a worker is ended by its parent


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _one_thread_environment() -> Iterator[None]:
    """Let processes started meanwhile use one thread for linear algebra."""
    saved = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let this process use one thread for linear algebra, and give the others back."""
    torch = sys.modules.get("torch")
    threads = 1 if torch is None else torch.get_num_threads()
    # scikit-learn brings threadpoolctl, which has no type information
    with import_module("threadpoolctl").threadpool_limits(1):
        if torch is not None:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(threads)
