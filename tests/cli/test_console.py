import io
import json

import pytest
from rich.console import Console

from castalia.cli import console
from castalia.cli.console import duration, print_error, print_result, step_progress


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_results_go_to_standard_output(capsys):
    print_result({"events": 3, "counts": {"read": 3}}, as_json=False)
    assert capsys.readouterr() == ('events  3\ncounts  {"read": 3}\n', "")
    print_result({"events": 3}, as_json=True)
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"events": 3}
    assert captured.err == ""
    print_result({}, as_json=False)
    assert capsys.readouterr().out == ""


def test_errors_go_to_standard_error_on_one_line(capsys):
    sentence = f"/a/[red]folder[/red]/{'long ' * 100}name: is no file."
    print_error(sentence)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"error: {sentence}\n", "neither wrapped nor taken for markup"


def test_progress_is_silent_where_nobody_looks(capsys):
    with step_progress("training") as show:
        show(1, 10, None, "begun")
        show(5, 10, 3.0)
    assert capsys.readouterr() == ("", "")


def test_progress_tells_the_time_left_on_a_terminal(monkeypatch):
    screen = Console(file=io.StringIO(), force_terminal=True, width=160)
    monkeypatch.setattr(console, "error_console", lambda: screen)
    with step_progress("training") as show:
        show(5, 10, 65.0, "epoch 2/4 loss 0.5")
    shown = screen.file.getvalue()
    assert "1 min 05 s left" in shown
    assert "epoch 2/4 loss 0.5" in shown
