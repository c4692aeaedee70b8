"""Batches of a tool in this process, for agents that people wait for."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from genagent_data import Picture, PictureStore
from genagent_serving import live_drawing
from genagent_tools import ToolError


class Painter:
    """Breaks, in the middle of a batch, over a prompt that is to break it."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        self.batches.append(list(prompts))
        for prompt in prompts:
            if "break" in prompt:
                raise RuntimeError(f"no shape for {prompt!r}")
            if "fail" in prompt:
                raise ToolError(f"no paint for {prompt!r}")
        return [
            Image.new("RGB", (4, 4), (len(prompt), seed, 0))
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]


def drawn(
    folder: Path, painter: Painter, *prompts: str, batch: int
) -> list[Picture | BaseException]:
    """All asked for at once; the seed of each is its place."""
    drawing = live_drawing(painter, PictureStore(folder), batch=batch)

    async def ask() -> list[Picture | BaseException]:
        asked = (drawing.draw(prompt, seed=seed) for seed, prompt in enumerate(prompts))
        return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 30)

    return asyncio.run(ask())


def colors(pictures: Sequence[Picture | BaseException]) -> list[object]:
    """Of a picture, the length of its prompt and its seed; of a failure, its words."""
    return [
        tuple(one.image.tobytes()[:2]) if isinstance(one, Picture) else str(one) for one in pictures
    ]


def test_no_more_than_a_batch_is_drawn_at_once_and_first_come_first(tmp_path):
    painter = Painter()
    found = drawn(tmp_path, painter, "a", "bb", "ccc", "dddd", "eeeee", batch=2)
    assert painter.batches == [["a", "bb"], ["ccc", "dddd"], ["eeeee"]]
    assert colors(found) == [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4)]


def test_what_breaks_a_batch_costs_the_neighbours_no_picture(tmp_path):
    painter = Painter()
    found = drawn(tmp_path, painter, "a", "break it", "ccc", "dddd", batch=3)
    assert painter.batches == [["a", "break it", "ccc"], ["a"], ["break it"], ["ccc"], ["dddd"]]
    assert colors(found) == [(1, 0), "no shape for 'break it'", (3, 2), (4, 3)]
    assert isinstance(found[1], RuntimeError)


def test_a_failing_tool_ends_its_own_prompt_and_what_comes_later_is_drawn(tmp_path):
    painter = Painter()
    found = drawn(tmp_path, painter, "break it", "fail it", "ccc", batch=1)
    assert painter.batches == [["break it"], ["fail it"], ["ccc"]]
    assert colors(found) == ["no shape for 'break it'", "no paint for 'fail it'", (3, 2)]
    assert isinstance(found[1], ToolError)


def test_who_leaves_before_the_batch_begins_is_not_drawn_for(tmp_path):
    painter = Painter()
    drawing = live_drawing(painter, PictureStore(tmp_path), batch=2)

    async def ask() -> list[Picture]:
        asked = [asyncio.create_task(drawing.draw(p, seed=0)) for p in ("a", "bb", "ccc")]
        await asyncio.sleep(0)  # each has asked, and no batch has begun
        asked[1].cancel()
        return [await asked[0], await asked[2]]

    assert colors(asyncio.run(ask())) == [(1, 0), (3, 0)]
    assert painter.batches == [["a", "ccc"]]
