import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from castalia.data.lock import FileLock
from castalia.errors import MachineError

HOLD = """\
import sys
from pathlib import Path
from castalia.data.lock import FileLock
with FileLock(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def held_elsewhere(path):
    """Let another process hold the lock, and kill it at the end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_the_refusal_names_process_and_host(tmp_path):
    path = tmp_path / "new" / "lock"
    with held_elsewhere(path) as process:
        lock = FileLock(path, "my output")
        words = rf"^my output: another process \(process {process.pid} on {socket.gethostname()}\) is working on it"
        for refused in (lock.acquire, lock.refuse_if_held):
            with pytest.raises(MachineError, match=words):
                refused()
        assert not lock.held
    lock.refuse_if_held()  # a dead process holds nothing
    with lock:
        assert json.loads(path.read_text()) == {"pid": os.getpid(), "host": socket.gethostname()}


def test_only_one_object_holds_it(tmp_path):
    first, second = FileLock(tmp_path / "lock", "it"), FileLock(tmp_path / "lock", "it")
    with first:
        with pytest.raises(MachineError, match=f"process {os.getpid()} on"):
            second.acquire()
        assert not second.held
    with second:
        assert second.held
        with pytest.raises(MachineError):
            first.acquire()


def test_taking_it_twice_keeps_it(tmp_path):
    lock = FileLock(tmp_path / "lock", "it")
    lock.acquire()
    with lock:
        assert lock.held
    assert not lock.held
    lock.release()


def test_asking_neither_takes_nor_writes(tmp_path):
    lock = FileLock(tmp_path / "absent" / "lock", "it")
    lock.refuse_if_held()
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    FileLock(tmp_path / "file" / "lock", "it").refuse_if_held()
    (tmp_path / "lock").write_text("left by the dead")
    FileLock(tmp_path / "lock", "it").refuse_if_held()
    assert (tmp_path / "lock").read_text() == "left by the dead"


def test_a_holder_that_has_not_signed_yet(tmp_path):
    path = tmp_path / "lock"
    with FileLock(path, "it"):
        for text in ("", "[1]", '{"pid": 1}', "\0"):
            path.write_text(text)
            with pytest.raises(MachineError, match="which has not yet written its number"):
                FileLock(path, "it").acquire()


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_lock_on_a_removed_file_is_none(tmp_path, monkeypatch, what):
    """The holder removes its file after the other has opened it and before the other locks it."""
    path = tmp_path / "folder" / "lock"
    holder, other, third = (FileLock(path, "it") for _ in range(3))
    holder.acquire()
    take = FileLock._lock
    calls = []

    def late(lock, descriptor, kind):
        if not calls:
            shutil.rmtree(path.parent) if what == "folder" else path.unlink()
            holder.release()
        calls.append(descriptor)
        take(lock, descriptor, kind)

    with monkeypatch.context() as patch:
        patch.setattr(FileLock, "_lock", late)
        other.acquire()
    assert len(calls) == 2  # the first time it got the file that is gone
    with pytest.raises(MachineError, match="another process"):
        third.acquire()


def test_a_check_without_the_file_would_let_two_in(tmp_path, monkeypatch):
    """The test above sees the difference."""
    monkeypatch.setattr(FileLock, "_is_current", lambda lock, descriptor: True)
    with pytest.raises(AssertionError):
        test_a_lock_on_a_removed_file_is_none(tmp_path, monkeypatch, "file")


def contend(path, turns, remove):
    """Count how often two threads are inside at once, each removing the file before letting go."""
    inside, overlaps, taken = [], [], []

    def work():
        while len(taken) < turns:
            try:
                with FileLock(path, "it"):
                    inside.append(1)
                    overlaps.extend([1] * (len(inside) > 1))
                    taken.append(1)
                    time.sleep(1e-4)
                    inside.pop()
                    if remove:
                        path.unlink()
            except MachineError:
                continue

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return len(overlaps), len(taken)


@pytest.mark.parametrize("remove", [False, True])
def test_contention(tmp_path, remove):
    overlaps, taken = contend(tmp_path / "folder" / "lock", 300, remove)
    assert overlaps == 0
    assert taken >= 300


def test_contention_is_noticed_where_nothing_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(FileLock, "_lock", lambda lock, descriptor, kind: time.sleep(0.001))
    assert contend(tmp_path / "lock", 300, False)[0] > 0


@pytest.mark.parametrize("where", ["no folder", "folder by a link", "file by a link", "removed"])
def test_a_place_that_cannot_be_made_is_given_up(tmp_path, monkeypatch, where):
    (tmp_path / "folder").symlink_to(tmp_path / "gone" / "there")
    (tmp_path / "lock").symlink_to(tmp_path / "gone" / "lock")
    path = {"no folder": Path("/proc/none/lock"), "folder by a link": tmp_path / "folder" / "lock",
            "file by a link": tmp_path / "lock", "removed": Path("parts/lock")}[where]  # fmt: skip
    if where == "removed":
        (tmp_path / "removed").mkdir()
        monkeypatch.chdir(tmp_path / "removed")
        (tmp_path / "removed").rmdir()
    with pytest.raises(MachineError, match=r"cannot be written \((No such file|File exists).*choose another place"):
        FileLock(path, "it").acquire()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="file: cannot be written"):
        FileLock(tmp_path / "file" / "lock", "it").acquire()
