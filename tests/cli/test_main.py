import subprocess
import sys
import time

import pytest
import typer
from castalia_console import environment, here, typed

import castalia
from castalia.cli import main
from castalia.errors import ConfigError, DataError, GateError, MachineError, ModelError, StoppedError

COMMANDS = {
    "demo": "demo",
    "inspect": "inspect",
    "report": "report",
    "generate diphoton": "generate",
    "generate heavy-higgs": "generate",
    "generate detector": "generate",
    "generate card": "generate",
    "simulate train": "simulate",
    "simulate sample": "simulate",
    "simulate evaluate": "simulate",
}


def test_version():
    assert typed("--version").good().out.strip() == castalia.__version__
    assert here("--version").good().out.strip() == castalia.__version__


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_explains_every_option(command, monkeypatch):
    monkeypatch.setenv("TERMINAL_WIDTH", "200")
    text = here(*command.split(), "--help").good().out
    assert f"Example: castalia {command} " in text
    assert "--json" in text


@pytest.mark.parametrize("words", [(), ("simulate",), ("generate",)])
def test_a_group_without_a_command_shows_its_help(words):
    result = here(*words)
    assert result.code == 2
    assert "Commands" in result.out + result.err
    assert "error:" not in result.err


def raising(error):
    """A command line whose only command raises."""
    broken = typer.Typer()

    @broken.command()
    def broken_command() -> None:
        raise error

    return broken


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MachineError("a: b."), 1),
        (ConfigError("a: b."), 2),
        (DataError("a: b."), 3),
        (ModelError("a: b."), 4),
        (GateError("a: b."), 5),
        (StoppedError("a: b."), 143),
        (PermissionError(13, "Permission denied", "a"), 1),
        (OSError("odd"), 1),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_error_has_its_exit_code_and_one_sentence(error, code, monkeypatch):
    monkeypatch.setattr(main, "app", raising(error))
    sentence = here().refused(code)
    if isinstance(error, castalia.errors.CastaliaError):
        assert sentence == "a: b."


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setattr(main, "app", raising(DataError("a: b.")))
    with pytest.raises(DataError):
        here("--debug")


def test_an_unforeseen_fault_is_not_dressed_up(monkeypatch):
    """A fault of the program is no user's error: it keeps its traceback."""
    monkeypatch.setattr(main, "app", raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        here()


def test_the_command_line_starts_without_the_heavy_libraries():
    heavy = ("torch", "pandas", "matplotlib", "uproot", "pyarrow", "scipy", "sklearn", "awkward")
    call = f"import sys, castalia.cli.main; sys.exit(', '.join(set({heavy!r}) & set(sys.modules)) or 0)"
    ended = subprocess.run([sys.executable, "-c", call], env=environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_import_time():
    """The package alone imports within 0.3 s, the best of five on a busy machine."""
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], env=environment(), check=True)
        bare = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import castalia"], env=environment(), check=True)
        seconds.append(time.perf_counter() - bare - (bare - begin))
    assert min(seconds) < 0.3
