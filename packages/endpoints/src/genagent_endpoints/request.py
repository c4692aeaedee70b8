"""One request on its way to an answer: in line, at a server, and in line again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_random_exponential,
)

from genagent_endpoints.answer import Answer
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Requests of which a server answers the next one sooner if it had the one before."""

    id: str
    """Sent as ``X-Session-ID``, by which a router in front of several servers tells it too."""
    home: str | None = None
    """URL of the server that had the one before."""

    @property
    def headers(self) -> dict[str, str]:
        """By which the servers know it."""
        return {"x-session-id": self.id}


@dataclass(kw_only=True, eq=False)
class Request(Ticket, Generic[Result]):
    """Runs once, on the connections' event loop."""

    path: str
    question: Question[Result]
    line: Line
    headers: Mapping[str, str]
    attempts: int = 0
    body: asyncio.Task[Mapping[str, object]] | None = None

    async def result(self) -> Result:
        """Raises EndpointError, and what the question raises beside it."""
        first, longest = self.line.config.backoff_seconds
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Trouble),
            # Full jitter: many clients that failed together must not come back together.
            wait=_Pause(multiplier=first, max=longest),
            stop=self._is_over,
            sleep=_sleep,
            retry_error_callback=self._give_up,
        )
        try:
            return await retrying(self._attempt)
        except EndpointError as error:
            error.attempts = self.attempts
            raise
        finally:
            if self.body is not None:
                self.body.cancel()

    def _is_over(self, state: RetryCallState) -> bool:
        then = asyncio.get_running_loop().time() + state.upcoming_sleep
        is_late = isinstance(_trouble(state), Late) or then >= (self.deadline or then + 1)
        return is_late or self.tries >= self.line.config.max_attempts

    def _give_up(self, state: RetryCallState) -> Result:
        why = f"the deadline of {self.line.config.deadline_seconds:g} s is over"
        if self.tries >= self.line.config.max_attempts:
            why = f"after {self.tries} attempts"
        raise Exhausted(f"{_trouble(state)} ({why})") from _trouble(state)

    def prepare(self) -> None:
        """As ``Ticket.prepare``."""
        if self.body is None:
            self.body = asyncio.ensure_future(self.question.body())

    async def _attempt(self) -> Result:
        async with self.line.server_for(self) as server:
            assert self.body is not None and self.deadline is not None
            body, self.body = await self.body, None
            self.attempts += 1
            left = self.deadline - asyncio.get_running_loop().time()
            try:
                async with within(max(0.001, min(self.line.config.timeout_seconds, left))):
                    url = server.url + self.path
                    answer = await self.line.exchange.send("POST", url, body, headers=self.headers)
                    answer = replace(answer, attempts=self.attempts)
                    return await self.question.read(answer, self.line.exchange)
            except (Busy, Lost, Unwanted) as trouble:
                said = self.line.exchange.strike(f"{server.url}: {trouble}")
                raise type(trouble)(said, trouble.retry_after) from trouble


class _Pause(wait_random_exponential):
    def __call__(self, retry_state: RetryCallState) -> float:
        trouble = _trouble(retry_state)
        # The line knows when a server wants to be asked again, and another may be free.
        told = isinstance(trouble, Busy) and trouble.retry_after is not None
        is_paused = isinstance(trouble, Busy | Lost) and not told
        return super().__call__(retry_state) if is_paused else 0.0


def _trouble(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


async def _sleep(seconds: float) -> None:
    # Without a pause it goes on at once, before another request takes its place.
    if seconds > 0:
        await asyncio.sleep(seconds)
