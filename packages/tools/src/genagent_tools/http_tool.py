"""An image tool behind HTTP: any server of OpenAI's images protocol, or several of one kind.

Each picture is a request of its own, so that servers can batch as they see fit and one failure
costs one picture. Requests run on an event loop of the tool's own thread.
"""

import asyncio
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from PIL import Image

from genagent_tools.http_config import HttpToolConfig
from genagent_tools.http_dialects import request_body, words_read
from genagent_tools.http_exchange import Busy, Exchange, Lost
from genagent_tools.http_loop import RequestLoop
from genagent_tools.http_servers import Server, ServerPool
from genagent_tools.tool import PartialFailure, ToolError


@dataclass(kw_only=True, slots=True)
class HttpCounts:
    """What a tool has done so far."""

    requests: int = 0
    pictures: int = 0
    failures: int = 0
    """Requests without a usable answer."""
    waits: int = 0
    """Requests answered with: later."""
    quarantines: int = 0


class HttpImageTool:
    """Draws over HTTP; an ``ImageTool``. ``close`` it, or use it in a ``with``; one that nobody
    uses any more closes itself.

    Raises:
        ValueError: the environment variable of the token is not set, or the environment's proxy is
            none for HTTP.
    """

    def __init__(self, config: HttpToolConfig) -> None:
        self.config = config
        self._counts = HttpCounts()
        self._pool = ServerPool(
            [url.rstrip("/").removesuffix("/v1") for url in config.base_urls],
            quarantine_after=config.quarantine_after,
            quarantine_seconds=config.quarantine_seconds,
        )
        self._last_trouble = "none"
        self._jitter = random.Random()
        headers = {} if config.api_key_env is None else _authorization(config.api_key_env)
        self._exchange = Exchange(
            headers,
            url_hosts=config.url_hosts,
            max_bytes=config.max_answer_bytes,
            max_pixels=config.max_pixels,
        )
        for url in config.base_urls:
            self._exchange.proxy_of(urlsplit(url))
        self._numbers = itertools.count()
        self._slots = asyncio.Semaphore(config.max_concurrency)
        self._loop = RequestLoop()

    @property
    def counts(self) -> HttpCounts:
        """What was asked and answered so far."""
        self._counts.quarantines = self._pool.quarantines
        return self._counts

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """One picture for each prompt, in their order. May be called from several threads.

        Raises:
            ValueError: prompts and seeds differ in number, or the tool is closed.
            ToolError: a picture is not to be had; the message names the last reason. Of several
                prompts, a PartialFailure that holds the other pictures.
        """
        if len(prompts) != len(seeds):
            raise ValueError(f"{len(prompts)} prompts but {len(seeds)} seeds; give one a prompt")
        results = self._loop.run(self._draw_all(prompts, seeds))
        pictures = [result for result in results if isinstance(result, Image.Image)]
        if len(pictures) == len(results):
            return pictures
        if len(results) == 1 and isinstance(results[0], ToolError):
            raise results[0]
        raise PartialFailure(results)

    async def draw_one(self, prompt: str, seed: int) -> Image.Image:
        """One picture, awaited from any event loop; as ``generate``."""
        result = await asyncio.wrap_future(self._loop.start(self._draw(prompt, seed)))
        if isinstance(result, ToolError):
            raise result
        return result

    def words(self) -> int | None:
        """Words of a prompt that its servers say they read, the fewest where they differ; None
        where none says so, as only those of dialect "genagent" do.

        Raises:
            ValueError: the tool is closed.
            ToolError: a server does not answer.
        """
        if self.config.dialect != "genagent":
            return None
        return self._loop.run(self._words())

    def close(self) -> None:
        """Hang up. Pictures still on their way are given up."""
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _draw_all(
        self, prompts: Sequence[str], seeds: Sequence[int]
    ) -> list[Image.Image | ToolError]:
        async with asyncio.TaskGroup() as group:
            tasks = []
            for prompt, seed in zip(prompts, seeds, strict=True):
                tasks.append(group.create_task(self._draw(prompt, seed)))
                # Else the first request leaves when the last is made: of 96, 6 ms later.
                await asyncio.sleep(0)
        return [task.result() for task in tasks]

    async def _words(self) -> int | None:
        session, seconds, said = self._loop.session, self.config.timeout_seconds, []
        for server in self._pool.servers:
            try:
                models = await self._exchange.models(session, server.url, seconds=seconds)
            except (Busy, Lost) as trouble:
                raise ToolError(f"{server.url}: {trouble}") from trouble
            said.append(words_read(models, self.config.model))
        return min((words for words in said if words is not None), default=None)

    async def _draw(self, prompt: str, seed: int) -> Image.Image | ToolError:
        """The picture, or why it is not to be had."""
        config = self.config
        body = request_body(
            config.dialect,
            prompt,
            seed,
            config.settings,
            model=config.model,
            true_cfg=config.true_cfg,
            extra=config.extra,
        )
        deadline: float | None = None
        number, tried, reason = next(self._numbers), Counter[Server](), ""
        while True:
            async with self._slots:
                # Waiting for a slot is this client's own doing and costs no patience.
                deadline = deadline or time.monotonic() + config.deadline_seconds
                server = self._pool.take(tried)
                if server is None:
                    reason = reason or f"all servers rest; the last trouble: {self._last_trouble}"
                    pause = self._pool.pause() + self._jitter.uniform(0, config.backoff_seconds)
                else:
                    seconds = min(config.timeout_seconds, max(deadline - time.monotonic(), 0.001))
                    try:
                        return await self._ask(server, number, body, seconds)
                    except ToolError as error:
                        return error
                    except Busy as busy:
                        reason = f"{server.url}: {busy}"
                        pause = self._jitter.uniform(0, config.backoff_seconds)
                    except Lost as lost:
                        reason = f"{server.url}: {lost}"
                        pause = max(self._backoff(tried.total()), lost.retry_after)
                        tried[server] += 1
                    self._last_trouble = reason
            if tried.total() >= config.attempts:
                return ToolError(f"{config.attempts} attempts failed; the last: {reason}")
            if time.monotonic() + pause >= deadline:
                return ToolError(f"no picture within {config.deadline_seconds:g} s; {reason}")
            await asyncio.sleep(pause)

    async def _ask(
        self, server: Server, number: int, body: dict[str, object], seconds: float
    ) -> Image.Image:
        """One request, and what it teaches about the server.

        Raises:
            ToolError: the server will not draw this.
            Busy, Lost: it may, another time.
        """
        self._counts.requests += 1
        session = self._loop.session
        try:
            picture = await self._exchange.ask(session, server.url, body, seconds=seconds)
        except Busy as busy:
            self._counts.waits += 1
            self._pool.busy(server, busy.seconds)
            raise
        except Lost:
            self._counts.failures += 1
            self._pool.failed(server, number)
            raise
        except ToolError:
            self._pool.answered(server)
            raise
        except asyncio.CancelledError:
            self._pool.let_go(server)
            raise
        self._pool.answered(server)
        wanted = self.config.settings.width, self.config.settings.height
        if None not in wanted and picture.size != wanted:
            raise ToolError(f"{server.url}: asked for {wanted} pixels, was given {picture.size}")
        self._counts.pictures += 1
        return picture

    def _backoff(self, failures: int) -> float:
        """Full jitter: anything up to an end that doubles, so that clients do not come in step."""
        end = self.config.backoff_seconds * 2.0 ** min(failures, 30)
        return self._jitter.uniform(0, min(end, self.config.max_backoff_seconds))


def _authorization(variable: str) -> dict[str, str]:
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ValueError(f"the environment variable {variable} is not set; put the token in it")
    return {"authorization": f"Bearer {key}"}
