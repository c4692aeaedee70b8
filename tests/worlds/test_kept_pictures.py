"""Pictures found again by prompt and seed: none is asked for twice within a run."""

import asyncio
import re
import sqlite3
from pathlib import Path

import pytest
from PIL import Image
from tests.http_server import dead_url
from tests.picture_server import answering, paint, tool_for

from genagent_data import PictureStore
from genagent_tools import PartialFailure, ToolError, ToolProfile
from genagent_worlds import Judges, World, picture_counts, with_kept_pictures

PROMPTS, SEEDS = ["a", "b", "c"], [1, 2, 3]
CHANGED = (
    'the image servers draw with flux {"num_inference_steps": 4}, and this run began with flux '
    '{"num_inference_steps": 8}; serve that again, begin a new run, or take '
)


class Painter:
    """Paints, and says what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[tuple[str, int]]] = []

    def generate(self, prompts, seeds) -> list[Image.Image]:
        self.asked.append(list(zip(prompts, seeds, strict=True)))
        results = [
            ToolError("no picture of it") if prompt == "bad" else paint(prompt, seed)
            for prompt, seed in self.asked[-1]
        ]
        if "bad" in prompts:
            raise PartialFailure(results)
        return results  # pyright: ignore[reportReturnType] (none has failed)


class Pipeline(Painter):
    """One in this process, which has a profile."""

    profile = ToolProfile(
        name="p", pipeline="FluxPipeline", repository="r", steps=1, guidance_scale=1.0, words=9
    )


def world(tool) -> World:
    judges = Judges(point=None, pair=None)  # pyright: ignore[reportArgumentType] (nobody is asked)
    return World(train=None, held_out=(), tool=tool, judges=judges)  # pyright: ignore[reportArgumentType]


def pixels(images) -> list[bytes]:
    return [image.tobytes() for image in images]


def painted(*pairs: tuple[str, int]) -> list[bytes]:
    return pixels(paint(*pair) for pair in pairs)


def kept_in(one: World, folder: Path) -> World:
    return with_kept_pictures(one, PictureStore(folder / "pictures"), folder)


def test_only_what_is_missing_is_asked_for_and_a_new_process_finds_it(tmp_path: Path):
    first = Painter()
    one = kept_in(world(first), tmp_path)
    assert pixels(one.tool.generate(PROMPTS[:2], SEEDS[:2])) == painted(("a", 1), ("b", 2))
    assert picture_counts(one) == {"tool/drawn": 2, "tool/found": 0}
    second = Painter()
    other = kept_in(world(second), tmp_path)
    assert pixels(other.tool.generate(["c", "b", "a"], [3, 2, 9])) == painted(
        ("c", 3), ("b", 2), ("a", 9)
    )
    assert second.asked == [[("c", 3), ("a", 9)]]
    assert picture_counts(other) == {"tool/drawn": 2, "tool/found": 1}
    assert picture_counts(other) == {"tool/drawn": 0, "tool/found": 0}
    assert picture_counts(world(second)) == {}


def test_a_pipeline_draws_a_batch_again_unless_it_has_all_of_it(tmp_path: Path):
    pipeline = Pipeline()
    tool = kept_in(world(pipeline), tmp_path).tool
    tool.generate(PROMPTS[:2], SEEDS[:2])
    tool.generate(PROMPTS, SEEDS)
    assert pixels(tool.generate(PROMPTS, SEEDS)) == painted(*zip(PROMPTS, SEEDS, strict=True))
    assert [len(asked) for asked in pipeline.asked] == [2, 3]


def test_a_pipeline_that_is_killed_has_kept_the_batches_that_it_drew(tmp_path: Path):
    class Killed(Pipeline):
        def generate(self, prompts, seeds) -> list[Image.Image]:
            if len(self.asked) == 2:
                raise KeyboardInterrupt
            return super().generate(prompts, seeds)

    prompts, seeds = ["x"] * 10, list(range(10))  # two batches of four, and one of two
    with pytest.raises(KeyboardInterrupt):
        kept_in(world(Killed()), tmp_path).tool.generate(prompts, seeds)
    again = Pipeline()
    images = kept_in(world(again), tmp_path).tool.generate(prompts, seeds)
    assert again.asked == [[("x", 8), ("x", 9)]]
    assert pixels(images) == painted(*zip(prompts, seeds, strict=True))


def test_what_failed_is_asked_for_again_and_takes_nothing_with_it(tmp_path: Path):
    painter = Painter()
    tool = kept_in(world(painter), tmp_path).tool
    for asked in ([("a", 1), ("bad", 2)], [("bad", 2)]):
        with pytest.raises(PartialFailure) as raised:
            tool.generate(["a", "bad"], [1, 2])
        image, error = raised.value.results
        assert isinstance(image, Image.Image) and str(error) == "no picture of it"
        assert painter.asked[-1] == asked


def test_a_picture_whose_file_is_gone_or_damaged_is_drawn_again(tmp_path: Path):
    painter = Painter()
    tool = kept_in(world(painter), tmp_path).tool
    tool.generate(["a"], [1])
    [path] = tmp_path.glob("pictures/*/*.png")
    for harm in (lambda: path.unlink(), lambda: path.write_bytes(b"no picture")):
        harm()
        assert pixels(tool.generate(["a"], [1])) == painted(("a", 1))
    assert len(painter.asked) == 3


def test_servers_are_asked_one_by_one_and_once(tmp_path: Path):
    async def draw(tool) -> list[Image.Image]:
        return await asyncio.gather(*map(tool.draw_one, PROMPTS, SEEDS))

    with answering() as server:
        first, kept = (kept_in(world(tool_for(server)), tmp_path) for _ in range(2))
        for each in (first, kept):
            assert pixels(asyncio.run(draw(each.tool))) == painted(
                *zip(PROMPTS, SEEDS, strict=True)
            )
        assert pixels(kept.tool.generate(["a", "d"], [1, 4])) == painted(("a", 1), ("d", 4))
        assert len(server.requests) == 4
    assert picture_counts(kept) == {"tool/drawn": 1, "tool/found": 4}


def test_a_damaged_record_is_one_line_with_its_name(tmp_path: Path):
    kept_in(world(Painter()), tmp_path).tool.generate(["a"], [1])
    path = tmp_path / "drawn.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("UPDATE answers SET answer = x'ff'")
    other.close()
    with pytest.raises(ValueError, match=r"drawn\.sqlite is damaged"):
        kept_in(world(Painter()), tmp_path).tool.generate(["a"], [1])
    for name in ("drawn.sqlite-wal", "drawn.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(ValueError, match=r"drawn\.sqlite is damaged .*; move it away"):
        kept_in(world(Painter()), tmp_path)


def test_a_run_goes_on_with_the_model_that_its_servers_had(tmp_path: Path):
    def model(steps: int) -> list[dict[str, object]]:
        return [{"id": "flux", "defaults": {"num_inference_steps": steps}}]

    with (
        answering(models=model(8)) as one,
        answering(models=model(8)) as moved,
        answering(models=model(4)) as other,
        answering(models=[{"id": "flux"}]) as silent,
    ):
        # One that does not say is believed; one at another address that says the same is the same.
        for server in (silent, one, moved, silent):
            with tool_for(server) as tool:
                kept_in(world(tool), tmp_path)
        with tool_for(other) as tool, pytest.raises(ValueError, match=re.escape(CHANGED)) as said:
            kept_in(world(tool), tmp_path)
        assert str(tmp_path / "drawn.sqlite") in str(said.value)
        (tmp_path / "drawn.sqlite").unlink()
        with tool_for(other) as tool:
            kept_in(world(tool), tmp_path)
    with tool_for(dead_url()) as tool, pytest.raises(ValueError, match="does not say what it"):
        kept_in(world(tool), tmp_path)
