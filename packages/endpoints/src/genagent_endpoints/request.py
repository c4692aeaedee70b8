"""One request on its way to an answer: in line, at a server, and in line again."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, Protocol, TypeVar

from genagent_endpoints.answer import Answer
from genagent_endpoints.config import EndpointsConfig
from genagent_endpoints.exchange import Exchange, within
from genagent_endpoints.failures import (
    Busy,
    EndpointError,
    Exhausted,
    Lost,
    Refused,
    Trouble,
    TurnedAway,
    Unwanted,
)
from genagent_endpoints.line import Line, Ticket
from genagent_endpoints.retries import retrying
from genagent_endpoints.servers import Past, Server

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
        return {"x-session-id": self.id}


@dataclass(kw_only=True, slots=True)
class Counts:
    """What has been asked so far."""

    attempts: int = 0
    """Sent to a server."""
    failures: int = 0
    """Of them without a usable answer."""
    waits: int = 0
    """Of them answered with: later."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Connections:
    """What requests share on their event loop."""

    exchange: Exchange
    line: Line

    async def close(self) -> None:
        await self.exchange.close()


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
        connections: Connections,
        config: EndpointsConfig,
        counts: Counts,
        session: Session | None,
    ) -> None:
        self._path = path
        self._question = question
        self._connections = connections
        self._config = config
        self._counts = counts
        self._headers = None if session is None else session.headers
        home = None if session is None else session.home
        self._ticket = Ticket(past=Past(number=number, home=home), prepare=self._prepare)
        self._body: asyncio.Task[Mapping[str, object]] | None = None
        self._attempts = self._tries = 0
        self._clock = asyncio.get_running_loop().time

    async def result(self) -> Result:
        """Raises EndpointError, and what the question raises beside it."""
        policy = retrying(backoff_seconds=self._config.backoff_seconds, give_up=self._is_over)
        try:
            try:
                return await policy(self._attempt)
            except Trouble as last:
                raise self._exhausted(str(last)) from last
        except EndpointError as error:
            error.attempts = self._attempts
            raise
        finally:
            if self._body is not None:
                self._body.cancel()

    def _is_over(self, pause: float) -> bool:
        late = self._clock() + pause >= (self._ticket.deadline or float("inf"))
        return late or self._tries >= self._config.max_attempts

    def _exhausted(self, reason: str) -> Exhausted:
        if self._tries >= self._config.max_attempts:
            return Exhausted(f"{reason} (after {self._tries} attempts)")
        return Exhausted(f"{reason} (the deadline of {self._config.deadline_seconds:g} s is over)")

    def _prepare(self) -> None:
        if self._body is None:
            self._body = asyncio.ensure_future(self._question.body())

    async def _attempt(self) -> Result:
        line = self._connections.line
        try:
            server = await line.take(self._ticket)
        except TimeoutError as error:
            last = line.servers.last_trouble
            raise self._exhausted(f"every server rests or is full; last was {last}") from error
        lesson = line.servers.let_go
        try:
            result = await self._ask(server)
            lesson = line.servers.answered
            return result
        except (Refused, Unwanted) as answer:
            self._tries += isinstance(answer, Unwanted)
            lesson = line.servers.answered
            raise
        except Trouble as trouble:
            line.servers.last_trouble = str(trouble)
            lesson = self._lesson(trouble)
            raise
        finally:
            line.settle(lesson, server)

    async def _ask(self, server: Server) -> Result:
        """One attempt. Raises Refused, Trouble."""
        assert self._body is not None and self._ticket.deadline is not None
        body = await self._body
        self._body = None
        self._attempts += 1
        self._counts.attempts += 1
        left = self._ticket.deadline - self._clock()
        exchange = self._connections.exchange
        try:
            async with within(max(0.001, min(self._config.timeout_seconds, left))):
                url = server.url.rstrip("/") + self._path
                answer = await exchange.send("POST", url, body, headers=self._headers)
                answer = replace(answer, attempts=self._attempts)
                return await self._question.read(answer, exchange)
        except (Busy, Lost, Unwanted) as trouble:
            raise type(trouble)(f"{server.url}: {trouble}", trouble.retry_after) from trouble

    def _lesson(self, trouble: Trouble) -> Callable[[Server], None]:
        """What the trouble teaches of its server; counted."""
        servers = self._connections.line.servers
        # No request of ours would wait longer than its deadline.
        seconds = min(trouble.retry_after or 0.0, self._config.deadline_seconds)
        if isinstance(trouble, Busy):
            self._counts.waits += 1
            # Clients that were sent away together must not come back together.
            seconds += random.uniform(0, self._config.backoff_seconds[0])
            return partial(servers.busy, seconds=seconds)
        self._counts.failures += 1
        self._tries += not isinstance(trouble, TurnedAway)
        rejection = str(trouble) if isinstance(trouble, TurnedAway) else None
        return partial(servers.failed, past=self._ticket.past, seconds=seconds, rejection=rejection)
