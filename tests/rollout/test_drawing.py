"""How trajectories get their pictures: in which batches, and what a failing tool may do to them."""

import asyncio
import io
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.rollout.painting import DONE, FAILS, FIRST, Painter, calling, painted

from genagent_data import Picture, PictureStore
from genagent_rollout import RolloutBatch
from genagent_rollout.activity import Activity
from genagent_rollout.drawing import drawing_by
from genagent_tools import PartialFailure, ToolError

Act = Callable[..., RolloutBatch]


def _endings(batch: RolloutBatch) -> list[tuple[str, str | None]]:
    return [(r.trajectory.ending, r.trajectory.error) for r in batch.rollouts]


def test_a_failed_call_ends_only_its_own_trajectory(act: Act):
    tool = Painter()
    batch = act([[FIRST, DONE], [FAILS], [FIRST, DONE]], tool)
    assert _endings(batch) == [("answer", None), ("tool_failure", "out of paint"), ("answer", None)]
    two = batch.rollouts[1].trajectory
    assert [(round.tool_prompt, round.picture) for round in two.rounds] == [("unlucky", None)]
    assert two.pictures == ()
    assert [len(call) for call in tool.calls] == [3, 1, 1, 1]


def test_pictures_that_were_had_are_not_drawn_again_where_others_of_their_batch_failed(act: Act):
    class Remote(Painter):
        def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
            self.calls.append(list(zip(prompts, seeds, strict=True)))
            raise PartialFailure(
                [
                    ToolError("no answer") if prompt == "unlucky" else painted(prompt, seed)
                    for prompt, seed in self.calls[-1]
                ]
            )

    tool = Remote()
    batch = act([[FIRST, DONE], [FAILS], [FIRST, DONE]], tool)
    assert _endings(batch) == [("answer", None), ("tool_failure", "no answer"), ("answer", None)]
    assert [len(call) for call in tool.calls] == [3]


def test_a_tool_that_is_short_of_a_picture_has_failed(act: Act):
    class Miser(Painter):
        def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
            return super().generate(prompts, seeds)[1:]

    batch = act([[FIRST, DONE], [FIRST, DONE]], Miser())
    failure = ("tool_failure", "the tool gave 0 pictures for 1 prompts")
    assert _endings(batch) == [failure, failure]


def test_a_failure_of_another_kind_is_not_swallowed(act: Act):
    class Broken:
        def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        act([[FIRST, DONE]] * 3, Broken())
    with pytest.raises(ZeroDivisionError):
        act([[FIRST, DONE]] * 3, Broken(), batch=2)


def _cut_short() -> Image.Image:
    """A picture whose file ends too early, which shows when its pixels are looked at."""
    file = io.BytesIO()
    painted("x", 1).save(file, "PNG")
    return Image.open(io.BytesIO(file.getvalue()[:-400]))


RUBBISH = {
    "none": (lambda: None, "gave NoneType where a picture"),
    "text": (lambda: "a cat", "gave str where a picture"),
    "empty": (lambda: Image.new("RGB", (0, 0)), "a picture of 0x0"),
    "vast": (lambda: Image.new("1", (10_000, 10_000)), "a picture of 10000x10000"),
    "a line": (lambda: Image.new("RGB", (603, 3)), "a picture of 603x3; wants one side"),
    "cut short": (_cut_short, "cannot be decoded"),
}


class Rubbish(Painter):
    """Gives no picture where it is asked for a kind of rubbish."""

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        return [self._one(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]

    def _one(self, prompt: str, seed: int) -> Image.Image:
        return RUBBISH[prompt][0]() if prompt in RUBBISH else painted(prompt, seed)  # pyright: ignore[reportReturnType]


class ServedRubbish(Rubbish):
    async def draw_one(self, prompt: str, seed: int) -> Image.Image:
        await asyncio.sleep(0)
        return self._one(prompt, seed)


@pytest.mark.parametrize("tool", [Rubbish(), ServedRubbish()], ids=["in process", "served"])
def test_rubbish_is_a_failed_call_of_its_own_trajectory(act: Act, tool: Rubbish):
    batch = act([[calling(kind)] for kind in RUBBISH] + [[FIRST, DONE]] * 2, tool)
    *failed, one, two = _endings(batch)
    for (ending, error), (_, words) in zip(failed, RUBBISH.values(), strict=True):
        assert ending == "tool_failure"
        assert error is not None and words in error
    assert (one[0], two[0]) == ("answer", "answer")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5])
def test_a_batch_after_one_that_failed_altogether_is_drawn(act: Act, batch: int):
    """The last that ask have no turn left that could remind anyone of them."""
    found = act([[FAILS]] * 4 + [[FIRST, DONE]], batch=batch)
    assert [ending for ending, _ in _endings(found)] == ["tool_failure"] * 4 + ["answer"]


@settings(max_examples=25, deadline=None)
@given(
    batch=st.none() | st.integers(1, 4),
    trajectories=st.lists(st.lists(st.booleans(), max_size=3), min_size=1, max_size=9),
    order=st.randoms(use_true_random=False),
)
def test_batches_depend_on_the_order_of_the_asking_alone(
    tmp_path_factory: pytest.TempPathFactory,
    batch: int | None,
    trajectories: list[list[bool]],
    order: random.Random,
):
    """Trajectories whose calls succeed or fail; turns end in any order, the tool takes its time."""
    store = PictureStore(tmp_path_factory.mktemp("pictures"))
    places = [order.sample(range(8), len(calls) + 1) for calls in trajectories]

    def run(noise: random.Random) -> tuple[list[list[tuple[str, int]]], list[list[str]]]:
        class Slow(Painter):
            def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
                time.sleep(noise.random() * 0.002)
                return super().generate(prompts, seeds)

        tool, activity = Slow(), Activity()
        drawing = drawing_by(tool, store, activity, batch=batch)

        async def one(seed: int, calls: list[bool]) -> list[str]:
            got: list[str] = []
            for turn, good in enumerate([*calls, None]):
                with activity.turn():
                    for _ in range(places[seed][turn]):
                        await asyncio.sleep(0)
                if good is None:
                    return [*got, "answer"]
                try:
                    prompt = f"{seed} {turn}" if good else "unlucky"
                    picture = await drawing.draw(prompt, seed=seed)
                except ToolError:
                    return [*got, "failed"]
                assert picture == Picture.of(painted(prompt, seed))
                got.append(prompt)
            raise AssertionError

        async def everyone() -> list[list[str]]:
            return await asyncio.wait_for(
                asyncio.gather(*(one(seed, calls) for seed, calls in enumerate(trajectories))), 30
            )

        return tool.calls, asyncio.run(everyone())

    calls, ends = run(random.Random(1))
    assert run(random.Random(2)) == (calls, ends)
    for seed, (wanted, got) in enumerate(zip(trajectories, ends, strict=True)):
        good = wanted.index(False) if False in wanted else len(wanted)
        drawn = [f"{seed} {turn}" for turn in range(good)]
        assert got == [*drawn, "failed" if False in wanted else "answer"]
    if batch is not None:
        assert all(len(call) <= batch for call in calls)


def test_pictures_are_drawn_while_others_still_speak(act: Act, tiny_policy):
    """A full batch does not wait for the longest first turn."""
    long = [*[7] * 60, tiny_policy.chat.turn_end_id]
    began = threading.Event()
    seen: list[bool] = []

    class Watching(Painter):
        def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
            began.set()
            return super().generate(prompts, seeds)

    batch = act(
        [[FIRST, DONE], [FIRST, DONE], [long]],
        Watching(),
        batch=2,
        ended=lambda place, rollout: seen.append(began.is_set()),
        max_turn_tokens=300,
    )
    assert batch.rollouts[2].trajectory.ending == "format_error"
    assert seen == [True] * 3


def test_servers_are_asked_as_soon_as_an_agent_asks(tmp_path: Path):
    asked: list[str] = []

    class Served:
        async def draw_one(self, prompt: str, seed: int) -> Image.Image:
            asked.append(prompt)
            await asyncio.sleep(0.001)
            return painted(prompt, seed)

    async def run() -> None:
        come: list[tuple[int, int]] = []
        activity = Activity(lambda *told: come.append(told))
        drawing = drawing_by(Served(), PictureStore(tmp_path), activity)
        with activity.turn():  # someone else is still speaking
            first = asyncio.ensure_future(drawing.draw("a", seed=1))
            await asyncio.sleep(0)
            assert asked == ["a"]
            assert activity.pictures.now == 1
            second = asyncio.ensure_future(drawing.draw("b", seed=2))
            assert await first == Picture.of(painted("a", 1))
            await second
        assert activity.pictures.now == 0
        assert come == [(1, 2), (2, 2)]

    asyncio.run(run())
