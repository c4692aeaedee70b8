"""When a request is tried again, and when it is given up."""

import asyncio
from collections.abc import Callable

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_random_exponential,
)

from genagent_endpoints.failures import Busy, Lost, Trouble


def retrying(
    *, backoff_seconds: tuple[float, float], give_up: Callable[[float], bool]
) -> AsyncRetrying:
    """Runs attempts until one has a result, raises what is no trouble, or is to be given up; then
    the last trouble is raised.

    Args:
        backoff_seconds: ends of the first and of the longest pause.
        give_up: whether to, were the next attempt to begin so many seconds from now.
    """
    first, longest = backoff_seconds
    # Full jitter: many clients that failed together must not come back together.
    jitter = wait_random_exponential(multiplier=first, max=longest)

    def pause(state: RetryCallState) -> float:
        trouble = state.outcome.exception() if state.outcome else None
        # Of a server that said when to come back the line knows, and another may be free.
        told = isinstance(trouble, Busy) and trouble.retry_after is not None
        if told or not isinstance(trouble, Busy | Lost):
            return 0.0
        return jitter(state)

    return AsyncRetrying(
        retry=retry_if_exception_type(Trouble),
        wait=pause,
        stop=lambda state: give_up(state.upcoming_sleep),
        sleep=_sleep,
        reraise=True,
    )


async def _sleep(seconds: float) -> None:
    # Without a pause it goes on at once, before another request takes its place.
    if seconds > 0:
        await asyncio.sleep(seconds)
