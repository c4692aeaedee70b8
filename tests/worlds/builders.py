"""Tiny attempts, and judges that go by colour."""

from collections.abc import Sequence
from typing import Literal, Protocol

from PIL import Image

from genagent_data import Ending, Request, Round, Trajectory
from genagent_rewards import (
    ComparesPictures,
    JudgesPictures,
    PairQuestion,
    Picture,
    PointQuestion,
    Verdict,
)
from genagent_worlds import Judges, World


def flat(color: str, side: int = 4) -> Picture:
    return Picture.of(Image.new("RGB", (side, side), color))


RED, RED_TOO, BLUE, BLUE_TOO = flat("red"), flat("red", 5), flat("blue"), flat("blue", 5)
GRAY = flat("gray")
"""On which judges have no verdict."""


def trajectory(
    number: int,
    *pictures: Picture | None,
    ending: Ending = "answer",
    error: str | None = None,
    task: str = "color",
) -> Trajectory:
    """An attempt whose rounds drew these pictures; None is a picture that the tool failed."""
    return Trajectory(
        request=Request(
            id=str(number), prompt=f"red {number}", task=task, hints=(f"it is red {number}",)
        ),
        rounds=tuple(
            Round(thinking="t", tool_prompt="p", picture=picture, judgement="words")
            for picture in pictures
        ),
        answer="done" if ending == "answer" else None,
        ending=ending,
        error=error,
    )


class ByColor:
    """Passes red, fails everything else, and has no verdict on gray; keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[PointQuestion | PairQuestion]] = []

    def judge(self, questions: Sequence[PointQuestion]) -> list[Verdict | None]:
        self.calls.append(list(questions))
        return [
            None
            if question.picture == GRAY
            else verdict("yes" if is_red(question.picture) else "no")
            for question in questions
        ]

    def compare(self, questions: Sequence[PairQuestion]) -> list[Verdict | None]:
        self.calls.append(list(questions))
        return [self._compared(question.first, question.second) for question in questions]

    def _compared(self, first: Picture, second: Picture) -> Verdict | None:
        if GRAY in (first, second):
            return None
        if is_red(first) == is_red(second):
            return verdict("tie")
        return verdict("first" if is_red(first) else "second")


class Flatterer:
    """Passes everything, and takes every second picture for the better one."""

    def judge(self, questions: Sequence[PointQuestion]) -> list[Verdict | None]:
        return [verdict("yes") for _ in questions]

    def compare(self, questions: Sequence[PairQuestion]) -> list[Verdict | None]:
        return [verdict("second") for _ in questions]


class NeverAsked:
    """A judge that nobody may ask, and a tool that nobody may use."""

    def judge(self, questions: object) -> list[Verdict | None]:
        raise AssertionError(f"asked {questions}")

    compare = judge

    def generate(self, prompts: object, seeds: object) -> list[Image.Image]:
        raise AssertionError(f"asked to draw {prompts}")

    def sample(self, n: int, *, seed: int, step: int = 0) -> list[Request]:
        raise AssertionError(f"asked for {n} requests")


def is_red(picture: Picture) -> bool:
    return picture in (RED, RED_TOO)


def verdict(choice: Literal["yes", "no", "first", "second", "tie"]) -> Verdict:
    return Verdict(choice=choice, reason="looked", judge="test")


class Judge(JudgesPictures, ComparesPictures, Protocol):
    """Answers both questions."""


def both(judge: Judge | Judges) -> Judges:
    """One judge for both questions."""
    return judge if isinstance(judge, Judges) else Judges(point=judge, pair=judge)


def world(judge: Judge | Judges, *, truth: Judge | Judges | None = None) -> World:
    """A world that is only judged in."""
    return World(
        train=NeverAsked(),
        held_out=(),
        tool=NeverAsked(),
        judges=both(judge),
        truth=None if truth is None else both(truth),
    )
