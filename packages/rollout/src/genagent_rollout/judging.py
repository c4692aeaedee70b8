"""Threads on which judges behind endpoints are asked while attempts still run."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from genagent_endpoints import CancelScope

JUDGED_AT_ONCE = 32
"""Groups, or attempts of an evaluation, whose judges are asked at the same time; endpoints bound
the requests themselves."""


@contextmanager
def judging_threads() -> Iterator[ThreadPoolExecutor]:
    """Where what is inside fails, what is queued is not asked any more, what is on its way to
    endpoints is given up, and whoever called hears of the failure at once: a judge that hangs may
    take minutes for each question, and the process ends when its threads have. A judge of the
    user's own ends what it is at."""
    scope = CancelScope()
    threads = ThreadPoolExecutor(
        JUDGED_AT_ONCE, thread_name_prefix="judging", initializer=scope.enter
    )
    try:
        yield threads
        threads.shutdown()
    except BaseException:  # Ctrl-C too, which may come while they are waited for
        threads.shutdown(wait=False, cancel_futures=True)
        scope.cancel()
        raise
