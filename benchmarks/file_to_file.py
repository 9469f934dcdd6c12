"""What sampling costs beyond reading and writing the file: ``python benchmarks/file_to_file.py [--quick]``.

``castalia simulate sample`` turns a ROOT file of toy diphoton events into another, as a user runs it: its own process
and workers, imports and start included. It is held against programs that read the same columns of the same file with
the same reader and write the same columns with the same writer, but copy the truth where a model would draw:

- ``one process``: reader to writer, nothing between;
- ``production``: the same units on the same number of workers, merged into one file as in sampling;
- ``plain uproot``, for reference only: no checks, no hashes, no sidecar.

The ratio is taken to the faster of the first two. The peak memory is that of the whole process tree, as the sum of
proportional set sizes (shared pages once), in runs of their own. The input comes from ``generate diphoton``; the model
is the default preset after one epoch, for its weights do not matter here.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from castalia.data.readers import open_reader
from castalia.data.schema import Schema
from castalia.data.sidecar import read_sidecar, sidecar_path
from castalia.data.table import Table
from castalia.data.writers import open_writer
from castalia.errors import CastaliaError
from castalia.production.pool import produce
from castalia.production.units import Task, Unit, plan_units
from record import ROOT, Goal, write_result

WORKERS = 2
CHUNK = 65_536
UNIT_EVENTS = 131_072  # as in sampling
COPIED_FROM = {"photon_et": "photon_et_true", "photon_eta": "photon_eta_true", "photon_phi": "photon_phi_true"}
FLAG = "out_of_support"
POLL_SECONDS = 0.2
QUIET_CORES = 0.3  # what other processes may use of the machine before a measurement counts as noisy

TRAINING_EVENTS = 20_000
CONFIG = (ROOT / "examples" / "diphoton.toml").read_text(encoding="utf-8").replace("epochs = 15", "epochs = 1")

# What is added up for each stage of sampling, by file and function; a stage's time is what it takes beyond the stages
# named after it, which it contains.
STAGES: dict[str, tuple[tuple[str, str], tuple[str, ...]]] = {
    "hashing the input": (("sidecar.py", "input_sha256"), ()),
    "reading": (("readers/root.py", "_rows"), ()),
    "model": (("simulate/validation.py", "draw"), ()),
    "features": (("simulate/sample.py", "_sample"), ("model",)),
    "checks": (("checks.py", "check_table"), ()),
    "parts": (("production/workers.py", "run_unit"), ("reading", "model", "features", "checks")),
    "merging": (("production/merge.py", "_append"), ()),
}


@dataclass(frozen=True)
class CopyTask(Task):
    """Sampling without a model: the truth is copied where the response would be."""

    output_schema: Schema

    @property
    def schema(self) -> Schema:
        """Columns of the output."""
        return self.output_schema

    def run(self, unit: Unit) -> Iterator[Table]:
        """Yield the rows of the unit's range."""
        with open_reader(Path(unit.source)) as reader:
            yield from map(with_copies, reader.iterate(columns_read(self.schema), CHUNK, unit.start, unit.stop))


def columns_read(schema: Schema) -> list[str]:
    """Return the columns of a sampled file that come from its input."""
    return [name for name in schema.names if name not in {*COPIED_FROM, FLAG}]


def with_copies(table: Table) -> Table:
    """Return ``table`` with the columns that a model would have added."""
    copied = {name: table[origin] for name, origin in COPIED_FROM.items()}
    return table.with_columns({**copied, FLAG: np.zeros(len(table), dtype=np.bool_)})


def copy_in_one_process(source: Path, output: Path, schema: Schema) -> None:
    """Read and write the file as simply as the package can."""
    with open_reader(source) as reader, open_writer(output, schema) as writer:
        for table in reader.iterate(columns_read(schema), CHUNK):
            writer.write(with_copies(table))


def copy_by_production(source: Path, output: Path, schema: Schema) -> None:
    """Read and write the file as sampling does."""
    with open_reader(source) as reader:
        units = plan_units("copy", reader.count(), UNIT_EVENTS, source=str(source))
    produce(
        CopyTask(schema), units, output, workers=WORKERS, resume=False, overwrite=True, provenance={"copy": str(source)}
    )


def copy_by_uproot(source: Path, output: Path, schema: Schema) -> None:
    """Read and write the file with uproot alone, in groups of the same size and with the same compression."""
    import uproot

    names = columns_read(schema)
    with uproot.recreate(output, compression=uproot.ZSTD(1)) as file:
        kinds = {
            c.name: c.numpy_dtype if c.shape == "flat" else np.dtype((c.dtype, (c.shape,))) for c in schema.columns
        }
        tree = file.mktree("events", kinds)
        for piece in uproot.iterate({str(source): "events"}, names, step_size=CHUNK, library="np"):
            columns = {**piece, **{name: piece[origin] for name, origin in COPIED_FROM.items()}}
            tree.extend({**columns, FLAG: np.zeros(len(piece["mu"]), dtype=np.bool_)})


COPIES = {"one process": copy_in_one_process, "production": copy_by_production, "plain uproot": copy_by_uproot}


def words_of(arm: str, folder: Path, source: Path) -> list[str]:
    """Return the command that turns ``source`` into ``folder/out.root`` by one arm of the comparison."""
    output = str(folder / "out.root")
    if arm == "sample":
        words = [*castalia("simulate", "sample"), str(folder / "run"), str(source), "-o", output]
        return [*words, "--workers", str(WORKERS), "--overwrite", "--json"]
    return [sys.executable, str(Path(__file__)), "--copy", arm, str(source), output, str(folder / "schema.json")]


def castalia(*words: str) -> list[str]:
    """Return a command of the package."""
    return [sys.executable, "-m", "castalia", *words]


def call(words: Sequence[str]) -> None:
    """Run a command to its end.

    Raises:
        CalledProcessError: If it fails; its output is shown first.
    """
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout)
    done.check_returncode()


def prepare(folder: Path, sizes: Sequence[int]) -> dict[int, Path]:
    """Make inputs of these sizes and a trained run, sample once, and keep the output's schema for the copies."""
    generate = castalia("generate", "diphoton", "--process", "toy", "--workers", str(WORKERS), "--events")
    call([*generate, str(TRAINING_EVENTS), "--seed", "2", "-o", str(folder / "diphoton.root")])
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    call(castalia("simulate", "train", str(folder / "config.toml"), "-o", str(folder / "run")))
    sources = {size: folder / f"truth_{size}.root" for size in sizes}
    for size, path in sources.items():
        call([*generate, str(size), "--seed", "1", "-o", str(path)])
    call(words_of("sample", folder, folder / "diphoton.root"))
    (folder / "schema.json").write_text(sampled_schema(folder).model_dump_json(), encoding="utf-8")
    return sources


def sampled_schema(folder: Path) -> Schema:
    """Return the columns of the output that lies in ``folder``."""
    sidecar = read_sidecar(folder / "out.root")
    if sidecar is None:
        raise CastaliaError(f"{sidecar_path(folder / 'out.root')}: is missing, although sampling writes it.")
    return sidecar.schema_of_file


def cost_of(arm: str, folder: Path, source: Path, size: int) -> tuple[float, float]:
    """Return wall-clock and processor seconds of one run and its workers, start and imports included."""
    before, begin = os.times(), time.perf_counter()
    call(words_of(arm, folder, source))
    seconds, after = time.perf_counter() - begin, os.times()
    clear(folder, size)
    return seconds, sum(after[2:4]) - sum(before[2:4])  # those of children that have ended


def clear(folder: Path, size: int) -> None:
    """Remove the output, after making sure that it has every event."""
    output = folder / "out.root"
    with open_reader(output) as reader:
        if reader.count() != size:
            raise CastaliaError(f"{output}: has {reader.count()} of {size} events; the measurement is worthless.")
    output.unlink()
    sidecar_path(output).unlink(missing_ok=True)


def peak_memory(folder: Path, source: Path, size: int) -> int:
    """Return the largest memory of a sampling command and its workers together, in bytes."""
    process = psutil.Popen(words_of("sample", folder, source), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(_proportional_size, [process, *process.children(recursive=True)])))
        time.sleep(POLL_SECONDS)
    if process.returncode:
        raise CastaliaError(f"sampling {source} failed with exit code {process.returncode} while it was watched.")
    clear(folder, size)
    return peak


def _proportional_size(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.ZombieProcess):  # it ended since it was listed
        return 0


def stages(folder: Path, source: Path) -> dict[str, float]:
    """Return where the seconds go when one process samples: its start, the stages, and the rest."""
    from castalia.apps.simulate.sample import SampleRequest, sample

    begin = time.perf_counter()
    call([sys.executable, "-c", "import castalia.apps.simulate.sample"])
    started = time.perf_counter() - begin
    profile = cProfile.Profile()
    request = SampleRequest(folder / "run", (source,), folder / "out.root", overwrite=True)
    begin = time.perf_counter()
    profile.runcall(sample, request)
    total = time.perf_counter() - begin
    measured: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    whole = {
        stage: sum(row[3] for (file, _, name), row in measured.items() if file.endswith(place) and name == function)
        for stage, ((place, function), _) in STAGES.items()
    }
    found = {stage: whole[stage] - sum(own(inner, whole) for inner in inside) for stage, (_, inside) in STAGES.items()}
    rest = total - sum(found.values())
    return {"start and imports": started, **found, "rest": rest, "all, in one process": started + total}


def own(stage: str, whole: Mapping[str, float]) -> float:
    """Return the seconds of a stage without those of the stages that it contains."""
    return whole[stage] - sum(whole[inner] for inner in STAGES[stage][1])


def load_of_others(seconds: float = 1.0) -> float:
    """Return how many cores other processes keep busy."""
    return float(psutil.cpu_percent(interval=seconds) / 100 * (psutil.cpu_count() or 1))


def main() -> None:
    """Measure and write the result, or, with ``--copy``, be one of the programs measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--copy", nargs=4, metavar=("ARM", "SOURCE", "OUTPUT", "SCHEMA"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.copy:
        arm, source, output, schema = options.copy
        COPIES[arm](Path(source), Path(output), Schema.model_validate_json(Path(schema).read_text(encoding="utf-8")))
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options.quick)


def measure(folder: Path, quick: bool) -> None:
    """Measure everything in ``folder`` and write the result."""
    begin = time.monotonic()
    # Below two units there would be one worker only, and its memory could not be compared with that of two.
    small, large = (300_000, 1_000_000) if quick else (1_000_000, 10_000_000)
    sources = prepare(folder, (small, large))
    loads = [load_of_others()]
    costs: dict[int, dict[str, list[tuple[float, float]]]] = {
        size: {arm: [] for arm in (*COPIES, "sample")} for size in sources
    }
    for size, source in sources.items():
        for _ in range(2 if quick else 5 if size == small else 3):
            for arm, taken in costs[size].items():  # interleaved, so that a drift of the machine hits all alike
                taken.append(cost_of(arm, folder, source, size))
    loads.append(load_of_others())
    memory = {size: peak_memory(folder, source, size) for size, source in sources.items()}
    by_stage = stages(folder, sources[small])
    wall, processor = medians(costs, 0), medians(costs, 1)
    values = figures(wall, small, large)
    write_result(
        "file_to_file_quick" if quick else "file_to_file",
        values={
            **values,
            "seconds": {str(size): arms for size, arms in wall.items()},
            "processor_seconds": {str(size): arms for size, arms in processor.items()},
            "seconds_by_stage": {"events": small, **by_stage},
            "memory_mib": {str(size): round(peak / 2**20, 1) for size, peak in memory.items()},
            "memory_ratio": memory[large] / memory[small],
            "workers": WORKERS,
            "load_of_others": loads,
            "noisy": max(loads) > QUIET_CORES,
        },
        goals=[
            # A million events are over before the start of the workers is forgotten: the quick claim is smaller.
            Goal(
                f"events/s of sampling over copying, {large:.0e} events",
                values["ratio_no_model"],
                ">=",
                0.2 if quick else 0.5,
                peer="castalia's reader and writer without a model",
                ratio=values["ratio_no_model"],
            ),
            Goal(f"peak memory, {large:.0e} over {small:.0e} events", memory[large] / memory[small], "<=", 1.1),
        ],
        paths=["src/castalia", "benchmarks/file_to_file.py"],
        seeds=[1],
        seconds=time.monotonic() - begin,
    )


def medians(
    costs: Mapping[int, Mapping[str, Sequence[tuple[float, float]]]], which: int
) -> dict[int, dict[str, float]]:
    """Return the median over the runs of one kind of cost, by size and arm."""
    return {
        size: {arm: statistics.median(one[which] for one in taken) for arm, taken in arms.items()}
        for size, arms in costs.items()
    }


def figures(seconds: Mapping[int, Mapping[str, float]], small: int, large: int) -> dict[str, Any]:
    """Return rates and ratios from the median seconds of every arm at both sizes."""
    rates = {arm: large / taken for arm, taken in seconds[large].items()}
    beyond = {arm: (large - small) / (taken - seconds[small][arm]) for arm, taken in seconds[large].items()}
    return {
        "events_per_second": rates["sample"],
        "ratio_no_model": rates["sample"] / max(rates["one process"], rates["production"]),
        "ratio_plain_uproot": rates["sample"] / rates["plain uproot"],
        "copies_per_second": {arm: rates[arm] for arm in COPIES},
        # From the difference of the two sizes, which the cost of starting does not enter.
        "events_per_second_once_started": beyond["sample"],
        "ratio_no_model_once_started": beyond["sample"] / max(beyond["one process"], beyond["production"]),
    }


if __name__ == "__main__":
    main()
