import json

import pytest

from castalia.errors import ConfigError, ModelError
from castalia.training.history import History


def test_lines_are_appended_and_cut_back(tmp_path):
    path = tmp_path / "history.jsonl"
    history = History(path)
    history.append({"epoch": 1})
    size = history.size
    history.append({"epoch": 2})
    resumed = History(path)
    resumed.cut(size)
    resumed.append({"epoch": 20})
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1, 20]
    assert resumed.size == path.stat().st_size


def test_a_torn_line_is_cut(tmp_path):
    path = tmp_path / "history.jsonl"
    history = History(path)
    history.append({"epoch": 1})
    with path.open("a") as file:
        file.write('{"epoc')
    History(path).cut(history.size)
    assert path.read_text() == '{"epoch": 1}\n'


def test_another_history_is_not_overwritten_and_a_lost_one_is_noticed(tmp_path):
    path = tmp_path / "history.jsonl"
    History(path).append({"epoch": 1})
    with pytest.raises(ConfigError, match="another training"):
        History(path).start()
    with pytest.raises(ModelError, match="at least 500"):
        History(path).cut(500)


def test_no_path_means_no_file():
    history = History(None)
    history.start()
    history.append({"epoch": 1})
    history.cut(10)
    assert history.size == 0
