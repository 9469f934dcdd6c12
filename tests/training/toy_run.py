"""Toy trainings in processes of their own, to be killed: ``python toy_run.py MODE FOLDER [OPTION=VALUE ...]``.

Modes: ``train`` begins or resumes a training; ``kill-training`` and ``kill-saving`` fork children, kill each at a
random moment with SIGKILL, and check what it left (forked, because importing torch takes seconds).
"""

import functools
import importlib.util
import os
import resource
import signal
import sys
import time
from pathlib import Path

import torch

from castalia.errors import CastaliaError
from castalia.rng import Stream
from castalia.training import TrainingConfig, fit
from castalia.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

SPEC = importlib.util.spec_from_file_location("training_toys", Path(__file__).with_name("toys.py"))
toys = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(toys)


def say(word):
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def train(folder, begun, epochs, checkpoint_seconds=0.02, slow_metrics=0.0, limit=0):
    """Train two alternating objectives; ``begun`` comes with the first step, the ``limit`` on file sizes after it."""
    config = TrainingConfig(
        epochs=epochs, batch_size=50, learning_rate=0.02, ema=0.99, clip=1.0, checkpoint_seconds=checkpoint_seconds
    )
    said = []

    def progress(state):
        if not said:
            said.append(state)
            begun()
            if limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))

    def metrics(model):
        if slow_metrics:
            say("validating")
            time.sleep(slow_metrics)
        return {}

    fit(
        toys.Alternating(),
        toys.sample(1000),
        toys.sample(200, unit="v"),
        config,
        state=folder / "state",
        history=folder / "history.jsonl",
        resume=True,
        progress=progress,
        metrics=metrics,
    )


def save_for_ever(folder, begun):
    """Save checkpoints whose tensors tell their number, until killed."""
    begun()
    for number in range(10**9):
        save_checkpoint(folder, Checkpoint({"w": torch.full((20_000,), float(number))}, {"number": number}))


def kill_children(kills, longest, work, afterwards):
    """Kill one child after another and return how many were still at work."""
    struck, rng = 0, Stream(1, "moments of death").at()
    for _ in range(kills):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work(functools.partial(os.write, writer, b"x"))
                code = 0
            finally:
                os._exit(code)
        os.close(writer)
        begun = os.read(reader, 1)
        os.close(reader)
        time.sleep(rng.uniform(0.0, longest))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        struck += bool(begun) and os.WIFSIGNALED(status)
        afterwards()
    return struck


def kill_saving(folder, kills):
    """Kill children that save; says how often a kill left an orphan, and fails on a checkpoint that is not whole."""
    orphans, highest = 0, 0

    def check():
        nonlocal orphans, highest
        orphans += len(list(folder.iterdir())) > 2
        checkpoint = load_checkpoint(folder)
        if checkpoint is None or set(checkpoint.tensors["w"].tolist()) != {float(checkpoint.record["number"])}:
            sys.exit(f"the checkpoint is not whole: {checkpoint}")
        if len(list(folder.iterdir())) != 2:
            sys.exit(f"orphans stay: {sorted(folder.iterdir())}")
        highest = max(highest, checkpoint.record["number"])

    save_checkpoint(folder, Checkpoint({"w": torch.zeros(20_000)}, {"number": 0}))
    struck = kill_children(kills, 0.1, lambda begun: save_for_ever(folder, begun), check)
    say(f"struck {struck} orphans {orphans} highest {highest}")


def main():
    torch.set_num_threads(1)
    mode, folder = sys.argv[1], Path(sys.argv[2])
    options = {key: float(value) for key, value in (word.split("=") for word in sys.argv[3:])}
    epochs, kills = (int(options.pop(key, 0)) for key in ("epochs", "kills"))
    try:
        if mode == "kill-saving":
            kill_saving(folder, kills)
        elif mode == "kill-training":
            longest = 0.08
            struck = kill_children(kills, longest, lambda begun: train(folder, begun, epochs), lambda: None)
            say(f"struck {struck}")
        else:
            train(folder, lambda: say("running"), epochs, **options)
    except CastaliaError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
