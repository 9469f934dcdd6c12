"""The catalogue names each process once and helps who mistypes."""

import pytest

from castalia.errors import ConfigError
from castalia.processes.catalogue import PROCESSES, find_process


def test_names_are_unique_and_found():
    names = [process.name for process in PROCESSES]
    assert len(set(names)) == len(names)
    assert all(find_process(name).name == name for name in names)
    assert names[0] == "ttH"


def test_the_settings_tell_the_processes_apart():
    settings = [process.settings for process in PROCESSES]
    assert len(set(settings)) == len(settings)
    assert all(process.description for process in PROCESSES)


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ConfigError, match="ttH, ggH, toy"):
        find_process("tth")
