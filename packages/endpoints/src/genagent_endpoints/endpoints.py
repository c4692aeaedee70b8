"""Requests to several servers of one kind: each is answered by whichever can."""

import itertools
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Self, TypeVar
from urllib.request import getproxies

from genagent_endpoints.answer import Answer
from genagent_endpoints.config import EndpointsConfig, authorization
from genagent_endpoints.exchange import Exchange, proxy_for, within
from genagent_endpoints.line import Line
from genagent_endpoints.loop import RequestLoop
from genagent_endpoints.request import Question, Request, Session
from genagent_endpoints.servers import Counts

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
        key = authorization(config.api_key_env, optional=optional_key)
        proxies = getproxies()
        for url in config.base_urls:
            proxy_for(url, proxies)
        self._loop = RequestLoop(partial(_connect, config, key, proxies, self.counts))
        self._numbers = itertools.count()

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
        taken: Sequence[int] = (200,),
    ) -> Answer:
        """The answer of one server of the caller's choice, asked once; with the key.

        Args:
            url: with its path.
            seconds: that it may take; those of one attempt by default.
            taken: statuses that are answers.

        Raises:
            Refused, Trouble: there is none.
            ValueError: closed.
        """

        async def work() -> Answer:
            async with within(seconds or self.config.timeout_seconds):
                return await self._loop.line.exchange.send(method, url, body, taken=taken)

        return await self._loop.join(work())

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What the work comes to, on the connections' event loop; for callers without one.
        Raises ValueError where it is closed."""
        return self._loop.run(work)

    async def join(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What the work comes to, done on the connections' event loop and awaited on any other.
        Raises ValueError where it is closed."""
        return await self._loop.join(work)

    def close(self) -> None:
        """Hang up. What is still on its way is given up."""
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _ask(self, path: str, question: Question[Result], session: Session | None) -> Result:
        return await Request(
            number=next(self._numbers),
            line=self._loop.line,
            path=path,
            question=question,
            home=None if session is None else session.home,
            headers={} if session is None else session.headers,
        ).result()


class _Plain:
    """JSON whose answer is taken as it is."""

    def __init__(self, json: Mapping[str, object]) -> None:
        self._json = json

    async def body(self) -> Mapping[str, object]:
        return self._json

    async def read(self, answer: Answer, exchange: Exchange) -> Answer:
        return answer


async def _connect(
    config: EndpointsConfig, key: str | None, proxies: dict[str, str], counts: Counts
) -> Line:
    exchange = Exchange(
        key=key,
        proxies=proxies,
        max_bytes=config.max_answer_bytes,
        refusals=config.refusals,
    )
    return Line(config, exchange, counts)
