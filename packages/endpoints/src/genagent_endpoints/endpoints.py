"""Requests to several servers of one kind: each is answered by whichever can."""

import asyncio
import itertools
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any, Self, TypeVar

from genagent_endpoints.answer import Answer
from genagent_endpoints.config import EndpointsConfig, authorization
from genagent_endpoints.exchange import Exchange, Proxies, within
from genagent_endpoints.line import Line
from genagent_endpoints.loop import RequestLoop
from genagent_endpoints.request import Connections, Counts, Question, Request, Session
from genagent_endpoints.servers import Servers

Result = TypeVar("Result")


class Endpoints:
    """Sends each request to the server with the fewest on their way, and again, elsewhere if there
    is an elsewhere, until it is answered, refused or given up. ``close`` it, or use it in a
    ``with``; one that nobody uses any more closes itself. Any thread and any event loop may ask.

    Args:
        optional_key: whether the environment variable of the token may be unset.

    Raises:
        ValueError: the environment variable of the token is not set, or the environment's proxy is
            none for HTTP.
    """

    def __init__(self, config: EndpointsConfig, *, optional_key: bool = False) -> None:
        self.config = config
        self.counts = Counts()
        variable = config.api_key_env
        key = None if variable is None else authorization(variable, optional=optional_key)
        self._loop = RequestLoop(
            "endpoints", partial(_connect, config, key, Proxies(config.base_urls))
        )
        self._numbers = itertools.count()

    @property
    def quarantines(self) -> int:
        """Rests so far of servers that kept failing."""
        return self._loop.tenant.line.servers.quarantines

    async def ask(
        self, path: str, question: Question[Result], *, session: Session | None = None
    ) -> Result:
        """What an answer of one of the servers comes to.

        Raises:
            Refused: a server will not do this, and would not another time.
            Rejected: no server takes requests of ours.
            Exhausted: attempts or deadline are used up; the message names the last reason.
            ValueError: closed.
        """
        return await self._loop.join(self._ask(path, question, session))

    async def post(self, path: str, body: Mapping[str, object]) -> Answer:
        """The answer of one of the servers to this JSON. Raises as ``ask``."""
        return await self.ask(path, _Plain(body))

    async def send(
        self,
        method: str,
        url: str,
        body: Mapping[str, object] | None = None,
        *,
        seconds: float | None = None,
    ) -> Answer:
        """The answer of one server of the caller's choice, asked once; with the key.

        Args:
            url: with its path.
            seconds: that it may take; those of one attempt by default.

        Raises:
            Refused, Trouble: there is none.
            ValueError: closed.
        """
        seconds = seconds or self.config.timeout_seconds
        return await self._loop.join(self._send(method, url, body, seconds))

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What the work comes to, on the connections' event loop; for callers without one.
        Raises ValueError where it is closed."""
        return self._loop.run(work)

    def close(self) -> None:
        """Hang up. What is still on its way is given up."""
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _ask(self, path: str, question: Question[Result], session: Session | None) -> Result:
        return await Request(
            path,
            question,
            number=next(self._numbers),
            connections=self._loop.tenant,
            config=self.config,
            counts=self.counts,
            session=session,
        ).result()

    async def _send(
        self, method: str, url: str, body: Mapping[str, object] | None, seconds: float
    ) -> Answer:
        async with within(seconds):
            return await self._loop.tenant.exchange.send(method, url, body)


class _Plain:
    """JSON whose answer is taken as it is."""

    def __init__(self, body: Mapping[str, object]) -> None:
        self._body = body

    async def body(self) -> Mapping[str, object]:
        return self._body

    async def read(self, answer: Answer, exchange: Exchange) -> Answer:
        return answer


async def _connect(config: EndpointsConfig, key: str | None, proxies: Proxies) -> Connections:
    servers = Servers(
        config.base_urls,
        quarantine_after=config.quarantine_after,
        quarantine_seconds=config.quarantine_seconds,
        clock=asyncio.get_running_loop().time,
    )
    return Connections(
        exchange=Exchange(key=key, proxies=proxies, max_bytes=config.max_answer_bytes),
        line=Line(servers, places=config.max_concurrency, deadline_seconds=config.deadline_seconds),
    )
