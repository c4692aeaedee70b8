"""Threads on which judges behind endpoints are asked while attempts still run."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

JUDGED_AT_ONCE = 32
"""Groups, or attempts of an evaluation, whose judges are asked at the same time; endpoints bound
the requests themselves."""


@contextmanager
def judging_threads() -> Iterator[ThreadPoolExecutor]:
    """Where what is inside fails, what is queued is not asked any more, and whoever called hears of
    the failure at once: a judge that hangs may take minutes for each question. The process itself
    ends when those that were being asked have."""
    threads = ThreadPoolExecutor(JUDGED_AT_ONCE, thread_name_prefix="judging")
    has_ended = False
    try:
        yield threads
        has_ended = True
    finally:
        threads.shutdown(wait=has_ended, cancel_futures=not has_ended)
