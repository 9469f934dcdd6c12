import os
import signal
import threading

import pytest

from castalia.errors import StoppedError
from castalia.training.termination import Termination


def test_signal_is_noted_and_the_old_handler_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with Termination() as termination:
        assert not termination.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert termination.requested
    assert signal.getsignal(signal.SIGTERM) == before


def test_signal_cuts_a_block_at_once():
    passed = []

    def work(termination, send):
        with termination.at_once():
            passed.append("begun")
            if send:
                os.kill(os.getpid(), signal.SIGTERM)
            passed.append("ended")

    with Termination() as termination:
        work(termination, send=False)
        with pytest.raises(StoppedError):
            work(termination, send=True)
        with pytest.raises(StoppedError):
            work(termination, send=False)
    assert passed == ["begun", "ended", "begun"]


def test_other_threads_install_nothing():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work():
        with Termination() as termination:
            seen.append((signal.getsignal(signal.SIGTERM), termination.requested))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, False)]
