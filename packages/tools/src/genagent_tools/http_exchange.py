"""One request to one server, for a picture mostly, and what its answer means."""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import SplitResult, quote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from PIL import Image
from yarl import URL

from genagent_tools.http_picture import (
    BadAnswer,
    decode_base64,
    decode_data_url,
    decode_picture,
    read_answer,
)
from genagent_tools.http_servers import retry_after_seconds
from genagent_tools.tool import ToolError

GENERATIONS = "/v1/images/generations"
MODELS = "/v1/models"

MAX_ERROR_BYTES = 64 * 1024

SMALL_PICTURE = 16 * 1024
"""Characters of base64 that are decoded without a thread, which costs 0.1 ms: half a millisecond
where the picture shows something, 11 for a million pixels of one colour."""

_TRANSIENT = (408, 425)
_NOT_THERE = (404, 405, 501)
_PORTS = {"http": 80, "https": 443}
_URL_SIGNS = "%/:?#[]@!$&'()*+,;="
"""What a URL may hold beside letters, digits and ``-._~`` (RFC 3986, section 2)."""


class Busy(Exception):
    """The server asks to be left alone for some seconds."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class Lost(Exception):
    """No usable answer; the same request may do better, here or elsewhere."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds that the server asked for."""


class Exchange:
    """Asks servers for pictures.

    Args:
        headers: sent to the servers, and never to another host that a picture's URL names.
        url_hosts: ``host:port`` from which pictures may be fetched, besides the server itself.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        *,
        url_hosts: Sequence[str],
        max_bytes: int,
        max_pixels: int,
    ) -> None:
        # Base64 of compressed pictures gains nothing by being compressed again.
        self._headers = {"accept-encoding": "identity", **headers}
        self._url_hosts = url_hosts
        self._proxies = getproxies()
        self._max_bytes = max_bytes
        self._max_pixels = max_pixels

    async def ask(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        body: Mapping[str, object],
        *,
        seconds: float,
    ) -> Image.Image:
        """The picture.

        Raises:
            ToolError: the server refuses this request, and will again.
            Busy: 429, or 503 with a Retry-After.
            Lost: no answer in time, another error, or an answer without a usable picture.
        """
        with _lost(seconds):
            async with asyncio.timeout(seconds):
                return await self._ask(session, base_url, body)

    async def models(
        self, session: aiohttp.ClientSession, base_url: str, *, seconds: float
    ) -> bytes:
        """What the server says of its models, empty where it has no such answer.

        Raises:
            ToolError, Busy, Lost: as ``ask``.
        """
        url = base_url + MODELS
        with _lost(seconds):
            async with (
                asyncio.timeout(seconds),
                session.get(
                    url,
                    headers=self._headers,
                    proxy=self.proxy_of(urlsplit(url)),
                    allow_redirects=False,
                ) as response,
            ):
                if response.status in _NOT_THERE:
                    return b""
                if response.status != 200:
                    raise await _refusal(response)
                return await _read(response, self._max_bytes)

    async def _ask(
        self, session: aiohttp.ClientSession, base_url: str, body: Mapping[str, object]
    ) -> Image.Image:
        url = base_url + GENERATIONS
        async with session.post(
            url,
            json=body,
            headers=self._headers,
            proxy=self.proxy_of(urlsplit(url)),
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                raise await _refusal(response)
            answer = await _read(response, self._max_bytes)
        seed = body.get("seed")
        encoded, url = read_answer(answer, seed if isinstance(seed, int) else None)
        if encoded is not None:
            if len(encoded) <= SMALL_PICTURE:
                return self._decode(encoded)
            return await asyncio.to_thread(self._decode, encoded)
        assert url is not None
        if url.startswith("data:"):
            data = decode_data_url(url)
        else:
            data = await self._fetch(session, base_url, url)
        return await asyncio.to_thread(decode_picture, data, self._max_pixels)

    def _decode(self, encoded: str) -> Image.Image:
        return decode_picture(decode_base64(encoded), self._max_pixels)

    async def _fetch(self, session: aiohttp.ClientSession, base_url: str, url: str) -> bytes:
        """The bytes behind a picture's URL, from a host that may be asked."""
        try:
            target, server = urlsplit(urljoin(base_url + "/", url)), urlsplit(base_url)
            host, own_host = _host(target), _host(server)
        except ValueError as error:
            raise BadAnswer(f"the picture's URL cannot be read ({error})") from error
        is_own = (target.scheme, host) == (server.scheme, own_host)
        if target.scheme not in _PORTS or not (is_own or host in self._url_hosts):
            raise ToolError(
                f"{base_url}: the picture is at {host}; add that to url_hosts to allow it"
            )
        target = target._replace(
            netloc=target.netloc
            if target.netloc.isascii()
            else target.netloc.encode("idna").decode(),
            path=quote(target.path, safe=_URL_SIGNS),
            query=quote(target.query, safe=_URL_SIGNS),
            fragment="",
        )
        async with session.get(
            # Else as it came: a signed URL is another one when it is quoted anew.
            URL(target.geturl(), encoded=True),
            headers=self._headers if is_own and target.username is None else {},
            proxy=self.proxy_of(target),
            # A redirect may lead anywhere, this machine's own services included.
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                raise Lost(f"the picture's URL answers {response.status}")
            return await _read(response, self._max_bytes)

    def proxy_of(self, url: SplitResult) -> str | None:
        """What the environment says. aiohttp's own way reads netrc for each request too.

        Raises:
            ValueError: a proxy that does not speak HTTP.
        """
        proxy = self._proxies.get(url.scheme) or self._proxies.get("all")
        if not proxy or proxy_bypass(_host(url)):
            return None
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        kind = urlsplit(proxy).scheme
        if kind not in _PORTS:
            # Not the proxy itself: it may hold a password.
            raise ValueError(
                f"the environment's proxy for {_host(url)} is of kind {kind!r}; name an http one "
                f"in {url.scheme}_proxy, or the host in no_proxy"
            )
        return proxy


@contextmanager
def _lost(seconds: float) -> Iterator[None]:
    """Raises Lost for whatever keeps an answer from being one."""
    try:
        yield
    except TimeoutError as error:
        raise Lost(f"no answer within {seconds:.3g} s") from error
    except BadAnswer as error:
        raise Lost(str(error)) from error
    # ValueError: what cannot be written into a header or a URL.
    except (aiohttp.ClientError, ValueError) as error:
        raise Lost(f"{type(error).__name__} {error}".strip()) from error


async def _refusal(response: aiohttp.ClientResponse) -> ToolError | Busy | Lost:
    status = response.status
    said = retry_after_seconds(response.headers.get("retry-after"), time.time())
    message = f"{status} {_message(await _read(response, MAX_ERROR_BYTES))}".strip()
    if status == 429 or (status == 503 and said is not None):
        return Busy(message, said or 0.0)
    if status >= 500 or status in _TRANSIENT or status < 400:
        return Lost(message, said or 0.0)
    if status == 401:
        message += "; name the variable that holds the token as api_key_env"
    return ToolError(f"{response.url.with_query(None)}: {message}")


def _message(body: bytes) -> str:
    """What an error's body says, in one short line."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = body.decode("utf-8", "replace")
    if isinstance(said, dict):
        said = said.get("error", said.get("detail", said))
    if isinstance(said, dict):
        said = said.get("message", said)
    return " ".join(str(said).split())[:300]


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body. Raises BadAnswer where it is longer than allowed."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise BadAnswer(f"the answer is over {limit} bytes")
    return bytes(body)


def _host(parts: SplitResult) -> str:
    """``host:port``, the port spelled out. Raises ValueError where the port is none."""
    return f"{parts.hostname}:{parts.port or _PORTS.get(parts.scheme)}"
