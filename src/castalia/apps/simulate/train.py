"""Training of a response model: files to a run folder that holds the model, its companions and all that made them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from castalia import __version__
from castalia.apps.simulate.config import SimulateConfig, load_config, parse_config
from castalia.apps.simulate.efficiency import check_found, efficiency_batch, efficiency_layout, efficiency_training
from castalia.apps.simulate.inputs import Inputs, condition_ranges, open_inputs, schema_with_ranges
from castalia.apps.simulate.members import bootstrap, member_config, member_name
from castalia.apps.simulate.seen import save_seen
from castalia.apps.simulate.validation import ValidationMetrics, target_scales
from castalia.data.layout import Layout
from castalia.data.loading import LoadedArrays, content_keys
from castalia.data.schema import Schema
from castalia.errors import ConfigError, DataError
from castalia.estimators.arrays import batch_from_arrays, to_numpy
from castalia.estimators.base import Batch, Estimator
from castalia.estimators.registry import build
from castalia.estimators.storage import model_hash, save_model
from castalia.rng import Stream
from castalia.runs.folder import RunFolder, refuse_busy, refuse_content
from castalia.training.fit import FitResult, fit
from castalia.training.progress import Progress
from castalia.training.weights import check_weights

__all__ = ["train"]

log = logging.getLogger(__name__)
StepProgress = Callable[[float, float, float | None, str], None]

CHUNK = 65_536
OTHER_WORK = 1.3  # optimiser step, validation and reading, over forward and backward alone


def train(
    config_path: Path,
    run_path: Path,
    *,
    seed: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    skip_bad: int = 0,
    skip_bad_files: bool = False,
    dry_run: bool = False,
    progress: StepProgress | None = None,
) -> dict[str, Any]:
    """Train the configured response model, its members and efficiency, and the parametric-smearing rival.

    Only events of the training split are learned from, those of the validation split choose the best epoch, and
    those of the test split are never read beyond their identifiers.

    Args:
        config_path: TOML file.
        run_path: Run folder to create, or to go on with.
        seed: Instead of the configuration's.
        resume: Go on from the last checkpoint of ``run_path``; bit-identical to never having stopped.
        overwrite: Replace an existing run folder.
        skip_bad: Number of unusable rows to leave out and count.
        skip_bad_files: Leave out whole files that cannot be used, and record them.
        dry_run: Check the inputs, time one batch, write nothing.
        progress: Called with steps done, steps in all, seconds left and a short text.

    Returns:
        Summary: run folder, events, best epoch and value, seconds, model hash.

    Raises:
        ConfigError: If the configuration is wrong, the folder exists, or ``resume`` meets another configuration.
        DataError: If a file, column or row cannot be used.
        MachineError: If the folder is in use or the loss is not finite.
        StoppedError: If SIGTERM arrived; the state is saved.
    """
    started = time.monotonic()
    config = load_config(config_path, seed)
    inputs = open_inputs(config, skip_bad_files)
    if dry_run:
        return _estimate(config, inputs, skip_bad)
    refuse_busy(run_path)
    if not resume:
        refuse_content(run_path, overwrite)
    # Everything that can be wrong with the input is found before the run folder is touched.
    prepared = _prepare(config, inputs, skip_bad)
    folder = _open_folder(config, inputs, prepared.schema, run_path, resume, overwrite)
    with folder.lock(), folder.logging():
        result = _fit_all(config, prepared, folder, resume, progress)
        counts = prepared.counts
        best = {"best_epoch": result.best_epoch, "best_value": result.best_value}
        folder.finish({**best, **counts, "skipped_files": {**inputs.skipped}})
    return {
        "run": str(run_path),
        "model": model_hash(folder.models / "response"),
        "best_epoch": result.best_epoch,
        "best_value": result.best_value,
        "epochs": result.epochs,
        **counts,
        "skipped_files": len(inputs.skipped),
        "seconds": round(time.monotonic() - started, 2),
    }


def _open_folder(
    config: SimulateConfig, inputs: Inputs, schema: Schema, path: Path, resume: bool, overwrite: bool
) -> RunFolder:
    if not resume:
        return RunFolder.create(
            path,
            application="simulate",
            config_toml=config.to_toml(),
            schema=schema,
            inputs=inputs.checksums,
            splits=inputs.splits,
            seed=config.training.seed,
            overwrite=overwrite,
        )
    folder = RunFolder.open(path)
    # Files are compared by content below, so that a run may be moved together with them.
    started = parse_config(folder.config_text(), path / "config.toml", path)
    nameless = {"data": {"files", "validation_files", "test_files"}}
    if started.model_dump(exclude=nameless) != config.model_dump(exclude=nameless):
        raise ConfigError(f"{path}: was started with another configuration than this one; resume with that one.")
    known = set(folder.record.inputs.values())
    changed = [name for name, digest in inputs.checksums.items() if digest not in known]
    if changed:
        raise DataError(f"{changed[0]}: has changed since {path} was started; restore the file or train anew.")
    lost = [name for name, digest in folder.record.inputs.items() if digest not in inputs.checksums.values()]
    if lost:
        raise DataError(f"{lost[0]}: {path} was started with it, and now it cannot be used; restore it or train anew.")
    return folder


@dataclass(frozen=True)
class _Prepared:
    """What is trained, on what; ``found`` tells the training and validation events reconstructed and lost apart."""

    estimator: Estimator
    rival: Estimator
    layout: Layout
    training: Batch
    validation: Batch
    found: tuple[Batch | None, Batch | None]
    schema: Schema
    seen: NDArray[np.uint64]
    extra: dict[str, Any]
    counts: dict[str, int]


def _prepare(config: SimulateConfig, inputs: Inputs, skip_bad: int) -> _Prepared:
    layout = inputs.features.layout
    name, options = config.model.resolve()
    estimator = build(name, options, layout, config.training.seed)
    training, validation = _checked(config, inputs, "train", skip_bad), _checked(config, inputs, "validation", skip_bad)
    every = _batch(training)
    estimator.prepare(every.chunks(CHUNK))  # a measured scale decides the support
    kept, dropped = _inside_support(estimator, every)
    valid, _ = _inside_support(estimator, _batch(validation))
    log.info("%s: %d training and %d validation events", name, len(kept), len(valid))
    return _Prepared(
        estimator=estimator,
        rival=build("parametric_smearing", {}, layout),
        layout=layout,
        training=kept,
        validation=valid,
        found=(efficiency_batch(training.arrays), efficiency_batch(validation.arrays)),
        schema=schema_with_ranges(inputs.features, training.arrays),
        seen=np.concatenate([content_keys(training.arrays), content_keys(validation.arrays)]),
        extra={
            "castalia": __version__,
            "condition_ranges": condition_ranges(inputs.features, training.arrays),
            "target_scales": target_scales(layout, to_numpy(kept.target.flat).astype(np.float64)).tolist(),
        },
        counts={
            "training_events": len(kept),
            "validation_events": len(valid),
            "outside_model_support": dropped,
            "skipped": training.counts["skipped"] + validation.counts["skipped"],
            "incomplete": training.counts["incomplete"] + validation.counts["incomplete"],
        },
    )


def _fit_all(
    config: SimulateConfig, prepared: _Prepared, folder: RunFolder, resume: bool, progress: StepProgress | None
) -> FitResult:
    """Train every model of the run one after the other; what an earlier session has finished takes no time."""
    # The rival is measured, not optimised: only the treatment of weights applies to it.
    fit(prepared.rival, prepared.training, None, config.training.model_copy(update={"metric": "loss"}))
    save_model(folder.models / "rival", prepared.rival, prepared.layout, prepared.extra)
    members = config.model.members
    models = members + (config.efficiency is not None)
    result = _fit_member(config, prepared, folder, 0, resume, _reporter(progress, 0, models))
    for member in range(1, members):
        log.info("training member %d of %d", member, members - 1)
        _fit_member(config, prepared, folder, member, resume, _reporter(progress, member, models))
    if config.efficiency is not None:
        _fit_efficiency(config, prepared, folder, resume, _reporter(progress, members, models))
    return result


def _fit_member(
    config: SimulateConfig,
    prepared: _Prepared,
    folder: RunFolder,
    member: int,
    resume: bool,
    report: Callable[[Progress], None] | None,
) -> FitResult:
    """Train and save one model of the ensemble, member 0 being the nominal one."""
    own = member_config(config, member)
    estimator, training, state, history = prepared.estimator, prepared.training, folder.state, folder.history
    if member:
        estimator = build(*own.model.resolve(), prepared.layout, own.training.seed)
        training = bootstrap(training, config.training.seed, member)
        state, history = _places(folder, member_name(member))
    result = fit(
        estimator,
        training,
        prepared.validation,
        own.training,
        state=state,
        history=history,
        resume=resume,
        metrics=ValidationMetrics.of(prepared.layout, prepared.validation, own.training.seed),
        progress=report,
        names=([v.name for v in prepared.layout.condition], [v.name for v in prepared.layout.target]),
    )
    if member == 0:
        save_seen(folder.models / member_name(member), prepared.seen)
    save_model(folder.models / member_name(member), estimator, prepared.layout, prepared.extra)
    return result


def _fit_efficiency(
    config: SimulateConfig,
    prepared: _Prepared,
    folder: RunFolder,
    resume: bool,
    report: Callable[[Progress], None] | None,
) -> None:
    training, validation = prepared.found
    if config.efficiency is None or training is None:
        return
    settings = efficiency_training(config)
    layout = efficiency_layout(prepared.layout, config.efficiency.column)
    estimator = build("efficiency", {}, layout, settings.seed)
    state, history = _places(folder, "efficiency")
    names = ([v.name for v in layout.condition], [v.name for v in layout.target])
    fit(
        estimator,
        training,
        validation,
        settings,
        state=state,
        history=history,
        resume=resume,
        progress=report,
        names=names,
    )
    save_model(folder.models / "efficiency", estimator, layout, prepared.extra)


def _places(folder: RunFolder, name: str) -> tuple[Path, Path]:
    """Return where state and history of a model beside the nominal one go."""
    state = folder.state / name
    state.mkdir(parents=True, exist_ok=True)
    return state, state / "history.jsonl"


def _checked(
    config: SimulateConfig, inputs: Inputs, split: Literal["train", "validation"], skip_bad: int
) -> LoadedArrays:
    """Load a split and refuse what no model could be trained on."""
    loaded = inputs.load(split, skip_bad)
    if split == "train" and config.efficiency is not None and loaded.arrays.found is not None:
        check_found(loaded.arrays.found, config.efficiency.column, tuple(loaded.hashes))
    if not config.training.positive_reweighting:
        every = efficiency_batch(loaded.arrays)  # the lost events as well, where there are any
        check_weights(_batch(loaded) if every is None else every, "training" if split == "train" else split)
    return loaded


def _batch(loaded: LoadedArrays) -> Batch:
    arrays = loaded.arrays.reconstructed
    if arrays.target is None:
        raise DataError("The files hold no target columns to learn from; name files with reconstructed columns.")
    # The index is the row in the files, so that a message about an event can name it.
    return batch_from_arrays(arrays.condition, arrays.target, arrays.weight, index=arrays.row)


def _inside_support(estimator: Estimator, batch: Batch) -> tuple[Batch, int]:
    """Leave out events that the model cannot give a density, such as those beyond the paper's tanh."""
    support = getattr(estimator, "support", None)
    if support is None:
        return batch, 0
    low, high = support()
    values = batch.target.flat
    inside = ((values > low) & (values < high)).all(dim=1)
    dropped = int((~inside).sum())
    if dropped:
        log.warning("%d of %d events lie outside the model's support and are left out", dropped, len(batch))
        return batch.take(inside), dropped
    return batch, 0


def _reporter(progress: StepProgress | None, number: int, models: int) -> Callable[[Progress], None] | None:
    """Report the training of one of ``models`` models as part of all, as if each took as long."""
    if progress is None:
        return None

    def report(state: Progress) -> None:
        losses: Mapping[str, float] = state.losses
        text = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
        left = state.seconds_left
        if left is not None and state.step < state.steps:
            left *= 1 + (models - 1 - number) * state.steps / (state.steps - state.step)
        which = f"model {number + 1}/{models} " if models > 1 else ""
        done, steps = number * state.steps + state.step, models * state.steps
        progress(done, steps, left, f"{which}epoch {state.epoch}/{state.epochs} {text}")

    return report


def _estimate(config: SimulateConfig, inputs: Inputs, skip_bad: int) -> dict[str, Any]:
    """Read and check the training events, time a few batches and scale up."""
    batch = _batch(_checked(config, inputs, "train", skip_bad))
    name, options = config.model.resolve()
    estimator = build(name, options, inputs.features.layout, config.training.seed)
    estimator.prepare(batch.chunks(CHUNK))
    piece = next(batch.chunks(config.training.batch_size))
    seconds = []
    for _ in range(3):
        begin = time.monotonic()
        for objective in estimator.objectives():
            losses = objective.loss(piece, Stream(config.training.seed, "dry run").at())
            losses.total.mean().backward()  # type: ignore[no-untyped-call]
        seconds.append(time.monotonic() - begin)
    steps = config.training.epochs * len(batch) / config.training.batch_size * config.model.members
    size = sum(p.numel() * p.element_size() for p in estimator.parameters())
    return {
        "dry_run": True,
        "estimator": name,
        "parameters": sum(p.numel() for p in estimator.parameters()),
        "entries": inputs.entries,
        "training_events": len(batch),
        "estimated_seconds": round(float(np.median(seconds)) * steps * OTHER_WORK, 1),
        "estimated_bytes": 8 * size * config.model.members,
    }
