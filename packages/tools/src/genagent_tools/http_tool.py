"""An image tool behind HTTP: any server of OpenAI's images protocol, or several of one kind.

Each picture is a request of its own, so that servers can batch as they see fit and one failure
costs one picture. Requests run on an event loop of the tool's own thread.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from PIL import Image

from genagent_endpoints import EndpointError, Endpoints, Lost, Trouble, together
from genagent_tools.http_config import HttpToolConfig
from genagent_tools.http_dialects import model_served, words_read
from genagent_tools.http_drawing import GENERATIONS, PictureQuestion
from genagent_tools.tool import PartialFailure, ToolError

MODELS = "/v1/models"

_NOT_THERE = (404, 405, 501)


@dataclass(frozen=True, kw_only=True, slots=True)
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
        self._pictures = 0
        base_urls = tuple(url.rstrip("/").removesuffix("/v1") for url in config.base_urls)
        self._endpoints = Endpoints(replace(config, base_urls=base_urls))

    @property
    def counts(self) -> HttpCounts:
        """What was asked and answered so far."""
        counts = self._endpoints.counts
        return HttpCounts(
            requests=counts.attempts,
            pictures=self._pictures,
            failures=counts.failures,
            waits=counts.waits,
            quarantines=counts.quarantines,
        )

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """One picture for each prompt, in their order. May be called from several threads.

        Raises:
            ValueError: prompts and seeds differ in number, or the tool is closed.
            ToolError: a picture is not to be had; the message names the last reason. Of several
                prompts, a PartialFailure that holds the other pictures.
        """
        if len(prompts) != len(seeds):
            raise ValueError(f"{len(prompts)} prompts but {len(seeds)} seeds; give one a prompt")
        results = self._endpoints.run(self._draw_all(prompts, seeds))
        pictures = [result for result in results if isinstance(result, Image.Image)]
        if len(pictures) == len(results):
            return pictures
        if len(results) == 1 and isinstance(results[0], ToolError):
            raise results[0]
        raise PartialFailure(results)

    async def draw_one(self, prompt: str, seed: int) -> Image.Image:
        """One picture, awaited from any event loop; as ``generate``."""
        result = await self._draw(prompt, seed)
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
        said = [words_read(answer, self.config.model) for answer in self._models()]
        return min((words for words in said if words is not None), default=None)

    def served(self) -> str | None:
        """What its servers say that they draw with, model and defaults: it tells apart what one
        address has served at different times. None where none says so; errors as for ``words``."""
        said = [model_served(answer, self.config.model) for answer in self._models()]
        return ", ".join(sorted({one for one in said if one is not None})) or None

    def _models(self) -> list[object]:
        """What servers of dialect "genagent" say of their models."""
        return self._endpoints.run(self._ask_models()) if self.config.dialect == "genagent" else []

    def close(self) -> None:
        """Hang up. Pictures still on their way are given up."""
        self._endpoints.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _draw_all(
        self, prompts: Sequence[str], seeds: Sequence[int]
    ) -> list[Image.Image | ToolError]:
        pairs = zip(prompts, seeds, strict=True)
        return await together(self._draw(prompt, seed) for prompt, seed in pairs)

    async def _draw(self, prompt: str, seed: int) -> Image.Image | ToolError:
        """The picture, or why it is not to be had."""
        question = PictureQuestion(self.config, prompt, seed)
        try:
            picture = await self._endpoints.ask(GENERATIONS, question)
        except EndpointError as error:
            return ToolError(str(error))
        self._pictures += 1
        return picture

    async def _ask_models(self) -> list[object]:
        said: list[object] = []
        for url in self._endpoints.config.base_urls:
            try:
                answer = await self._endpoints.send("GET", url + MODELS, taken=(200, *_NOT_THERE))
            except (EndpointError, Trouble) as error:
                raise ToolError(f"{url}: {error}") from error
            if answer.status == 200:
                with contextlib.suppress(Lost):
                    said.append(answer.json())
        return said
