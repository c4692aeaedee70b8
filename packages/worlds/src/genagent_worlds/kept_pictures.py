"""A tool whose pictures are kept by prompt and seed: ``drawn.sqlite`` in the folder of a run or of
an evaluation's cell.

What is begun again after a kill asks for the pictures of the first time, and those that came are
not paid for again.
"""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from genagent_data import PictureStore
from genagent_rewards import KeptAnswers, Picture, answer_key
from genagent_tools import (
    AsyncImageTool,
    HttpImageTool,
    ImageTool,
    PartialFailure,
    ToolError,
    draw_each,
    usable_picture,
)
from genagent_tools.tool_profile import ToolProfile
from genagent_worlds.world import World

DRAWN = "drawn.sqlite"
"""Which pictures were drawn."""


def with_kept_pictures(world: World, store: PictureStore, memory: Path) -> World:
    """The same world, whose tool draws no picture twice within this run.

    Args:
        memory: folder of ``drawn.sqlite``, for processes of one machine.

    Raises:
        ValueError: what was kept is damaged, or its image servers say that they draw with another
            model now than when this run began, or one of them does not answer.
        OSError: it cannot be read or written.
    """
    drawn = KeptAnswers(memory / DRAWN)
    if (now := served_by(world.tool)) is not None:
        _same_model(drawn, now, memory / DRAWN)
    return replace(world, tool=kept_tool(world.tool, store, drawn))


def kept_tool(
    tool: ImageTool | AsyncImageTool, store: PictureStore, drawn: KeptAnswers
) -> "KeptPictures | KeptServedPictures":
    """The same tool, which draws no picture twice; ``drawn`` is of its pictures alone."""
    if isinstance(tool, AsyncImageTool):
        return KeptServedPictures(tool, store, drawn)
    return KeptPictures(tool, store, drawn)


def served_by(tool: ImageTool | AsyncImageTool) -> str | None:
    """What image servers say that they draw with, for what is kept under it; None where they do not
    say, or none draws. Raises ValueError where a server does not answer."""
    if not isinstance(tool, HttpImageTool):
        return None
    try:
        return tool.served()
    except ToolError as error:
        raise ValueError(
            f"the image server does not say what it serves ({error}); start it, or let GET "
            "/v1/models through"
        ) from error


def _same_model(kept: KeptAnswers, now: str, path: Path) -> None:
    key = answer_key("served")
    begun = kept.find([key]).get(key)
    if begun is None:
        kept.store([(key, now)])
    elif begun != now:
        raise ValueError(
            f"the image servers draw with {now}, and this run began with {begun}; serve that again,"
            f" begin a new run, or take {path} away and go on with the other model"
        )


def picture_counts(world: World) -> dict[str, float]:
    """``tool/drawn`` and ``tool/found`` since the last call; nothing for a tool that keeps none."""
    tool = world.tool
    if not isinstance(tool, KeptPictures | KeptServedPictures):
        return {}
    return {f"tool/{name}": float(count) for name, count in tool.take_counts().items()}


class _Drawn:
    """Pictures by prompt and seed."""

    def __init__(self, store: PictureStore, kept: KeptAnswers) -> None:
        self._store = store
        self._kept = kept
        self._counting = threading.Lock()
        self._counts = {"drawn": 0, "found": 0}

    def find(self, prompt: str, seed: int) -> Image.Image | None:
        """None: it was not drawn, or its file is gone or damaged."""
        key = answer_key("drawn", prompt, seed)
        name = self._kept.find([key]).get(key)
        if name is None:
            return None
        try:
            image = self._store.get(name).image
        except (OSError, SyntaxError):
            return None
        return image if Picture.of(image).name == name else None

    def keep(
        self, prompts: Sequence[str], seeds: Sequence[int], images: Sequence[Image.Image]
    ) -> None:
        """All at once, on disk when this returns."""
        pictures = self._store.put_all(images)
        self._kept.store(
            [
                (answer_key("drawn", prompt, seed), picture.name)
                for prompt, seed, picture in zip(prompts, seeds, pictures, strict=True)
            ]
        )

    def count(self, *, drawn: int = 0, found: int = 0) -> None:
        with self._counting:
            self._counts["drawn"] += drawn
            self._counts["found"] += found

    def take_counts(self) -> dict[str, int]:
        with self._counting:
            counts, self._counts = self._counts, {"drawn": 0, "found": 0}
        return counts


class KeptPictures:
    """An ``ImageTool`` in this process, or of the user's own, in front of which pictures are looked
    for.

    A pipeline's pictures are kept batch by batch, as it draws them, and a batch is drawn again
    unless all of it is there: its pictures depend on one another to the last bit, and a resumed run
    shall end with the weights of an unbroken one.
    """

    def __init__(self, tool: ImageTool, store: PictureStore, kept: KeptAnswers) -> None:
        self.tool = tool
        self._drawn = _Drawn(store, kept)
        profile = getattr(tool, "profile", None)
        self._batch = profile.max_batch if isinstance(profile, ToolProfile) else None

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """As ``ImageTool.generate``. Raises OSError where a picture cannot be kept."""
        results = [result for part in self.parts(prompts, seeds) for result in part]
        images = [result for result in results if isinstance(result, Image.Image)]
        if len(images) < len(results):
            if len(results) == 1 and isinstance(results[0], ToolError):
                raise results[0]
            raise PartialFailure(results)
        return images

    def parts(
        self, prompts: Sequence[str], seeds: Sequence[int]
    ) -> Iterator[list[Image.Image | ToolError]]:
        """The same batch by batch, each as soon as it is drawn and kept; all at once of a tool that
        does not say how many it draws together. A failure stands in the place of its picture.
        Raises OSError where a picture cannot be kept."""
        pairs = list(zip(prompts, seeds, strict=True))
        size = self._batch or max(1, len(pairs))
        for start in range(0, len(pairs), size):
            yield self._results(pairs[start : start + size])

    def _results(self, pairs: Sequence[tuple[str, int]]) -> list[Image.Image | ToolError]:
        """Found, or drawn and kept."""
        results: list[Image.Image | ToolError | None] = [self._drawn.find(*pair) for pair in pairs]
        missing = [place for place, found in enumerate(results) if found is None]
        if missing and self._batch:
            missing = list(range(len(pairs)))
        self._drawn.count(drawn=len(missing), found=len(pairs) - len(missing))
        if missing:
            asked = [pairs[place] for place in missing]
            answers = draw_each(self.tool, [p for p, _ in asked], [s for _, s in asked])
            for place, answer in zip(missing, answers, strict=True):
                results[place] = answer
            good = [
                (*pair, answer)
                for pair, answer in zip(asked, answers, strict=True)
                if not isinstance(answer, ToolError)
            ]
            self._drawn.keep(
                [p for p, _, _ in good], [s for _, s, _ in good], [i for *_, i in good]
            )
        return [result for result in results if result is not None]

    def take_counts(self) -> dict[str, int]:
        """Pictures drawn and pictures found, since the last call of this method."""
        return self._drawn.take_counts()


class KeptServedPictures:
    """The same of an ``AsyncImageTool``, whose pictures are asked for one by one."""

    def __init__(self, tool: AsyncImageTool, store: PictureStore, kept: KeptAnswers) -> None:
        self.tool = tool
        self._drawn = _Drawn(store, kept)

    async def draw_one(self, prompt: str, seed: int) -> Image.Image:
        """As ``AsyncImageTool.draw_one``. Raises OSError where the picture cannot be kept."""
        found = await asyncio.to_thread(self._drawn.find, prompt, seed)
        self._drawn.count(drawn=found is None, found=found is not None)
        if found is not None:
            return found
        image = usable_picture(await self.tool.draw_one(prompt, seed))
        await asyncio.to_thread(self._drawn.keep, [prompt], [seed], [image])
        return image

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """As ``ImageTool.generate``."""

        async def every() -> list[Image.Image | ToolError]:
            return await asyncio.gather(*map(self._one, prompts, seeds))

        results = asyncio.run(every())
        if any(isinstance(result, ToolError) for result in results):
            raise PartialFailure(results)
        return [result for result in results if isinstance(result, Image.Image)]

    def take_counts(self) -> dict[str, int]:
        """As ``KeptPictures.take_counts``."""
        return self._drawn.take_counts()

    async def _one(self, prompt: str, seed: int) -> Image.Image | ToolError:
        try:
            return await self.draw_one(prompt, seed)
        except ToolError as error:
            return error
