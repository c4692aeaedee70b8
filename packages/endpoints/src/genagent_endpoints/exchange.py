"""One request to one server and its whole answer, or why there is none."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit
from urllib.request import proxy_bypass

import aiohttp
from yarl import URL

from genagent_endpoints.answer import Answer, clean, quote, read_bounded
from genagent_endpoints.failures import Absent, Busy, Lost, Refused, TurnedAway

PORTS = {"http": 80, "https": 443}

MAX_ERROR_BYTES = 64 * 1024

_PASSING = (408, 409, 425)
_REJECTING = (401, 403, 404)


def proxy_for(url: str, proxies: Mapping[str, str]) -> str | None:
    """The environment's proxy for a URL. aiohttp's own way reads netrc for each request too.

    Args:
        proxies: as ``urllib.request.getproxies`` has them.

    Raises:
        ValueError: one that does not speak HTTP.
    """
    parts = urlsplit(url)
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host_of(parts)):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    kind = urlsplit(proxy).scheme
    if kind not in PORTS:
        # Not the proxy itself: it may hold a password.
        raise ValueError(
            f"the environment's proxy for {host_of(parts)} is of kind {kind!r}; name an http one "
            f"in {parts.scheme}_proxy, or the host in no_proxy"
        )
    return proxy


class Exchange:
    """Sends requests over one session. Lives on one event loop.

    Args:
        key: the Authorization header, sent to the servers and struck from what they say.
        refusals: see ``EndpointsConfig``.
    """

    def __init__(
        self,
        *,
        key: str | None,
        proxies: Mapping[str, str],
        max_bytes: int,
        refusals: Sequence[int] = (),
    ) -> None:
        self._key = key
        self._secret = (key or "").split(" ")[-1]
        self._proxies = proxies
        self._max_bytes = max_bytes
        self._rejecting = set(_REJECTING) - set(refusals)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            # The caller's own covers everything; this one starts again with each byte.
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def send(
        self,
        method: str,
        url: str,
        body: Mapping[str, object] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        with_key: bool = True,
        taken: Sequence[int] = (200,),
    ) -> Answer:
        """The answer, if it is of a status that is taken for one.

        Args:
            url: sent as it is.
            body: becomes JSON.
            headers: sent besides those that every request has.
            with_key: False for a host that is none of the servers.

        Raises:
            Lost: no answer, one that is too long, 3xx, 408, 409, 425 or 5xx.
            Absent: nobody listens.
            Busy: 429, or 503 with a Retry-After.
            TurnedAway: 401, 403, 404.
            Refused: any other status.
        """
        sent = {**(headers or {}), "accept-encoding": "identity"}
        if with_key and self._key is not None:
            sent["authorization"] = self._key
        if body is not None:
            sent["content-type"] = "application/json"
        try:
            async with self._session.request(
                method,
                URL(url, encoded=True),
                data=None if body is None else json.dumps(body).encode(),
                headers=sent,
                proxy=proxy_for(url, self._proxies),
                # A redirect may lead anywhere, this machine's own services included.
                allow_redirects=False,
            ) as response:
                answer = Answer(
                    url=url,
                    secret=self._secret if with_key else "",
                    status=response.status,
                    headers=response.headers,
                    body=await read_bounded(
                        response.content.iter_any(),
                        response.headers.get("content-encoding", "").strip().lower(),
                        self._max_bytes if response.status in taken else MAX_ERROR_BYTES,
                    ),
                )
        # ValueError: what cannot be written into a header or a URL.
        except (aiohttp.ClientError, ValueError) as error:
            kind = Absent if isinstance(error, aiohttp.ClientConnectorError) else Lost
            # aiohttp's own words quote all that has come.
            said = quote(f"{type(error).__name__} {error}", self._secret)
            raise kind(said) from error
        if answer.status not in taken:
            self._refuse(answer)
        return answer

    def _refuse(self, answer: Answer) -> NoReturn:
        status, seconds = answer.status, answer.retry_after()
        message = f"{status} {answer.words()}".strip()
        if status == 429 or (status == 503 and seconds is not None):
            raise Busy(message, seconds)
        if status in _PASSING or status < 400 or status >= 500:
            raise Lost(message, seconds)
        if status == 401 and self._key is None:
            message += "; name the variable that holds the token as api_key_env"
        message = f"{URL(answer.url, encoded=True).with_user(None).with_query(None)}: {message}"
        raise TurnedAway(message) if status in self._rejecting else Refused(message)

    def strike(self, text: str) -> str:
        """The text without the key, which servers echo, on one line."""
        return clean(text.replace(self._secret, "...") if self._secret else text)

    async def close(self) -> None:
        await self._session.close()


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Raises Lost where the block takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Lost(f"no answer within {seconds:.3g} s") from error


def host_of(parts: SplitResult) -> str:
    """``host:port``, the port spelled out. Raises ValueError where the port is none."""
    return f"{parts.hostname}:{parts.port or PORTS.get(parts.scheme)}"
