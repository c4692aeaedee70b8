"""Ranks that die or fall silent are named; those that have done their part are not missed."""

import socket
import subprocess
import sys
import time
from queue import Empty, Queue

import pytest
import torch.distributed as dist

from genagent_policy.watch import Watch


@pytest.fixture
def store() -> dist.Store:
    return dist.HashStore()


def watching(store: dist.Store, *, silence: float, size: int = 2) -> tuple[Watch, Queue[str]]:
    """Rank 0 at its post, and whom it gives up."""
    given_up: Queue[str] = Queue()
    watch = Watch(store, rank=0, size=size, silence=silence, give_up=given_up.put)
    watch.begin()
    return watch, given_up


def test_a_process_that_is_killed_is_named(store: dist.Store):
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    store.set("who 1", f"{socket.gethostname()} {other.pid}")
    watch, given_up = watching(store, silence=600)
    with pytest.raises(Empty):  # it lives
        given_up.get(timeout=4)
    other.kill()
    began = time.monotonic()
    # Not waited for: a zombie is dead as well.
    said = given_up.get(timeout=20)
    assert time.monotonic() - began < 10
    assert said == f"rank 1 (process {other.pid} on {socket.gethostname()}) has died; the job ends"
    other.wait()
    watch.end()


def test_a_rank_of_another_machine_is_missed_when_it_is_silent(store: dist.Store):
    store.set("who 1", "elsewhere 7")
    watch, given_up = watching(store, silence=3)
    assert "rank 1 (process 7 on elsewhere) has not been heard of for" in given_up.get(timeout=20)
    watch.end()


def test_who_is_done_or_counts_on_or_has_not_come_yet_is_not_missed(store: dist.Store):
    store.set("who 1", f"{socket.gethostname()} {2**22 + 1}")
    store.set("done 1", "")
    second = Watch(store, rank=2, size=3, silence=6, give_up=lambda reason: None)
    second.begin()
    watch, given_up = watching(store, silence=6, size=4)
    time.sleep(9)
    assert given_up.empty()
    watch.end()
    second.end()
