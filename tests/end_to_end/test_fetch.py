"""``castalia data fetch`` as its help shows it, with the file put there by hand, and without a network."""

import shlex
import socket

import pytest
from castalia_console import here
from shown_documentation import SHOWN, is_of

from castalia.data.catalogue import find_public_set

COMMANDS = [line for line in SHOWN if is_of("data", line)]


def blocked(*arguments, **options):
    raise OSError(101, "Network is unreachable")


@pytest.mark.parametrize("line", COMMANDS)
def test_a_shown_command_says_what_to_do_without_a_network_and_goes_on_from_there(line, tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", blocked)
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)
    one = find_public_set(words[2])
    sentence = here(*words).refused(1)
    place = tmp_path / "data" / one.file
    assert one.page in sentence
    assert f"put it down as data/{one.file}" in sentence
    place.write_bytes(b"root")
    first, second = (here(*words, "--json").good().json for _ in range(2))
    assert (first["state"], second["state"]) == ("recorded", "verified")
    assert second["layout"] == one.layout
    place.write_bytes(b"rooted")
    assert "recorded first" in here(*words).refused(3)


def test_there_is_a_shown_command():
    assert COMMANDS


def test_an_unknown_name_is_refused(tmp_path):
    assert "choose one of cms-record-212" in here("data", "fetch", "nothing", "-o", tmp_path).refused(2)
