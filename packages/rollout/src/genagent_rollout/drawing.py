"""How trajectories that run side by side get their pictures.

A tool behind servers is asked as soon as an agent asks, one picture at a time: the servers do the
batching. A tool in this process draws batches, and which batches they are depends on the order of
the asking alone and never on the clock, so that a run repeats bit for bit: a batch begins when it
is full or when no turn is being sampled, and its pictures are handed out when the next one begins
or when no turn is being sampled any more.
"""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from genagent_data import Picture, PictureStore
from genagent_rollout.activity import Activity
from genagent_tools import AsyncImageTool, ImageTool, ToolError, draw_each, usable_picture
from genagent_worlds.kept_pictures import KeptPictures

Drawn = list[Picture | ToolError]


class Drawing(Protocol):
    """Draws the pictures of many trajectories."""

    @property
    def activity(self) -> Activity:
        """What those trajectories wait for, turns included."""
        ...

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
        self.activity = activity
        self._tool = tool
        self._store = store

    async def draw(self, prompt: str, *, seed: int) -> Picture:
        with self.activity.picture():
            image = await self._tool.draw_one(prompt, seed)
            return await asyncio.to_thread(self._store.put, usable_picture(image))


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
        self.activity = activity
        self._tool = tool
        self._store = store
        self._batch = batch
        self._asked: list[tuple[str, int, asyncio.Future[Picture]]] = []
        self._under_way: tuple[Future[Drawn], list[asyncio.Future[Picture]]] | None = None
        self._painter = ThreadPoolExecutor(1, thread_name_prefix="drawing")
        activity.when_no_turn = self._when_no_turn

    async def draw(self, prompt: str, *, seed: int) -> Picture:
        picture: asyncio.Future[Picture] = asyncio.get_running_loop().create_future()
        self._asked.append((prompt, seed, picture))
        self.activity.ask_picture()
        if self._batch is not None and len(self._asked) >= self._batch:
            self._hand_out()
            self._begin()
        # Where nobody ever speaks, no turn ends and brings about a batch.
        self.activity.look()
        return await picture

    def _when_no_turn(self) -> None:
        if self.activity.turns.now:
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
            self.activity.look()

    def _begin(self) -> None:
        if not self._asked:
            return
        asked, self._asked = self._asked, []
        prompts, seeds = [prompt for prompt, _, _ in asked], [seed for _, seed, _ in asked]
        self.activity.pictures.begin()
        drawn = self._painter.submit(self._draw, prompts, seeds)
        self._under_way = drawn, [picture for _, _, picture in asked]

    def _draw(self, prompts: Sequence[str], seeds: Sequence[int]) -> Drawn:
        drawn: Drawn = []
        for part in _parts(self._tool, self._store, prompts, seeds):
            drawn += part
            self.activity.count_pictures(len(part))
        return drawn

    def _hand_out(self) -> None:
        """Wait for the batch that is under way; its trajectories go on."""
        if self._under_way is None:
            return
        (drawn, pictures), self._under_way = self._under_way, None
        error = drawn.exception()
        self.activity.pictures.end()
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
    return [one for part in _parts(tool, store, prompts, seeds) for one in part]


def _parts(
    tool: ImageTool, store: PictureStore, prompts: Sequence[str], seeds: Sequence[int]
) -> Iterator[Drawn]:
    """The same, a part as soon as a tool that draws in parts has drawn it."""
    is_in_parts = isinstance(tool, KeptPictures)
    drawn = tool.parts(prompts, seeds) if is_in_parts else [draw_each(tool, prompts, seeds)]
    for results in drawn:
        stored = iter(store.put_all([one for one in results if not isinstance(one, ToolError)]))
        yield [one if isinstance(one, ToolError) else next(stored) for one in results]
