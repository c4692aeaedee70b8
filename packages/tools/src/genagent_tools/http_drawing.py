"""One picture on its way from one of several servers."""

import asyncio
from urllib.parse import quote, urljoin, urlsplit

from PIL import Image

from genagent_endpoints import PORTS, Answer, Busy, Exchange, Lost, Refused, TurnedAway, host_of
from genagent_tools.http_config import HttpToolConfig
from genagent_tools.http_dialects import request_body
from genagent_tools.http_picture import decode_base64, decode_data_url, decode_picture, read_answer

GENERATIONS = "/v1/images/generations"

SMALL_ANSWER = 16 * 1024
"""Bytes that are read without a thread, which costs 0.1 ms: half a millisecond where the picture
shows something, 11 for a million pixels of one colour."""

_URL_SIGNS = "%/:?#[]@!$&'()*+,;="
"""What a URL may hold beside letters, digits and ``-._~`` (RFC 3986, section 2)."""


class PictureQuestion:
    """A ``genagent_endpoints.Question`` for the picture of one prompt."""

    def __init__(self, config: HttpToolConfig, prompt: str, seed: int) -> None:
        self._config = config
        self._body = request_body(
            config.dialect,
            prompt,
            seed,
            config.settings,
            model=config.model,
            true_cfg=config.true_cfg,
            extra=config.extra,
        )

    async def body(self) -> dict[str, object]:
        """What asks for it."""
        return self._body

    async def read(self, answer: Answer, exchange: Exchange) -> Image.Image:
        """The picture.

        Raises:
            Lost: the answer holds none that can be used.
            Refused: it is of another size, or behind a URL that may not be asked.
        """
        if len(answer.body) <= SMALL_ANSWER:
            found = self._find(answer)
        else:
            found = await asyncio.to_thread(self._find, answer)
        if isinstance(found, str):
            data = await self._fetch(exchange, answer.url.removesuffix(GENERATIONS), found)
            found = await asyncio.to_thread(decode_picture, data, self._config.max_pixels)
        wanted = self._config.settings.width, self._config.settings.height
        if None not in wanted and found.size != wanted:
            raise Refused(f"{answer.url}: asked for {wanted} pixels, was given {found.size}")
        return found

    def _find(self, answer: Answer) -> Image.Image | str:
        """The picture, or the URL that it is behind."""
        seed = self._body.get("seed")
        encoded, url = read_answer(answer, seed if isinstance(seed, int) else None)
        if encoded is None and not url.startswith("data:"):
            return url
        data = decode_data_url(url) if encoded is None else decode_base64(encoded)
        return decode_picture(data, self._config.max_pixels)

    async def _fetch(self, exchange: Exchange, server: str, url: str) -> bytes:
        """The bytes behind a picture's URL, from a host that may be asked."""
        try:
            target, own = urlsplit(urljoin(server + "/", url)), urlsplit(server)
            host, own_host = host_of(target), host_of(own)
        except ValueError as error:
            raise Lost(f"the picture's URL cannot be read ({error})") from error
        is_own = (target.scheme, host) == (own.scheme, own_host)
        if target.scheme not in PORTS or not (is_own or host in self._config.url_hosts):
            raise Refused(f"{server}: the picture is at {host}; add that to url_hosts to allow it")
        try:
            # Else as it came: a signed URL is another one when it is quoted anew.
            target = target._replace(
                netloc=target.netloc
                if target.netloc.isascii()
                else target.netloc.encode("idna").decode(),
                path=quote(target.path, safe=_URL_SIGNS),
                query=quote(target.query, safe=_URL_SIGNS),
                fragment="",
            )
            with_key = is_own and target.username is None
            return (await exchange.send("GET", target.geturl(), with_key=with_key)).body
        # What that host thinks of us says nothing of the server.
        except (ValueError, Busy, TurnedAway, Refused) as error:
            raise Lost(f"the picture's URL cannot be fetched ({error})") from error
