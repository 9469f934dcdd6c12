"""Memory that is given back and asked for again comes without page faults."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from castalia.training.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        pieces = [torch.ones(250_000) for _ in range(20)]
        del pieces
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
before = faults()
keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the allocator is not that of glibc")
def test_freed_memory_is_kept():
    # By itself the allocator keeps memory or not, as blocks happen to lie; this makes it return all large ones.
    returned = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(2**16)}
    done = subprocess.run([sys.executable, "-c", FAULTS], env=returned, capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before > 100  # negative control: 20 MB, 20 times, in pages of 4 kB or 2 MB
    assert after < before / 10
