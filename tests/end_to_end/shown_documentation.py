"""What the documentation shows: its commands and its configurations."""

import inspect as python_inspect
import re
from pathlib import Path

from castalia.cli import demo_classify, demo_pixels, demo_scan, demo_simulate, demo_unfold
from castalia.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
COMMAND = re.compile(r"^(?:\$ )?castalia (.+?)(?:\s+#.*)?$", re.MULTILINE)
BLOCK = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def functions(group=app):
    """Every command's name and function."""
    for command in group.registered_commands:
        yield command.name or command.callback.__name__, command.callback
    for inner in group.registered_groups:
        for name, function in functions(inner.typer_instance):
            yield f"{inner.name} {name}", function


EXAMPLE = re.compile(r"Example: castalia (.+(?:\n.+)*)")
HELP = {
    name: [" ".join(found.split()) for found in EXAMPLE.findall(python_inspect.getdoc(f))] for name, f in functions()
}
SHOWN = sorted(
    {line for lines in HELP.values() for line in lines}
    | {line for page in PAGES for block in page.read_text().split("```")[1::2] for line in COMMAND.findall(block)}
)
CONFIGS = {
    **{f"{page.name} {i}": text for page in PAGES for i, text in enumerate(BLOCK.findall(page.read_text()))},
    **{path.name: path.read_text() for path in (ROOT / "examples").glob("*.toml")},
    "demo": demo_simulate.CONFIG.format(events=100, epochs=2, seed=1),
    "demo scan": demo_scan.CONFIG.format(epochs=2, seed=1),
    "demo classify": demo_classify.CONFIG.format(decay_weight=1.0, epochs=2, batch_size=64, seed=1),
    "demo classify pretraining": demo_classify.PRETRAINING.format(
        data=demo_classify.UNLABELLED, epochs=2, batch_size=128, seed=1
    ),
    **{
        f"demo pixels {name}": demo_pixels.CONFIG.format(events=100, model=model, epochs=2, seed=1)
        for name, model, _ in demo_pixels.ARMS
    },
    "demo unfold": demo_unfold.CONFIG.format(epochs=2, seed=1),
}


def is_of(application: str, line: str) -> bool:
    """Tell whether a command is one of an application's, which begin from other files than those of simulate."""
    words = line.split()
    return words[0] == application or words[:2] == ["demo", application]
