"""The catalogue of collider processes: each told apart, every default possible, every setting known to Pythia."""

import pytest

from castalia.errors import ConfigError
from castalia.processes.hard import COLLIDER_PROCESSES, TUNES, find_hard_process
from castalia.processes.points import check_choices


def test_names_and_codes_are_unique_and_found():
    assert [process.name for process in COLLIDER_PROCESSES] == [
        "ttbar",
        "heavy-higgs",
        "zprime",
        "wjets",
        "zjets",
        "singletop",
    ]
    # The codes stand in files: they never change.
    assert [process.code for process in COLLIDER_PROCESSES] == [1, 2, 3, 4, 5, 6]
    assert all(find_hard_process(process.name) is process for process in COLLIDER_PROCESSES)
    assert len({process.settings for process in COLLIDER_PROCESSES}) == len(COLLIDER_PROCESSES)


@pytest.mark.parametrize("process", COLLIDER_PROCESSES, ids=lambda process: process.name)
def test_the_defaults_are_possible_and_every_setting_is_known(process):
    assert check_choices(process, {}) == {one.name: one.default for one in process.parameters}
    settings = pytest.importorskip("pythia8mc").Pythia("", False)
    chosen = [line.format(one.default) for one in process.parameters for line in one.lines]
    for line in (*process.settings, *chosen, *(line for tune in TUNES.values() for line in tune)):
        assert settings.readString(line, False), line
    assert not settings.readString("Top:gg2tbar = on", False), "the negative control"


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ConfigError, match="'toy'; choose one of ttbar, heavy-higgs, zprime"):
        find_hard_process("toy")
