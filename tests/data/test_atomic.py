import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest

from castalia.data.atomic import atomic_path, write_json, write_text
from castalia.errors import MachineError


def test_the_file_appears_whole_and_makes_its_folder(tmp_path):
    final = tmp_path / "new" / "folder" / "a.txt"
    with atomic_path(final) as partial:
        assert partial.parent == final.parent
        assert partial.name.startswith(".a.txt.partial-")
        partial.write_text("whole")
        assert not final.exists()
    assert final.read_text() == "whole"
    assert [p.name for p in final.parent.iterdir()] == ["a.txt"]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path):
    final = tmp_path / "a.txt"
    final.write_text("old")

    def write_half():
        with atomic_path(final) as partial:
            partial.write_text("new")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_half()
    assert final.read_text() == "old"
    assert list(tmp_path.iterdir()) == [final]


def test_a_full_disk_is_one_sentence(tmp_path):
    final = tmp_path / "a.txt"
    final.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(MachineError, match=r"a\.txt: cannot be written \(File too large\); free some space"):
            write_text(final, "x" * 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert final.read_text() == "old"
    assert list(tmp_path.iterdir()) == [final]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="check the folder"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_other_errors_are_not_taken_for_write_errors(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        (tmp_path / "absent").read_text()


def test_what_a_killed_process_left_is_swept_but_not_what_another_writes(tmp_path):
    final = tmp_path / "a.txt"
    code = (
        "import os, sys; from pathlib import Path; from castalia.data.atomic import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as p:\n    p.write_text('half'); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, str(final)], env=environment, check=False)
    assert len(list(tmp_path.iterdir())) == 1  # the orphan
    with atomic_path(final) as first:
        first.write_text("first")
        write_text(final, "second")
        assert sorted(tmp_path.iterdir()) == sorted([first, final])
    assert final.read_text() == "first"


def test_json_takes_numpy_and_writes_null_for_what_it_cannot_say(tmp_path):
    values = {
        "a": np.float64(1.5),
        "b": np.array([1, 2]),
        "c": float("nan"),
        "d": np.array([np.inf]),
        "e": tmp_path,
        "f": (True, None),
        3: np.bool_(True),
    }
    write_json(tmp_path / "a.json", values)
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "a": 1.5,
        "b": [1, 2],
        "c": None,
        "d": [None],
        "e": str(tmp_path),
        "f": [True, None],
        "3": True,
    }
    with pytest.raises(TypeError):
        write_json(tmp_path / "b.json", {"a": object()})
    assert not (tmp_path / "b.json").exists()
