"""One request on its way to an answer: in line, at a server, and in line again."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_random_exponential,
)

from genagent_endpoints.answer import Answer
from genagent_endpoints.config import EndpointsConfig
from genagent_endpoints.exchange import Exchange, within
from genagent_endpoints.failures import (
    Busy,
    EndpointError,
    Exhausted,
    Late,
    Lost,
    Trouble,
    Unwanted,
)
from genagent_endpoints.line import Line, Ticket

Result = TypeVar("Result")
Read = TypeVar("Read", covariant=True)


class Question(Protocol[Read]):
    """What may be sent more than once. Its members are called on the connections' event loop."""

    async def body(self) -> Mapping[str, object]:
        """The JSON of the next attempt, asked for shortly before its turn."""
        ...

    async def read(self, answer: Answer, exchange: Exchange) -> Read:
        """What the answer comes to; may ask for more, within the attempt's time.

        Raises:
            Lost: it cannot be used; tried again, and held against the server.
            Unwanted: it is not what was hoped for; tried again.
            Refused: it will not be better another time.
        """
        ...


class Request(Generic[Result]):
    """Runs once, on the connections' event loop.

    Args:
        number: its place in the order of all requests.
    """

    def __init__(
        self,
        path: str,
        question: Question[Result],
        *,
        number: int,
        exchange: Exchange,
        line: Line,
        config: EndpointsConfig,
    ) -> None:
        self._path = path
        self._question = question
        self._exchange = exchange
        self._line = line
        self._config = config
        self._ticket = Ticket(number=number, prepare=self._prepare)
        self._body: asyncio.Task[Mapping[str, object]] | None = None
        self._attempts = 0
        self._clock = asyncio.get_running_loop().time
        first, longest = config.backoff_seconds
        # Full jitter: many clients that failed together must not come back together.
        self._jitter = wait_random_exponential(multiplier=first, max=longest)

    async def result(self) -> Result:
        """Raises EndpointError, and what the question raises beside it."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Trouble),
            wait=self._pause,
            stop=self._is_over,
            sleep=_sleep,
            retry_error_callback=self._give_up,
        )
        try:
            return await retrying(self._attempt)
        except EndpointError as error:
            error.attempts = self._attempts
            raise
        finally:
            if self._body is not None:
                self._body.cancel()

    def _pause(self, state: RetryCallState) -> float:
        trouble = _trouble(state)
        # The line knows when a server wants to be asked again, and another may be free.
        told = isinstance(trouble, Busy) and trouble.retry_after is not None
        return self._jitter(state) if isinstance(trouble, Busy | Lost) and not told else 0.0

    def _is_over(self, state: RetryCallState) -> bool:
        then = self._clock() + state.upcoming_sleep
        is_late = isinstance(_trouble(state), Late) or then >= (self._ticket.deadline or then + 1)
        return is_late or self._ticket.tries >= self._config.max_attempts

    def _give_up(self, state: RetryCallState) -> Result:
        why = f"the deadline of {self._config.deadline_seconds:g} s is over"
        if self._ticket.tries >= self._config.max_attempts:
            why = f"after {self._ticket.tries} attempts"
        raise Exhausted(f"{_trouble(state)} ({why})") from _trouble(state)

    def _prepare(self) -> None:
        if self._body is None:
            self._body = asyncio.ensure_future(self._question.body())

    async def _attempt(self) -> Result:
        async with self._line.server_for(self._ticket) as server:
            assert self._body is not None and self._ticket.deadline is not None
            body, self._body = await self._body, None
            self._attempts += 1
            left = self._ticket.deadline - self._clock()
            try:
                async with within(max(0.001, min(self._config.timeout_seconds, left))):
                    answer = await self._exchange.send("POST", server.url + self._path, body)
                    answer = replace(answer, attempts=self._attempts)
                    return await self._question.read(answer, self._exchange)
            except (Busy, Lost, Unwanted) as trouble:
                raise type(trouble)(f"{server.url}: {trouble}", trouble.retry_after) from trouble


def _trouble(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


async def _sleep(seconds: float) -> None:
    # Without a pause it goes on at once, before another request takes its place.
    if seconds > 0:
        await asyncio.sleep(seconds)
