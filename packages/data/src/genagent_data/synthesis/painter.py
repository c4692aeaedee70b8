"""Pictures of the tool by prompt and seed, each drawn and paid for once."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from PIL import Image

from genagent_data.pictures import PictureStore
from genagent_data.synthesis.free_memory import give_back_free_memory
from genagent_rewards import KeptAnswers, answer_key
from genagent_tools import AsyncImageTool, ImageTool, ToolError, draw_each, usable_picture

Given = TypeVar("Given")


class Meter:
    """What a chunk of a stage asked for, and how long it waited for its turn."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        """By service; what came from a cache is not counted for the tool."""
        self.waited = 0.0


class Turns:
    """Calls of one service: as they come, or one after another on a thread of its own.

    A model in this process does no two calls at a time, and where each came from another thread,
    torch and malloc would keep a working set for every one of them: 1.4 GB became 1.8 in 5,000
    requests of the miniature. What a call leaves free is given back to the system.
    """

    def __init__(self, name: str, *, at_once: bool) -> None:
        self._thread = None if at_once else ThreadPoolExecutor(1, thread_name_prefix=name)

    def take(self, work: Callable[[], Given], meter: Meter) -> Given:
        """What ``work`` gives; time in the queue is no work."""
        if self._thread is None:
            return work()
        asked = time.perf_counter()

        def in_turn() -> Given:
            meter.waited += time.perf_counter() - asked
            try:
                return work()
            finally:
                give_back_free_memory()

        return self._thread.submit(in_turn).result()


class Painter:
    """A tool, its pictures in a store, and which they were by prompt and seed.

    A tool behind servers is asked for all pictures at once, at its own bound, and each is kept as
    it comes. One in this process draws ``batch`` at a time, always the same ones together, so that
    a resumed run draws to the last bit what an uninterrupted one does.
    """

    def __init__(
        self, tool: ImageTool, *, name: str, store: PictureStore, kept: KeptAnswers, batch: int
    ) -> None:
        """
        Args:
            name: tells tools and their settings apart.
        """
        self.name = name
        self.store = store
        self._tool = tool
        self._kept = kept
        self._batch = batch
        self._turns = Turns("drawing", at_once=False)

    def draw(
        self, prompts: Sequence[str], seeds: Sequence[int], meter: Meter
    ) -> list[str | ToolError]:
        """The name of each picture, or why there is none.

        Raises:
            OSError: a picture cannot be stored.
        """
        keys = [
            answer_key("picture", self.name, prompt, seed)
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        kept = self._kept.find(keys)
        # A picture whose file was damaged since is drawn again.
        found: dict[str, str | ToolError] = {
            key: name for key, name in kept.items() if self.store.find(name) is not None
        }
        jobs = list(zip(keys, prompts, seeds, strict=True))
        if isinstance(self._tool, AsyncImageTool):
            open_jobs = [job for job in jobs if job[0] not in found]
            meter.calls["tool"] += len(open_jobs)
            found |= asyncio.run(self._draw_served(self._tool, open_jobs))
        else:
            for start in range(0, len(jobs), self._batch):
                part = jobs[start : start + self._batch]
                if any(key not in found for key, _, _ in part):
                    meter.calls["tool"] += len(part)
                    found |= self._turns.take(partial(self._draw_here, part), meter)
        return [found[key] for key in keys]

    async def _draw_served(
        self, tool: AsyncImageTool, jobs: Sequence[tuple[str, str, int]]
    ) -> dict[str, str | ToolError]:
        async def one(key: str, prompt: str, seed: int) -> str | ToolError:
            try:
                image = usable_picture(await tool.draw_one(prompt, seed))
            except ToolError as error:
                return error
            return await asyncio.to_thread(self._keep, key, image)

        async with asyncio.TaskGroup() as group:
            tasks = {key: group.create_task(one(key, prompt, seed)) for key, prompt, seed in jobs}
        return {key: task.result() for key, task in tasks.items()}

    def _draw_here(self, jobs: Sequence[tuple[str, str, int]]) -> dict[str, str | ToolError]:
        keys, prompts, seeds = zip(*jobs, strict=True)
        results = draw_each(self._tool, prompts, seeds)
        return {
            key: result if isinstance(result, ToolError) else self._keep(key, result)
            for key, result in zip(keys, results, strict=True)
        }

    def _keep(self, key: str, image: Image.Image) -> str:
        name = self.store.put(image).name
        self._kept.store([(key, name)])
        return name
