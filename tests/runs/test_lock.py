import pytest

from castalia.errors import MachineError
from castalia.runs.lock import RunLock


def test_only_one_holds_it(tmp_path):
    first, second = RunLock(tmp_path / "lock"), RunLock(tmp_path / "lock")
    with first:
        assert first.held
        with pytest.raises(MachineError, match="being written by another process"):
            second.acquire()
        assert not second.held
    with second:
        assert second.held
        with pytest.raises(MachineError):
            first.acquire()


def test_taking_it_twice_keeps_it(tmp_path):
    lock = RunLock(tmp_path / "lock")
    lock.acquire()
    with lock:
        assert lock.held
    assert not lock.held
    lock.release()


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(MachineError, match="cannot be written"):
        RunLock(tmp_path / "absent" / "lock").acquire()
