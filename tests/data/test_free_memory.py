"""What calls of a model in this process leave free does not stay with the process."""

import ctypes
import sys
from pathlib import Path

import pytest

from genagent_data.synthesis.painter import Meter, Turns

MIB = 2**20
is_glibc = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim")


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not is_glibc, reason="malloc_trim is glibc's")
def test_holes_between_what_is_kept_are_given_back():
    survivors: list[bytes] = []

    def work() -> int:
        blocks = [bytes(3000) for _ in range(60_000)]  # 172 MiB
        survivors.extend(blocks[::100])  # malloc alone gives back what is behind the last of them
        return resident()

    before = resident()
    within = Turns("model", at_once=False).take(work, Meter())
    assert within - before > 150 * MIB
    assert resident() - before < 30 * MIB
