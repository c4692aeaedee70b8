"""A picture or a failure for each prompt, whatever a tool hands back."""

import io
from collections.abc import Sequence

import pytest
from PIL import Image

from genagent_tools import PartialFailure, ToolError, draw_each, usable_picture


class Paints:
    """A red picture of its seed's width; what it was asked for is in ``calls``."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        self.calls.append(list(prompts))
        if "broken" in prompts:
            raise ToolError("out of paint")
        return [Image.new("RGB", (seed, 2), "red") for seed in seeds]


def said(results: list[Image.Image | ToolError]) -> list[int | str]:
    """The widths of pictures, the words of failures."""
    return [one.width if isinstance(one, Image.Image) else str(one) for one in results]


def test_a_batch_that_fails_is_drawn_one_by_one():
    tool = Paints()
    assert said(draw_each(tool, ["a", "broken", "b"], [3, 4, 5])) == [3, "out of paint", 5]
    assert tool.calls == [["a", "broken", "b"], ["a"], ["broken"], ["b"]]


def test_what_a_batch_had_is_not_drawn_again():
    class Half(Paints):
        def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
            pictures = super().generate(prompts, seeds)
            raise PartialFailure([pictures[0], ToolError("no answer")])

    tool = Half()
    assert said(draw_each(tool, ["a", "b"], [3, 4])) == [3, "no answer"]
    assert tool.calls == [["a", "b"]]


def test_a_picture_too_few_or_too_many_is_a_failure():
    class Miser(Paints):
        def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
            return super().generate(prompts, seeds)[1:]

    words = "the tool gave 0 pictures for 1 prompts"
    assert said(draw_each(Miser(), ["a", "b"], [3, 4])) == [words, words]

    class Lost(Paints):
        def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
            self.calls.append(list(prompts))
            raise PartialFailure([ToolError("no answer")])

    tool = Lost()
    words = "the tool gave 1 pictures for 2 prompts"
    assert said(draw_each(tool, ["a", "b"], [3, 4])) == ["no answer", "no answer"]
    assert tool.calls == [["a", "b"], ["a"], ["b"]]


def test_a_failure_of_another_kind_is_not_swallowed():
    class Bug(Paints):
        def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        draw_each(Bug(), ["a", "b"], [3, 4])


def cut_short() -> Image.Image:
    """A picture whose file ends too early, which shows when its pixels are looked at."""
    file = io.BytesIO()
    Image.radial_gradient("L").save(file, "PNG")
    return Image.open(io.BytesIO(file.getvalue()[:-400]))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: None, "gave NoneType where a picture was asked for"),
        (lambda: Image.new("RGB", (0, 0)), "a picture of 0x0; wants 1 to 67108864 pixels"),
        (lambda: Image.new("1", (10_000, 10_000)), "a picture of 10000x10000"),
        (lambda: Image.new("RGB", (603, 3)), "603x3; wants one side to be at most 200 times"),
        (cut_short, "cannot be decoded"),
    ],
)
def test_rubbish_is_a_failure_of_its_own_prompt(made, words):
    with pytest.raises(ToolError, match=words):
        usable_picture(made())

    class Rubbish(Paints):
        def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
            return [made(), *super().generate(prompts[1:], seeds[1:])]

    failed, width = said(draw_each(Rubbish(), ["a", "b"], [3, 4]))
    assert words in str(failed) and width == 4
