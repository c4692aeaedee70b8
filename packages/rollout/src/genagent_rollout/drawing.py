"""How trajectories that run side by side get their pictures.

A tool behind servers is asked as soon as an agent asks, one picture at a time: the servers do the
batching. A tool in this process draws batches, and which batches they are depends on the order of
the asking alone and never on the clock, so that a run repeats bit for bit: a batch begins when it
is full or when no turn is being sampled, and its pictures are handed out when the next one begins
or when no turn is being sampled any more.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from PIL import Image

from genagent_data import Picture, PictureStore
from genagent_rollout.activity import Activity
from genagent_tools import AsyncImageTool, ImageTool, PartialFailure, ToolError

MAX_PIXELS = 64 * 1024**2
"""Of a picture from a tool; 64 times what FLUX draws."""

MAX_RATIO = 200
"""Of its longer to its shorter side; Qwen2.5-VL's image processor takes no picture beyond."""

Drawn = list[Picture | ToolError]


class Drawing(Protocol):
    """Draws the pictures of many trajectories."""

    async def draw(self, prompt: str, *, seed: int) -> Picture:
        """One picture, stored.

        Raises:
            ToolError: it could not be had.
            OSError: it could not be stored.
        """
        ...


def drawing_by(
    tool: ImageTool | AsyncImageTool,
    store: PictureStore,
    activity: Activity,
    *,
    batch: int | None = None,
) -> Drawing:
    """The way of the tool: one by one where it is asked so, else in batches."""
    if isinstance(tool, AsyncImageTool):
        return ServedDrawing(tool, store, activity)
    return BatchedDrawing(tool, store, activity, batch=batch)


class ServedDrawing:
    """By servers, one by one."""

    def __init__(self, tool: AsyncImageTool, store: PictureStore, activity: Activity) -> None:
        self._tool = tool
        self._store = store
        self._activity = activity

    async def draw(self, prompt: str, *, seed: int) -> Picture:
        with self._activity.pictures.one():
            image = await self._tool.draw_one(prompt, seed)
            return await asyncio.to_thread(self._store.put, _checked(image))


class BatchedDrawing:
    """By a tool in this process, in batches that the order of the asking decides."""

    def __init__(
        self, tool: ImageTool, store: PictureStore, activity: Activity, *, batch: int | None
    ) -> None:
        """
        Args:
            batch: pictures at once, drawn while others are still being asked for. None: all that
                are asked for until no turn is being sampled.
        """
        self._tool = tool
        self._store = store
        self._activity = activity
        self._batch = batch
        self._asked: list[tuple[str, int, asyncio.Future[Picture]]] = []
        self._under_way: tuple[Future[Drawn], list[asyncio.Future[Picture]]] | None = None
        self._painter = ThreadPoolExecutor(1, thread_name_prefix="drawing")
        activity.when_no_turn = self._when_no_turn

    async def draw(self, prompt: str, *, seed: int) -> Picture:
        picture: asyncio.Future[Picture] = asyncio.get_running_loop().create_future()
        self._asked.append((prompt, seed, picture))
        if self._batch is not None and len(self._asked) >= self._batch:
            self._hand_out()
            self._begin()
        return await picture

    def _when_no_turn(self) -> None:
        if self._activity.turns.now:
            return
        if self._under_way is None:
            self._begin()
            self._hand_out()
        else:
            self._hand_out()
            self._begin()
        if self._under_way is not None:
            # Who has been handed a picture asks for a turn before this; where nobody does, because
            # all calls failed, no turn will end and bring this about.
            asyncio.get_running_loop().call_soon(self._when_no_turn)

    def _begin(self) -> None:
        if not self._asked:
            return
        asked, self._asked = self._asked, []
        prompts, seeds = [prompt for prompt, _, _ in asked], [seed for _, seed, _ in asked]
        self._activity.pictures.begin()
        drawn = self._painter.submit(draw_and_store, self._tool, self._store, prompts, seeds)
        self._under_way = drawn, [picture for _, _, picture in asked]

    def _hand_out(self) -> None:
        """Wait for the batch that is under way; its trajectories go on."""
        if self._under_way is None:
            return
        (drawn, pictures), self._under_way = self._under_way, None
        error = drawn.exception()
        self._activity.pictures.end()
        results = [error] * len(pictures) if error is not None else drawn.result()
        for picture, result in zip(pictures, results, strict=True):
            if picture.done():
                continue
            if isinstance(result, Picture):
                picture.set_result(result)
            else:
                picture.set_exception(result)


def draw_and_store(
    tool: ImageTool, store: PictureStore, prompts: Sequence[str], seeds: Sequence[int]
) -> Drawn:
    """A stored picture or a failure for each prompt. Raises OSError where one cannot be stored."""
    results = _draw(tool, prompts, seeds)
    stored = iter(store.put_all([one for one in results if not isinstance(one, ToolError)]))
    return [one if isinstance(one, ToolError) else next(stored) for one in results]


def _draw(
    tool: ImageTool, prompts: Sequence[str], seeds: Sequence[int]
) -> list[Image.Image | ToolError]:
    """A picture or a failure for each prompt; a batch that fails as a whole is tried again one by
    one."""
    try:
        return [_checked_result(result) for result in _generate(tool, prompts, seeds)]
    except PartialFailure as error:
        return [_checked_result(result) for result in error.results]
    except ToolError as error:
        if len(prompts) == 1:
            return [error]
    return [
        result
        for prompt, seed in zip(prompts, seeds, strict=True)
        for result in _draw(tool, [prompt], [seed])
    ]


def _generate(tool: ImageTool, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
    pictures = tool.generate(prompts, seeds)
    if len(pictures) != len(prompts):
        raise ToolError(f"the tool gave {len(pictures)} pictures for {len(prompts)} prompts")
    return pictures


def _checked_result(result: Image.Image | ToolError) -> Image.Image | ToolError:
    if isinstance(result, ToolError):
        return result
    try:
        return _checked(result)
    except ToolError as error:
        return error


def _checked(image: Image.Image) -> Image.Image:
    """Raises ToolError where it is no picture that can be shown, or one of unbounded size."""
    if not isinstance(image, Image.Image):
        raise ToolError(f"the tool gave {type(image).__name__} where a picture was asked for")
    if not 0 < image.width * image.height <= MAX_PIXELS:
        raise ToolError(
            f"the tool gave a picture of {image.width}x{image.height}; wants 1 to {MAX_PIXELS} "
            "pixels"
        )
    if max(image.size) > MAX_RATIO * min(image.size):
        raise ToolError(
            f"the tool gave a picture of {image.width}x{image.height}; wants one side to be at "
            f"most {MAX_RATIO} times the other"
        )
    try:
        image.load()
    except (OSError, SyntaxError) as error:
        raise ToolError(f"the tool gave a picture that cannot be decoded: {error}") from error
    return image
